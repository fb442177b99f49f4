import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ImportInput, ImportResult } from '../../src/engines/contract/change.ts';
import { importRows } from '../../src/engines/postgres/import/import.ts';
import { HoldfastError } from '../../src/model/failure.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import { openSession, quietly, type Sides, type SidesServer, startSides } from './postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

const PARENTS = 120;
const CONCERNED = 24;
const SHOP = `CREATE TABLE parents (id int PRIMARY KEY, code int UNIQUE, n int NOT NULL DEFAULT 0);
  CREATE TABLE children (id serial PRIMARY KEY, parent int NOT NULL REFERENCES parents ON DELETE CASCADE, n int NOT NULL DEFAULT 0);
  CREATE INDEX ON children (parent);
  CREATE TABLE fired (what text);
  CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.fired VALUES (TG_TABLE_NAME || TG_OP); RETURN coalesce(NEW, OLD); END $$;
  CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON parents FOR EACH ROW
    WHEN (current_setting('application_name') LIKE 'holdfast import%') EXECUTE FUNCTION noted();
  CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON children FOR EACH ROW
    WHEN (current_setting('application_name') LIKE 'holdfast import%') EXECUTE FUNCTION noted();
  INSERT INTO parents SELECT n, n FROM generate_series(1, ${PARENTS + 20}) n;
  INSERT INTO children (parent) SELECT 1 + n % ${PARENTS + 20} FROM generate_series(0, 1999) n`;
/** The first rows are changed, the last are deleted with their children, and some are new that nobody uses. */
const ACCIDENT = `UPDATE parents SET n = -1000 WHERE id <= ${CONCERNED}; DELETE FROM parents WHERE id > ${PARENTS};
  UPDATE children SET n = -1000 WHERE id <= 50; INSERT INTO parents SELECT 1000 + n, 1000 + n FROM generate_series(1, 5) n`;

type Turn = (id: number) => string[];
/** What production's sessions do at full speed, each with rows of its own, so that they hinder each other little. */
const TURNS: Turn[] = [
  (id) => [`INSERT INTO children (parent) VALUES (${id})`],
  (id) => [`UPDATE parents SET n = n + 1 WHERE id = ${id}`],
  (id) => [
    'BEGIN',
    `SELECT FROM parents WHERE id = ${id} FOR UPDATE`,
    `UPDATE parents SET n = n + 1 WHERE id = ${id}`,
    'COMMIT',
  ],
  (id) => [
    'BEGIN',
    `UPDATE parents SET n = n + 1 WHERE id = ${id}`,
    `INSERT INTO children (parent) VALUES (${id})`,
    'COMMIT',
  ],
  (id) => [
    'BEGIN',
    `UPDATE children SET n = n + 1 WHERE parent = ${id}`,
    `UPDATE parents SET n = n + 1 WHERE id = ${id}`,
    'COMMIT',
  ],
  (id) => [
    'BEGIN',
    `SELECT FROM children WHERE parent = ${id} FOR UPDATE`,
    `SELECT FROM parents WHERE id = ${id} FOR UPDATE`,
    `UPDATE parents SET n = n + 1 WHERE id = ${id}`,
    `UPDATE children SET n = n + 1 WHERE parent = ${id}`,
    'COMMIT',
  ],
  // What another session of the load added.
  (id) => [`DELETE FROM children WHERE parent = ${id} AND id > 2000`],
];
/** So many sessions never meet: it divides the number of parents. */
const LANES = 8;

interface Load {
  /** per parent, how often a session counted it up */
  counted: Map<number, number>;
  turns: number;
  errors: string[];
  stop(): Promise<void>;
}

async function startLoad(sides: Sides): Promise<Load> {
  const load = { counted: new Map<number, number>(), turns: 0, errors: [] as string[] };
  let going = true;
  const working = TURNS.map(async (turn, index) => {
    const session = await openSession(sides.production);
    for (let round = 0; going; round += 1) {
      const id = 1 + ((index + round * LANES * 7) % PARENTS);
      const statements = turn(id);
      try {
        for (const statement of statements) await session.query(statement);
        if (statements.some((statement) => statement.startsWith('UPDATE parents'))) {
          load.counted.set(id, (load.counted.get(id) ?? 0) + 1);
        }
        load.turns += 1;
      } catch (error) {
        const { code = '', message } = error as Error & { code?: string };
        load.errors.push(`${code} ${message}`);
        await session.query('ROLLBACK');
      }
    }
    await session.end();
  });
  return {
    ...load,
    get turns() {
      return load.turns;
    },
    async stop() {
      going = false;
      await Promise.all(working);
    },
  };
}

/** As the workflow does: an attempt that had no locks in time is followed by another. */
async function importPatiently(plan: ImportInput): Promise<{ result: ImportResult; attempts: number }> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return { result: await importRows({ ...plan, lockTimeoutMs: 5_000 }, quietly), attempts };
    } catch (error) {
      const again = error instanceof HoldfastError && error.type === 'LockNotAvailable' && attempts < 8;
      if (!again) throw error;
    }
  }
}

test.each([
  ['insert-missing', 0],
  ['restore-changed', 0],
  ['replace', 1_000_000],
] as [ConflictRule, number][])(
  '%s while production is written at full speed: no session is ended for a deadlock, and only what was approved changes',
  async (conflict, drift) => {
    const sides = await server.make(SHOP);
    await sides.live(ACCIDENT);
    const plan = { ...(await sides.plan(['public.children', 'public.parents'])), conflict, drift };
    const load = await startLoad(sides);
    try {
      await expect.poll(() => load.turns).toBeGreaterThan(200);
      const { result } = await importPatiently(plan);
      const [children, parents] = result.tables;
      expect(parents).toMatchObject({ inserted: 20 });
      expect(children?.inserted).toBeGreaterThanOrEqual(children?.inserts ?? 0);
      const before = load.turns;
      await expect.poll(() => load.turns).toBeGreaterThan(before + 200);
    } finally {
      await load.stop();
    }
    expect(load.errors).toEqual([]);
    expect(await sides.live('SELECT * FROM fired')).toEqual([]);
    const triggers = await sides.live("SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'noted'");
    expect(triggers).toEqual([{ tgenabled: 'O' }, { tgenabled: 'O' }]);
    expect(
      await sides.live(`SELECT count(*)::int AS n FROM parents WHERE id > ${PARENTS} AND id < 1000`),
    ).toEqual([{ n: 20 }]);
    expect(await sides.live('SELECT count(*)::int AS n FROM parents WHERE id > 1000')).toEqual([
      { n: conflict === 'replace' ? 0 : 5 },
    ]);
    if (conflict === 'replace') return;
    // Of rows that were not approved, every session's work is there.
    const rows = await sides.live(`SELECT id, n FROM parents WHERE id <= ${PARENTS} ORDER BY id`);
    for (const { id, n } of rows as { id: number; n: number }[]) {
      const counted = load.counted.get(id) ?? 0;
      const isApproved = id <= CONCERNED;
      if (!isApproved) expect([id, n]).toEqual([id, counted]);
      else if (conflict === 'insert-missing') expect([id, n]).toEqual([id, counted - 1000]);
      else expect(n >= 0 && n <= counted, `${id}: ${n} of ${counted}`).toBe(true);
    }
  },
  120_000,
);

test('replace never goes beyond the drift that was approved, and succeeds by a new plan once the load pauses', async () => {
  const sides = await server.make(SHOP);
  await sides.live(ACCIDENT);
  const tables = ['public.children', 'public.parents'];
  const content =
    'SELECT (SELECT json_agg(p ORDER BY id) FROM parents p) AS p, (SELECT json_agg(c ORDER BY id) FROM children c) AS c';
  const replacing = async (drift: number) => ({
    ...(await sides.plan(tables)),
    conflict: 'replace' as const,
    drift,
  });
  const plan = await replacing(5);
  const load = await startLoad(sides);
  try {
    await expect.poll(() => load.turns).toBeGreaterThan(200);
    for (let time = 0; time < 3; time += 1) {
      await expect(importPatiently(plan)).rejects.toMatchObject({ type: 'PlanChanged' });
    }
  } finally {
    await load.stop();
  }
  expect(load.errors).toEqual([]);
  const rows = await sides.live('SELECT id, n FROM parents WHERE id < 1000 ORDER BY id');
  expect(rows).toHaveLength(PARENTS);
  for (const { id, n } of rows as { id: number; n: number }[]) {
    expect([id, n]).toEqual([id, (load.counted.get(id) ?? 0) - (id <= CONCERNED ? 1000 : 0)]);
  }
  await expect(importRows(plan, quietly)).rejects.toMatchObject({ type: 'PlanChanged' });
  await importRows(await replacing(0), quietly);
  expect(await sides.live(content)).toEqual(await sides.copy(content));
}, 120_000);
