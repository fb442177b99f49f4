export const TABLES = `CREATE TABLE public.orders (id int PRIMARY KEY, note text);
    INSERT INTO public.orders SELECT i, 'note ' || i FROM generate_series(1, 2000) i;
    CREATE TABLE public.lines AS SELECT i FROM generate_series(1, 100) i;
    CREATE TABLE public."Odd ""Name" (i int); INSERT INTO public."Odd ""Name" VALUES (1), (2), (3), (4);
    CREATE TABLE public.events (id int, kind text) PARTITION BY LIST (kind);
    CREATE TABLE public.events_a PARTITION OF public.events FOR VALUES IN ('a');
    CREATE TABLE public.events_b PARTITION OF public.events FOR VALUES IN ('b');
    INSERT INTO public.events SELECT i, CASE i % 2 WHEN 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 40) i;
    CREATE TABLE public.kept AS SELECT i FROM generate_series(1, 100) i;
    CREATE TABLE public.big (id int, filler text)`;

/** What happens to the tables, beside what takes nothing; gives the ids of the transactions by name. */
export async function haveAccidents(
  sql: (text: string) => Promise<unknown>,
  transaction: (...statements: string[]) => Promise<string>,
): Promise<Record<string, string>> {
  const xids: Record<string, string> = {};
  xids.deleted = await transaction('DELETE FROM public.orders WHERE id <= 500');
  xids.updated = await transaction(`UPDATE public.orders SET note = 'gone' WHERE id > 1700`);
  xids.nested = await transaction(
    ...['SAVEPOINT a', 'DELETE FROM public.orders WHERE id BETWEEN 501 AND 540', 'RELEASE a'],
    ...['SAVEPOINT b', 'DELETE FROM public.orders WHERE id BETWEEN 541 AND 640', 'ROLLBACK TO b'],
  );
  await sql('BEGIN; DELETE FROM public.orders; ROLLBACK');
  await sql('VACUUM FULL public.orders');
  xids.after = await transaction('DELETE FROM public.orders WHERE id BETWEEN 700 AND 706');
  xids.truncated = await transaction('TRUNCATE public.lines');
  await sql('INSERT INTO public.lines VALUES (7)');
  xids.emptied = await transaction('DELETE FROM public.lines');
  xids.few = await transaction('DELETE FROM public."Odd ""Name" WHERE i = 1');
  xids.dropped = await transaction('DROP TABLE public."Odd ""Name"');
  xids.events = await transaction('DELETE FROM public.events WHERE id <= 10');
  xids.moved = await transaction(`UPDATE public.events SET kind = 'a' WHERE id = 11`);
  xids.leaf = await transaction('DROP TABLE public.events_b');
  xids.rewrote = await transaction(
    ...['ALTER TABLE public.kept ALTER COLUMN i TYPE bigint', 'SAVEPOINT a'],
    ...['DELETE FROM public.kept WHERE i <= 30', 'RELEASE a'],
    'UPDATE public.kept SET i = i + 100 WHERE i > 95',
  );
  await sql('CREATE TABLE public.young (i int); INSERT INTO public.young VALUES (1), (2)');
  xids.young = await transaction('TRUNCATE public.young');
  return xids;
}
