/**
 * A schema of what makes dumps, hashes and comparisons go wrong: types whose values hang on OIDs or have no hash,
 * names that need quotes, expressions that PostgreSQL writes differently after a restore.
 */
export const HARD_SCHEMA = `
CREATE SCHEMA "Odd ""Schema""";
CREATE TYPE public.mood AS ENUM ('sad', 'ok', 'happy; ''quoted''');
CREATE TYPE public.pair AS (a int, b text, m public.mood);
CREATE DOMAIN public.percent AS numeric(5,2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE TABLE public.hard (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  m public.mood, ms public.mood[], p public.pair, ps public.pair[], d public.percent,
  j json, jb jsonb, x xml, a int[], aa text[][], n numeric, f float8, f4 float4,
  ts timestamp, tz timestamptz, t time, ttz timetz, iv interval, b bytea,
  r int4range, tr tstzrange, v tsvector, pt point, net inet, bits varbit(12), u uuid, c char(5), vc varchar(20),
  o oid, cls regclass, money money,
  twice numeric GENERATED ALWAYS AS (n * 2) STORED,
  CHECK (vc IN ('one', 'two', 'three') OR vc IS NULL)
);
INSERT INTO public.hard (m, ms, p, ps, d, j, jb, x, a, aa, n, f, f4, ts, tz, t, ttz, iv, b, r, tr, v, pt, net, bits, u, c, vc, o, cls, money)
SELECT CASE WHEN i % 7 = 0 THEN NULL ELSE (enum_range(NULL::public.mood))[1 + i % 3] END,
  ARRAY['ok', NULL, 'sad']::public.mood[], ROW(i, 'row ' || i, 'ok')::public.pair,
  ARRAY[ROW(i, NULL, 'sad')]::public.pair[], i % 101, json_build_object('i', i, 'n', NULL)::json, jsonb_build_object('k', i * 1.50),
  NULL, ARRAY[i, NULL, i + 1], ARRAY[ARRAY['a', 'b' || i], ARRAY['c"', NULL]],
  CASE WHEN i % 5 = 0 THEN 'NaN' ELSE (i / 7.0)::numeric END, CASE i % 4 WHEN 0 THEN 'Infinity' WHEN 1 THEN '-0' ELSE random() END,
  i / 3.0, timestamp '2024-02-29 12:00' + i * interval '1 hour', timestamptz '1066-10-14 09:00+00' + i * interval '1 year',
  time '12:34:56.789' , timetz '01:02:03+05:30', make_interval(months => i, days => -i, secs => i * 1.5),
  decode(md5(i::text), 'hex'), int4range(i, i + 5), tstzrange(now(), NULL), to_tsvector('simple', 'a fat cat ' || i),
  point(i, -i), '10.1.2.0/24', (i % 4096)::bit(12)::varbit, md5(i::text)::uuid, 'ab ', (ARRAY['one', 'two', 'three'])[1 + i % 3],
  i, 'pg_catalog.pg_class', 12.34
  FROM generate_series(1, 500) i;
CREATE TABLE "Odd ""Schema"""."Order; ""x""" ("Id" serial PRIMARY KEY, "say ""hi""" text DEFAULT E'a\\\\b''c' COLLATE "C", parent int REFERENCES "Odd ""Schema"""."Order; ""x""");
INSERT INTO "Odd ""Schema"""."Order; ""x""" ("say ""hi""") SELECT E'tab\\tnewline\\n\\\\ ' || i FROM generate_series(1, 50) i;
CREATE INDEX "odd index" ON "Odd ""Schema"""."Order; ""x""" (lower("say ""hi""")) WHERE "Id" > 3;
CREATE TABLE public.events (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE public.events_1 PARTITION OF public.events FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE public.events_2 PARTITION OF public.events DEFAULT;
INSERT INTO public.events SELECT date '2024-01-01' + i, 'event ' || i FROM generate_series(0, 59) i;
CREATE TABLE public.empty_table (a int);
CREATE TABLE public.no_columns ();
INSERT INTO public.no_columns DEFAULT VALUES;
CREATE TABLE public.base (a int);
CREATE TABLE public.child (b int) INHERITS (public.base);
INSERT INTO public.base VALUES (1); INSERT INTO public.child VALUES (2, 3);
CREATE UNLOGGED TABLE public.scratch AS SELECT 1 AS a;
CREATE VIEW public.moods AS SELECT m, count(*) FROM public.hard WHERE vc IN ('one', 'two') GROUP BY m;
CREATE MATERIALIZED VIEW public.summary AS SELECT count(*) FROM public.hard;
CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.vc := coalesce(NEW.vc, 'one'); RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE INSERT ON public.hard FOR EACH ROW EXECUTE FUNCTION public.touch();
ALTER TABLE public.hard ENABLE ROW LEVEL SECURITY;
CREATE POLICY "some" ON public.hard USING (vc IN ('one', 'two'));
CREATE PUBLICATION pub FOR TABLE public.empty_table;
SELECT lo_from_bytea(0, 'large object');
`;
