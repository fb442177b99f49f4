import { type HardKind, tablesOf, WITHOUT_KEY } from './kind.ts';

const TEXTS = `ARRAY['', ' ', 'a', 'A', 'ä', E'a\\u0308', 'Z', E'tab\\t', E'line\\nbreak', E'back\\\\slash', E'\\\\N', '"quoted"', 'a,b', '{}', 'NULL', '😀', 'ß', 'ss', '-1', '10', '9']`;

/** Per type of key: how it is called, and twelve or more values. */
const TYPES: [string, string, string][] = [
  ['text', 'text', `SELECT unnest(${TEXTS})`],
  ['text_c', 'text COLLATE "C"', `SELECT unnest(${TEXTS})`],
  ['uuid', 'uuid', 'SELECT md5(n::text)::uuid FROM generate_series(1, 30) n'],
  ['bytea', 'bytea', `SELECT decode(md5(n::text), 'hex') FROM generate_series(1, 30) n UNION SELECT ''`],
  [
    'numeric',
    'numeric',
    `SELECT n / 3.0 FROM generate_series(-9, 9) n UNION SELECT unnest('{NaN, Infinity, 1.50, 2e30}'::numeric[])`,
  ],
  [
    'float',
    'float8',
    `SELECT n / 3.0 FROM generate_series(-9, 9) n UNION SELECT unnest('{NaN, Infinity}'::float8[])`,
  ],
  ['bool', 'boolean', 'VALUES (true), (false)'],
  ['char', 'char(6)', `SELECT 'c' || n FROM generate_series(1, 30) n`],
  [
    'stamp',
    'timestamptz',
    `SELECT '2026-03-29 00:30+00'::timestamptz + n * interval '30 min' FROM generate_series(1, 30) n`,
  ],
  ['span', 'interval', `SELECT n * interval '5 h 7 s' FROM generate_series(1, 30) n`],
  ['enum', 'letter', 'SELECT unnest(enum_range(NULL::letter))'],
  ['domain', 'short', `SELECT 'd' || n FROM generate_series(1, 30) n`],
  ['composite', 'spot', `SELECT ROW(n, 'x' || n)::spot FROM generate_series(1, 30) n`],
  ['range', 'int4range', 'SELECT int4range(n, n + 5) FROM generate_series(1, 30) n'],
  ['array', 'text[]', `SELECT ARRAY['a,b', NULL, n::text] FROM generate_series(1, 30) n`],
  ['json', 'jsonb', `SELECT jsonb_build_object('n', n) FROM generate_series(1, 30) n`],
  ['address', 'inet', `SELECT '10.0.0.0'::inet + n FROM generate_series(1, 30) n`],
];

const typed: HardKind = {
  name: 'keys of every type',
  tables: tablesOf(TYPES.map(([name]) => `key_${name}`)),
  made: `CREATE TYPE letter AS ENUM ('z', 'a', 'Z', 'it''s', 'm', ''); CREATE DOMAIN short AS text CHECK (length(VALUE) < 9);
    CREATE TYPE spot AS (n int, t text);
    ${TYPES.map(
      ([name, type, values]) => `CREATE TABLE key_${name} (v text, id ${type} PRIMARY KEY, n int);
      INSERT INTO key_${name} (id, v, n) SELECT x, 'before', row_number() OVER (ORDER BY x::text COLLATE "C") FROM (${values}) s(x);`,
    ).join('\n')}`,
  changed: TYPES.map(
    ([name]) =>
      `UPDATE key_${name} SET v = 'after' WHERE n % 3 = 1; DELETE FROM key_${name} WHERE n % 3 = 2;`,
  ).join('\n'),
};

const composite: HardKind = {
  name: 'a composite key, not in the order of its columns',
  tables: [
    { name: 'public.composite', key: '(t.a, t."B b", t.c)' },
    { name: 'public.only_key', key: '(t.a, t.b)' },
  ],
  made: `CREATE TABLE composite (v text, a int, "B b" text, c date, PRIMARY KEY (c, "B b", a));
    INSERT INTO composite SELECT 'before', n % 4, E'b\\t' || n % 3, '2026-01-01'::date + n % 5 FROM generate_series(1, 60) n;
    CREATE TABLE only_key (a int, b int, PRIMARY KEY (b, a)); INSERT INTO only_key SELECT n, n % 3 FROM generate_series(1, 30) n`,
  changed: `DELETE FROM composite WHERE a = 1; UPDATE composite SET v = NULL WHERE a = 2; UPDATE composite SET c = c - 100 WHERE a = 3;
    DELETE FROM only_key WHERE b = 1; INSERT INTO only_key VALUES (1, 7), (2, 7)`,
};

const none: HardKind = {
  name: 'no key: equal rows, rows of nothing but NULL, unique values that may be NULL, a partial and a deferred one',
  tables: tablesOf(['heap', 'heap_parts', 'nullable'], null),
  made: `CREATE TABLE heap (a int, b text, c json); CREATE TABLE heap_parts (LIKE heap) PARTITION BY LIST (a);
    CREATE TABLE heap_1 PARTITION OF heap_parts FOR VALUES IN (1, 2); CREATE TABLE heap_2 PARTITION OF heap_parts DEFAULT;
    INSERT INTO heap SELECT n % 5, NULLIF(n % 3, 0), '{"a":  1}' FROM generate_series(1, 60) n; INSERT INTO heap SELECT FROM generate_series(1, 3);
    INSERT INTO heap_parts SELECT * FROM heap;
    CREATE TABLE nullable (a int UNIQUE, b int); CREATE UNIQUE INDEX ON nullable (b) WHERE b > 5; INSERT INTO nullable SELECT NULLIF(n, 3), n FROM generate_series(1, 20) n`,
  changed: `DELETE FROM heap WHERE a = 1; UPDATE heap SET b = 'u' WHERE a = 2; INSERT INTO heap SELECT 3, '1', '{"a": 1}' FROM generate_series(1, 4);
    DELETE FROM heap WHERE a IS NULL; INSERT INTO heap (b) VALUES (NULL);
    DELETE FROM heap_parts WHERE ctid IN (SELECT min(ctid) FROM heap_1) AND tableoid = 'heap_1'::regclass; UPDATE heap_parts SET a = 2 WHERE a = 4;
    UPDATE nullable SET a = NULL WHERE a = 7; UPDATE nullable SET b = -b WHERE a = 8; DELETE FROM nullable WHERE a > 15; INSERT INTO nullable VALUES (NULL, 3)`,
  refused: WITHOUT_KEY,
};

const uniqueOnly: HardKind = {
  name: 'a unique key without a primary one',
  tables: tablesOf(['only_unique']),
  made: `CREATE TABLE only_unique (v text UNIQUE, id uuid NOT NULL UNIQUE); INSERT INTO only_unique SELECT n, md5(n::text)::uuid FROM generate_series(1, 30) n`,
  changed: `DELETE FROM only_unique WHERE v::int < 10; UPDATE only_unique SET v = NULL WHERE v = '21';
    UPDATE only_unique SET v = CASE v WHEN '22' THEN 'swap' ELSE v END WHERE v = '22'; UPDATE only_unique SET v = '22' WHERE v = '23'; UPDATE only_unique SET v = '23' WHERE v = 'swap'`,
};

const numbered: HardKind = {
  name: 'identity of both kinds, serial and a sequence of its own',
  tables: tablesOf(['always', 'by_default', 'serially', 'by_hand']),
  made: `CREATE TABLE always (id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 7) PRIMARY KEY, v text);
    CREATE TABLE by_default (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, v text); CREATE TABLE serially (id smallserial PRIMARY KEY, v text);
    CREATE SEQUENCE "Hand; 1" INCREMENT -1; CREATE TABLE by_hand (v text, id int DEFAULT nextval('"Hand; 1"') PRIMARY KEY);
    ${['always', 'by_default', 'serially', 'by_hand'].map((name) => `INSERT INTO ${name} (v) SELECT 'before' FROM generate_series(1, 40);`).join('\n')}`,
  changed: `DELETE FROM always WHERE id > 200; DELETE FROM by_default WHERE id > 20; DELETE FROM serially WHERE id > 20; DELETE FROM by_hand WHERE id < -20;
    ${['always', 'by_default', 'serially', 'by_hand'].map((name) => `UPDATE ${name} SET v = 'after' WHERE abs(id) % 3 = 1;`).join('\n')}`,
  sequences: {
    'public.always_id_seq': 'public.always',
    'public.by_default_id_seq': 'public.by_default',
    'public.serially_id_seq': 'public.serially',
    'public."Hand; 1"': 'public.by_hand',
  },
};

const numberedBeside: HardKind = {
  name: 'identity beside the key, of rows that came anew',
  tables: tablesOf(['always_beside']),
  made: `CREATE TABLE always_beside (id int PRIMARY KEY, v text, n int GENERATED ALWAYS AS IDENTITY UNIQUE);
    INSERT INTO always_beside (id, v) SELECT n, 'before' FROM generate_series(1, 40) n`,
  changed: `DELETE FROM always_beside WHERE id > 30 OR id IN (3, 4); UPDATE always_beside SET v = 'after' WHERE id = 5;
    INSERT INTO always_beside VALUES (3, 'again'), (50, 'new')`,
};

export const KEYS: readonly HardKind[] = [typed, composite, none, uniqueOnly, numbered, numberedBeside];
