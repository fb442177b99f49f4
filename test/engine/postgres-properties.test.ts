import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RuleComparison } from '../../src/engines/contract/change.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import { type Sides, type SidesServer, startSides } from './postgres-sides-fixture.ts';
import {
  type Alteration,
  alterationOf,
  blockOf,
  type History,
  randomAlteration,
  randomHistory,
} from './properties/history.ts';
import { changeOf, importWith, isPossible, leftAlone, type Plan, planOf } from './properties/import.ts';
import {
  brokenReferences,
  type Counts,
  countDifferences,
  makeModel,
  type Rows,
  readRows,
} from './properties/model.ts';
import { expectRows, expectTakenBack, KINDS, RULES, type Rule } from './properties/outcome.ts';
import {
  definitionOf,
  hasActions,
  type RandomSchema,
  type RandomTable,
  randomSchema,
} from './properties/schema.ts';

/** HOLDFAST_RUNS=1000 for more, HOLDFAST_SEED=… for the same again, HOLDFAST_SHRINK=1 to make a failure small. */
const RUNS = Number(process.env.HOLDFAST_RUNS ?? 30);
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 2 ** 31);

let server: SidesServer;
let sides: Sides;
let model: ServerAccess;
beforeAll(async () => {
  server = await startSides();
  sides = await server.make('');
  model = await makeModel(server.access, sides);
});
afterAll(() => server.end());

interface Drawn {
  schema: RandomSchema;
  before: History;
  since: History;
  alteration: Alteration;
  /** bits: which tables are named */
  named: number;
}

const drawn: fc.Arbitrary<Drawn> = fc.record({
  schema: randomSchema,
  before: randomHistory(120),
  since: randomHistory(40),
  alteration: randomAlteration,
  named: fc.constantFrom(7, 7, 1, 2, 3, 4, 5, 6),
});

const EMPTY = 'DROP SCHEMA public CASCADE; CREATE SCHEMA public';

/** Fails what fires: nothing may do that for rows that come back. */
const TRIGGER = `CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fired'; END $$`;
const triggerOn = ({ name }: RandomTable) =>
  `CREATE TRIGGER fires BEFORE INSERT OR UPDATE OR DELETE ON ${name} FOR EACH ROW EXECUTE FUNCTION public.fail()`;

function lostOf({ schema, alteration }: Drawn): (table: RandomTable) => string | null {
  const altered = alterationOf(schema, alteration);
  return (table) => (altered?.table === table ? altered.lost : null);
}

/** Production after all of the history. */
async function makeLive({ schema, before, since, alteration }: Drawn): Promise<void> {
  const altered = alterationOf(schema, alteration);
  await sides.live(
    [
      ...[EMPTY, definitionOf(schema), blockOf(schema, before), blockOf(schema, since)],
      ...(altered === null ? [] : [altered.sql]),
      ...[TRIGGER, ...schema.map(triggerOn)],
    ].join(';\n'),
  );
}

/** The restored copy: the same history, as far as the moment that was chosen. */
async function makeCopy({ schema, before }: Drawn): Promise<void> {
  await sides.copy([EMPTY, definitionOf(schema), blockOf(schema, before)].join(';\n'));
}

/** A rule may be refused for these reasons alone. */
function expectReason(table: RandomTable, rule: Rule, refusal: string): void {
  const reason = `${rule} of ${table.name}: ${refusal}`;
  if (/NOT NULL and without a default/.test(refusal)) return;
  expect(table.kind, reason).toBe('none');
  if (/has no column that the restored copy has too/.test(refusal)) return;
  expect(reason).toMatch(/cannot be told apart without a key/);
  expect(['insert-missing', 'restore-changed'], reason).toContain(rule);
}

test(`after any history, every rule does what it says, and its numbers are right (seed ${SEED})`, async () => {
  const property = fc.asyncProperty(drawn, async (example) => {
    const { schema } = example;
    const lost = lostOf(example);
    await makeLive(example);
    await makeCopy(example);
    const tables = schema.filter((_, index) => (example.named & (1 << index)) !== 0);
    if (tables.length === 0) return;
    const plan = await planOf(sides, tables);
    if (plan === null) return;
    const counts = await countDifferences(model, schema, lost);
    const countsOf = (table: RandomTable) => counts[schema.indexOf(table)] as Counts;
    const restored = await readRows(sides.copy, schema, lost);
    for (const rule of RULES) {
      for (const table of tables) {
        expectCounts(plan, table, rule, countsOf(table));
        remember(changeOf(plan, table, rule), countsOf(table));
      }
      if (!isPossible(plan, tables, rule)) continue;
      const before = await readRows(sides.live, schema, lost);
      const isExact = becomesTheCopy(example, tables, rule);
      if (isExact) seen.exact += 1;
      const takeBack = await importWith(sides, plan, tables, rule);
      const after = await readRows(sides.live, schema, lost);
      for (const [index, table] of schema.entries()) {
        const rows = {
          before: before[index] as Rows,
          restored: restored[index] as Rows,
          after: after[index] as Rows,
        };
        const left = tables.includes(table) ? leftAlone(plan, table, rule) : null;
        if (isExact) expect(left, `left alone in ${table.name}`).toBe(0);
        expectRows(table, rule, rows, left);
      }
      expect(await brokenReferences(sides.live, schema)).toEqual([]);
      const left = await takeBack();
      if (left === null) continue;
      seen.undone += 1;
      const now = await readRows(sides.live, schema, lost);
      expectTakenBack(schema, { before, imported: after, now }, left, `undo of ${rule}`);
      if (left === 0) continue;
      // Only what a foreign key would do by itself stands in the way; and the plan was made of what was there.
      expect(hasActions(schema), `undo of ${rule} leaves rows alone`).toBe(true);
      expect(await brokenReferences(sides.live, schema)).toEqual([]);
      return;
    }
  });
  const endOnFailure = process.env.HOLDFAST_SHRINK === undefined;
  await fc.assert(property, { numRuns: RUNS, seed: SEED, endOnFailure });
  expectSomething();
}, 3_600_000);

/** Nothing stands in the way of every table's being as it was: no other table, no new column, no action of a foreign key. */
function becomesTheCopy({ schema, alteration }: Drawn, tables: readonly RandomTable[], rule: Rule): boolean {
  return (
    rule === 'replace' &&
    tables.length === schema.length &&
    alterationOf(schema, alteration) === null &&
    !hasActions(schema)
  );
}

/** Of everything that there is to see, how much the run has seen. */
const seen = {
  ...{ missing: 0, changed: 0, extra: 0 },
  ...{ inserts: 0, updates: 0, deletes: 0, orphans: 0, uniqueClashes: 0 },
  ...{ exact: 0, undone: 0, refusals: 0 },
};

function remember({ change, refusal }: RuleComparison, counts: Counts): void {
  for (const kind of ['missing', 'changed', 'extra'] as const) seen[kind] += counts[kind];
  for (const what of ['inserts', 'updates', 'deletes', 'orphans', 'uniqueClashes'] as const) {
    seen[what] += change[what];
  }
  if (refusal !== null) seen.refusals += 1;
}

/** What few examples have: only a long run has to see it. */
const RARE = ['orphans', 'uniqueClashes', 'exact', 'refusals'];

/** A generator that makes nothing would pass every test. */
function expectSomething(): void {
  const wanted = Object.entries(seen).filter(([what]) => RUNS >= (RARE.includes(what) ? 150 : 20));
  for (const [what, count] of wanted) expect(count, what).toBeGreaterThan(0);
}

/** What changes and what is left alone is what differs, no row more or less. */
function expectCounts(plan: Plan, table: RandomTable, rule: Rule, counts: Counts): void {
  const { change, refusal } = changeOf(plan, table, rule);
  if (refusal !== null) {
    expectReason(table, rule, refusal);
    return;
  }
  const { inserts, updates, deletes, orphans, uniqueClashes } = change;
  const wanted = KINDS[rule].reduce((sum, kind) => sum + counts[kind], 0);
  const what = `${rule} of ${table.name}, ${JSON.stringify({ change, counts })}`;
  expect(inserts + updates + deletes + orphans + uniqueClashes, what).toBe(wanted);
  expect(inserts, what).toBeLessThanOrEqual(counts.missing);
  expect(updates, what).toBeLessThanOrEqual(counts.changed);
  expect(deletes, what).toBeLessThanOrEqual(counts.extra);
}
