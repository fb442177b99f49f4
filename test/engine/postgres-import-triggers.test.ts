import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compare } from '../../src/engines/postgres/compare/compare.ts';
import { importRows } from '../../src/engines/postgres/import/import.ts';
import { quietly, type SidesServer, startSides } from './postgres-sides-fixture.ts';

/** `p1` is a partition of a partition; its trigger is a copy of the root's. */
const PARTITIONED = `CREATE TABLE fired (what text);
  CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.fired VALUES (TG_TABLE_NAME); RETURN NULL; END $$;
  CREATE TABLE p (id int PRIMARY KEY, other int REFERENCES p) PARTITION BY RANGE (id);
  CREATE TABLE q PARTITION OF p FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id);
  CREATE TABLE p1 PARTITION OF q FOR VALUES FROM (0) TO (50);
  CREATE TABLE p2 PARTITION OF q FOR VALUES FROM (50) TO (100);
  CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON p FOR EACH ROW EXECUTE FUNCTION noted();
  INSERT INTO p SELECT n FROM generate_series(0, 99) n; TRUNCATE fired`;
const STATES = `SELECT tgrelid::regclass::text AS table, tgenabled::text AS state FROM pg_trigger
  WHERE tgname = 'noted' ORDER BY 1`;

describe.each([13, 14, 15])('triggers of partitions in PostgreSQL %i', (major) => {
  let server: SidesServer;
  beforeAll(async () => {
    server = await startSides(major);
  });
  afterAll(() => server.end());

  test.each([
    ['that is imported into', 'public.p1', ''],
    [
      'of the table, enabled at one alone',
      'public.p',
      'ALTER TABLE p DISABLE TRIGGER noted; ALTER TABLE p1 ENABLE TRIGGER noted',
    ],
    [
      'of the table, each in a state of its own',
      'public.p',
      'ALTER TABLE p1 ENABLE ALWAYS TRIGGER noted; ALTER TABLE p2 DISABLE TRIGGER noted',
    ],
  ])('%s: none fires, and each is as it was', async (_, table, states) => {
    const sides = await server.make(`${PARTITIONED}; ${states}`);
    await sides.live('DELETE FROM p WHERE id % 10 = 5; TRUNCATE fired');
    const before = await sides.live(STATES);
    const result = await importRows(await sides.plan([table]), quietly);
    expect(result.tables[0]?.inserted).toBe(table === 'public.p' ? 10 : 5);
    expect(await sides.live('SELECT * FROM fired')).toEqual([]);
    expect(await sides.live(STATES)).toEqual(before);
  });

  test('an owner who may not switch them is told before anybody approves', async () => {
    const sides = await server.make(`${PARTITIONED};
      DO $$ BEGIN CREATE ROLE worker LOGIN PASSWORD 'a-password-of-tests'; EXCEPTION WHEN duplicate_object THEN END $$;
      ALTER TABLE p OWNER TO worker; ALTER TABLE q OWNER TO worker; ALTER TABLE p1 OWNER TO worker;
      ALTER TABLE p2 OWNER TO worker; GRANT USAGE, CREATE ON SCHEMA public TO worker`);
    await sides.live('DELETE FROM p WHERE id = 5; TRUNCATE fired');
    const production = { ...sides.production, user: 'worker' };
    const prepared = { ...(await sides.plan(['public.p'])), production };
    const comparisons = await compare(prepared, quietly);
    const refusal = comparisons[0]?.rules.find(({ conflict }) => conflict === 'insert-missing')?.refusal;
    if (major < 15) {
      expect(refusal).toContain('may not disable the triggers of public.p');
      return;
    }
    expect(refusal).toBeNull();
    await importRows({ ...prepared, comparisons }, quietly);
    expect(await sides.live('SELECT * FROM fired')).toEqual([]);
  });
});

const EVENTS = `CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT n FROM generate_series(1, 9) n;
  CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
  CREATE TRIGGER nothing AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION nothing();
  CREATE TABLE seen (tag text);
  CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (tg_tag); END $$;
  CREATE EVENT TRIGGER "On all" ON ddl_command_end EXECUTE FUNCTION seen();
  CREATE EVENT TRIGGER off ON ddl_command_start EXECUTE FUNCTION seen(); ALTER EVENT TRIGGER off DISABLE;
  CREATE EVENT TRIGGER other ON ddl_command_end WHEN TAG IN ('CREATE VIEW') EXECUTE FUNCTION seen()`;

describe.each([15, 17])('event triggers in PostgreSQL %i', (major) => {
  let server: SidesServer;
  beforeAll(async () => {
    server = await startSides(major);
  });
  afterAll(() => server.end());

  test('do not fire where that can be had, and are named in the plan otherwise', async () => {
    const sides = await server.make(EVENTS);
    await sides.live('DELETE FROM t; TRUNCATE seen');
    const plan = await sides.plan(['public.t']);
    const named = plan.comparisons[0]?.notices.filter((notice) => notice.includes('event trigger'));
    await importRows(plan, quietly);
    const seen = await sides.live('SELECT DISTINCT tag FROM seen ORDER BY tag');
    if (major >= 17) {
      expect(named).toEqual([]);
      expect(seen).toEqual([]);
    } else {
      expect(named).toEqual([
        expect.stringMatching(/^public\.t: event triggers of production fire .*: On all$/),
      ]);
      expect(seen).toEqual([{ tag: 'ALTER TABLE' }, { tag: 'CREATE TABLE AS' }]);
    }
  });
});
