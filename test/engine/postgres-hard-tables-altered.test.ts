import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compare } from '../../src/engines/postgres/compare/compare.ts';
import { importRows } from '../../src/engines/postgres/import/import.ts';
import { undo } from '../../src/engines/postgres/undo/undo.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import {
  memoryJournal,
  query,
  quietly,
  type Sides,
  type SidesServer,
  startSides,
} from './postgres-sides-fixture.ts';
import { contentOf, memoryStore, plannedUndo } from './postgres-undo-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

async function importBy(sides: Sides, tables: string[], conflict: ConflictRule) {
  const store = memoryStore();
  const journal = memoryJournal();
  await importRows({ ...(await sides.plan(tables, journal)), conflict, undo: store }, quietly);
  const record = journal.records.at(-1);
  if (record === undefined) throw new Error('nothing was imported');
  return { record, read: store.read };
}

/** Looks at what an import made of the tables, takes it back, and expects what was there before. */
async function importAndUndo(
  sides: Sides,
  tables: string[],
  conflict: ConflictRule,
  look: () => Promise<void>,
): Promise<void> {
  const before = await contentOf(sides, tables);
  const { record, read } = await importBy(sides, tables, conflict);
  await look();
  await undo(await plannedUndo(sides, record, read), quietly);
  expect(await contentOf(sides, tables)).toEqual(before);
}

async function noticesOf(sides: Sides, table: string): Promise<string[]> {
  const [found] = await compare(sides.input([table]), quietly);
  return found?.notices ?? [];
}

describe('columns added, dropped and renamed since', () => {
  const MADE = `CREATE TYPE size AS ENUM ('small', 'large'); CREATE TABLE t (id int PRIMARY KEY, kept text, dropped text, before text, n int);
    INSERT INTO t SELECT n, 'kept ' || n, 'dropped ' || n, 'before ' || n, n FROM generate_series(1, 10) n`;
  const CHANGED = `ALTER TABLE t DROP dropped; ALTER TABLE t RENAME before TO after; ALTER TABLE t ADD added size NOT NULL DEFAULT 'large', ADD at timestamptz DEFAULT '2026-01-01+00';
    ALTER TABLE t ADD twice int GENERATED ALWAYS AS (n * 2) STORED; ALTER TABLE t ADD id2 int GENERATED ALWAYS AS IDENTITY (START 100);
    UPDATE t SET added = 'small', at = NULL; DELETE FROM t WHERE id <= 3; UPDATE t SET kept = 'changed' WHERE id = 5; INSERT INTO t VALUES (99, 'new')`;
  const ROWS = `SELECT id, kept, after, n, added::text, (at IS NULL) AS "noTime", twice FROM t WHERE id IN (1, 5, 6, 99) ORDER BY id`;
  const row = (id: number, kept: string | null, more: object = {}) => ({
    ...{ id, kept, after: `before ${id}`, n: id, added: 'small', noTime: true, twice: id * 2 },
    ...more,
  });
  const back = row(1, 'kept 1', { after: null, added: 'large', noTime: false });
  const fresh = row(99, 'new', { after: null, n: null, added: 'large', noTime: false, twice: null });

  test('are said, and only what both sides have comes back', async () => {
    const sides = await server.make(MADE);
    await sides.live(CHANGED);
    expect(await noticesOf(sides, 'public.t')).toEqual([
      'public.t: column after is new since; rows that come back get its default',
      'public.t: column added is new since; rows that come back get its default',
      'public.t: column at is new since; rows that come back get its default',
      'public.t: column twice is new since; rows that come back get its default',
      'public.t: column id2 is new since; rows that come back get its default',
      'public.t: column dropped has been dropped since; its values do not come back',
      'public.t: column before has been dropped since; its values do not come back',
    ]);
    await importAndUndo(sides, ['public.t'], 'insert-missing', async () => {
      expect(await sides.live(ROWS)).toEqual([back, row(5, 'changed'), row(6, 'kept 6'), fresh]);
    });
    await importAndUndo(sides, ['public.t'], 'restore-changed', async () => {
      expect(await sides.live(ROWS)).toEqual([back, row(5, 'kept 5'), row(6, 'kept 6'), fresh]);
    });
    await importAndUndo(sides, ['public.t'], 'replace', async () => {
      expect(await sides.live(ROWS)).toEqual([back, row(5, 'kept 5'), row(6, 'kept 6')]);
    });
    await importAndUndo(sides, ['public.t'], 'side-by-side', async () => {
      expect(await sides.live('SELECT * FROM t_restored_copy ORDER BY id')).toEqual(
        await sides.copy('SELECT * FROM t ORDER BY id'),
      );
    });
  });

  test('a renamed key, and a new column that has to have a value, leave side-by-side', async () => {
    const sides =
      await server.make(`CREATE TABLE renamed (id int PRIMARY KEY, v text); INSERT INTO renamed VALUES (1, 'a');
      CREATE TABLE strict (id int PRIMARY KEY, v text); INSERT INTO strict VALUES (1, 'a')`);
    await sides.live(
      'ALTER TABLE renamed RENAME id TO number; DELETE FROM strict; ALTER TABLE strict ADD must int NOT NULL',
    );
    const reasons = async (table: string) => {
      const [found] = await compare(sides.input([table]), quietly);
      return found?.rules.map(({ refusal }) => refusal ?? '');
    };
    expect(await reasons('public.renamed')).toEqual([
      ...Array.from({ length: 3 }, () =>
        expect.stringContaining(
          'column number of public.renamed is new since, NOT NULL and without a default',
        ),
      ),
      '',
    ]);
    expect(await reasons('public.strict')).toEqual([
      ...Array.from({ length: 3 }, () =>
        expect.stringContaining('column must of public.strict is new since, NOT NULL and without a default'),
      ),
      '',
    ]);
    await importAndUndo(sides, ['public.strict'], 'side-by-side', async () => {
      expect(await sides.live('SELECT * FROM strict_restored_copy')).toEqual([{ id: 1, v: 'a' }]);
    });
  });
});

describe('row security', () => {
  const OWNER = { user: 'secretary', password: 'a-password-of-the-secretary' };
  const as = (access: ServerAccess) => ({ ...access, ...OWNER });

  test('its owner imports and undoes all rows, unless it is forced on it; a copy beside is as closed', async () => {
    await query(server.access, `CREATE ROLE ${OWNER.user} LOGIN PASSWORD '${OWNER.password}'`);
    const sides =
      await server.make(`CREATE TABLE letters (id int PRIMARY KEY, tenant text, v text); ALTER TABLE letters ENABLE ROW LEVEL SECURITY;
      CREATE POLICY mine ON letters USING (tenant = current_user) WITH CHECK (false); INSERT INTO letters SELECT n, 't' || n % 3, 'before' FROM generate_series(1, 30) n;
      ALTER TABLE letters OWNER TO ${OWNER.user}; GRANT CREATE ON SCHEMA public TO ${OWNER.user}; GRANT SELECT ON letters TO PUBLIC`);
    await sides.live('DELETE FROM letters WHERE id <= 10; UPDATE letters SET v = NULL WHERE id > 20');
    const owned: Sides = {
      ...sides,
      production: as(sides.production),
      input: (tables) => ({ ...sides.input(tables), production: as(sides.production) }),
      plan: async (...args) => ({ ...(await sides.plan(...args)), production: as(sides.production) }),
    };
    for (const rule of ['insert-missing', 'restore-changed', 'replace'] as const) {
      await importAndUndo(owned, ['public.letters'], rule, async () => {
        const rows = 'SELECT count(*)::int AS all, count(v)::int AS there FROM letters';
        expect(await sides.live(rows)).toEqual([{ all: 30, there: rule === 'insert-missing' ? 20 : 30 }]);
      });
    }
    await importAndUndo(owned, ['public.letters'], 'side-by-side', async () => {
      const closed = `SELECT relrowsecurity AS closed, relacl::text AS acl FROM pg_class WHERE relname = 'letters_restored_copy'`;
      expect(await sides.live(closed)).toEqual([{ closed: true, acl: null }]);
    });

    const { record, read } = await importBy(owned, ['public.letters'], 'replace');
    await sides.live('ALTER TABLE letters FORCE ROW LEVEL SECURITY');
    await expect(compare(owned.input(['public.letters']), quietly)).rejects.toMatchObject({
      type: 'PermissionDenied',
      message: 'row security hides rows from the configured user in public.letters',
      hint: 'connect as the owner of the table (without FORCE ROW LEVEL SECURITY) or as a role with BYPASSRLS',
    });
    await expect(plannedUndo(owned, record, read)).rejects.toMatchObject({
      type: 'PermissionDenied',
      message: 'the configured user does not see all rows of public.letters',
    });
    await undo(await plannedUndo(sides, record, read), quietly);
    expect(await sides.live('SELECT count(*)::int AS n FROM letters')).toEqual([{ n: 20 }]);
  });
});

describe('names of 63 bytes', () => {
  test('that are alike where they are cut have one copy beside them at a time', async () => {
    const [one, two] = [`${'ö'.repeat(31)}x`, `${'ö'.repeat(31)}y`];
    const sides = await server.make(
      [one, two]
        .map((name) => `CREATE TABLE "${name}" (id int PRIMARY KEY); INSERT INTO "${name}" VALUES (1)`)
        .join(';'),
    );
    const found = await compare(sides.input([`public.${one}`, `public.${two}`]), quietly);
    const copy = `public.${'ö'.repeat(24)}_restored_copy`;
    expect(found.map((table) => ruleOf(table, 'side-by-side').refusal)).toEqual([
      null,
      `there is a table ${copy} already; recover the tables one after the other`,
    ]);
    await importAndUndo(sides, [`public.${one}`], 'side-by-side', async () => {
      expect(await sides.live(`SELECT * FROM ${copy}`)).toEqual([{ id: 1 }]);
      const [second] = await compare(sides.input([`public.${two}`]), quietly);
      expect(ruleOf(second as (typeof found)[number], 'side-by-side').refusal).toContain(
        'rename or drop that',
      );
    });
  });
});

describe('a table that is gone together with what it needs', () => {
  const MADE = `CREATE TYPE mood AS ENUM ('a'); CREATE SEQUENCE numbers; CREATE COLLATION "by B" (locale = 'C');
    CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE FUNCTION fine(mood) RETURNS bool LANGUAGE sql IMMUTABLE AS $$ SELECT true $$;
    CREATE TABLE t (id int PRIMARY KEY DEFAULT nextval('numbers'), m mood[], name text COLLATE "by B", CHECK (fine(m[1])));
    CREATE TRIGGER noted BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION noted(); INSERT INTO t VALUES (1, '{a}')`;
  const first = 'create that there first, and start the recovery again';

  test.each([
    ['its trigger’s function', 'DROP FUNCTION noted() CASCADE', 'function public.noted()'],
    ['its default’s sequence', 'DROP SEQUENCE numbers', 'sequence public.numbers'],
    ['the function of a check', 'DROP FUNCTION fine(mood)', 'function public.fine(public.mood)'],
  ])(
    '%s: only side-by-side can be chosen, and it is said what is to be created first',
    async (_, drop, what) => {
      const sides = await server.make(MADE);
      await sides.live(`DROP TABLE t; ${drop}`);
      const [found] = await compare(sides.input(['public.t']), quietly);
      const lacks = `production lacks ${what}, of which public.t is to be made; ${first}, or choose side-by-side`;
      expect(found?.rules.map(({ refusal }) => refusal)).toEqual([lacks, lacks, lacks, null]);
      await importBy(sides, ['public.t'], 'side-by-side');
      expect(await sides.live('SELECT * FROM t_restored_copy')).toEqual([{ id: 1, m: '{a}', name: null }]);
    },
  );

  test.each([
    ['DROP TYPE mood CASCADE', 'function public.fine(public.mood), type public.mood[]'],
    ['DROP COLLATION "by B"', 'collation public."by B"'],
  ])('no rule is left after %s, and nobody waits for a plan', async (drop, what) => {
    const sides = await server.make(MADE);
    await sides.live(`DROP TABLE t; ${drop}`);
    await expect(compare(sides.input(['public.t']), quietly)).rejects.toMatchObject({
      type: 'NotSupported',
      message: `production lacks ${what}, of which public.t is to be made`,
      hint: first,
    });
  });

  test('a copy cannot lie beside a table whose column went with its type; nor is more said than is true', async () => {
    const sides = await server.make(`${MADE}; CREATE TABLE child (id int REFERENCES t, others t);
      CREATE TABLE more (id int DEFAULT nextval('numbers')); ALTER SEQUENCE numbers OWNED BY t.id`);
    await sides.live('DROP TABLE t, child, more');
    const together = await compare(sides.input(['public.t', 'public.child', 'public.more']), quietly);
    expect(together.map((table) => ruleOf(table, 'replace').refusal)).toEqual([null, null, null]);
    await expect(compare(sides.input(['public.more']), quietly)).resolves.toMatchObject([
      {
        rules: [
          { refusal: expect.stringContaining('lacks sequence public.numbers') },
          {},
          {},
          { refusal: null },
        ],
      },
    ]);

    const half = await server.make(MADE);
    await half.live('DROP TYPE mood CASCADE');
    const [found] = await compare(half.input(['public.t']), quietly);
    expect(found?.rules.map(({ refusal }) => refusal)).toEqual([
      ...[null, null, null],
      `production lacks type public.mood[], of which a copy beside public.t is to be made; ${first}`,
    ]);
  });

  test('the index to which its foreign key refers may have another name by now', async () => {
    const sides = await server.make(
      'CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY REFERENCES p)',
    );
    await sides.live('DROP TABLE c; ALTER INDEX p_pkey RENAME TO other');
    const [found] = await compare(sides.input(['public.c']), quietly);
    expect(found?.rules.map(({ refusal }) => refusal)).toEqual([null, null, null, null]);
  });

  test.each([
    ['its type', 'DROP TYPE mood CASCADE', 'type "public.mood" does not exist'],
    [
      'the function of its trigger',
      'DROP FUNCTION noted() CASCADE',
      'function public.noted() does not exist',
    ],
  ])(
    '%s goes after the plan: nothing changes, and it is said what is to be created first',
    async (_, drop, reason) => {
      const sides =
        await server.make(`CREATE TYPE mood AS ENUM ('a'); CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
      CREATE TABLE t (id int PRIMARY KEY, m mood); CREATE TRIGGER noted BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION noted(); INSERT INTO t VALUES (1, 'a')`);
      await sides.live('DROP TABLE t');
      const plan = await sides.plan(['public.t']);
      await sides.live(drop);
      const refused = importRows({ ...plan, conflict: 'replace', undo: memoryStore() }, quietly);
      await expect(refused).rejects.toMatchObject({
        type: 'NotSupported',
        message: `production lacks something of which a table is to be made: ${reason}`,
        hint: expect.stringContaining('create that in production first'),
      });
      expect(await sides.live(`SELECT to_regclass('t')::text AS t`)).toEqual([{ t: null }]);
    },
  );
});
