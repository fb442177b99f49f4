import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { InstancePlace, ReplayResult } from '../../src/engines/contract/restore.ts';
import { replay } from '../../src/engines/postgres/replay.ts';
import { HoldfastError } from '../../src/model/failure.ts';
import type { Target } from '../../src/model/target.ts';
import { quietly, type Recovery, recover, replayInput, startRecovery } from './postgres-recovery-fixture.ts';
import { query } from './postgres-sides-fixture.ts';
import { blockOf, type History, randomHistory } from './properties/history.ts';
import { type BothSides, importWith, isPossible, leftAlone, planOf } from './properties/import.ts';
import { type Rows, readRows } from './properties/model.ts';
import { expectRows, type Rule } from './properties/outcome.ts';
import { definitionOf, type RandomSchema, randomSchema, withoutActions } from './properties/schema.ts';

/** HOLDFAST_RUNS=20 for more dbs, HOLDFAST_SEED=… for the same again. */
const RUNS = Number(process.env.HOLDFAST_RUNS ?? 3);
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 2 ** 31);
/** What is recovered to, one after the other; a replay goes on from where it is where it can. */
const TARGETS = ['backup', 'time', 'name', 'lsn', 'lsn', 'xid', 'lsn'] as const;

/** A db with tables of its own: what happens in it before the backup, and before each moment after that. */
interface Example {
  schema: RandomSchema;
  histories: History[];
}

/** What every table of every example held at a moment to which one can go back. */
interface Moment {
  target: Target;
  contents: unknown[];
}

const example: fc.Arbitrary<Example> = fc.record({
  schema: randomSchema.map(withoutActions),
  histories: fc.tuple(randomHistory(80), ...TARGETS.map(() => randomHistory(20))),
});
const examples = fc.sample(example, { numRuns: RUNS, seed: SEED });
const nameOf = (index: number) => `example_${index}`;

let recovery: Recovery;
let backup: string;
let lastLog: string;
const moments: Moment[] = [];

beforeAll(async () => {
  recovery = await startRecovery();
  for (const [index, { schema }] of examples.entries()) {
    await recovery.sql(`CREATE DATABASE ${nameOf(index)}`);
    await query(accessOf(index), definitionOf(schema));
  }
  await happen(0);
  backup = await recovery.backup();
  for (const [step, kind] of TARGETS.entries()) {
    // A base backup of a quiet server: its own moment is that of its end.
    if (kind !== 'backup') await happen(step);
    const contents = await Promise.all(examples.map(({ schema }, index) => contentOf(index, schema)));
    moments.push({ target: await targetOf(kind), contents });
  }
  await happen(TARGETS.length);
  lastLog = await recovery.archive();
});
afterAll(() => recovery?.end());

const accessOf = (index: number, server = recovery.production.access) => ({
  ...server,
  database: nameOf(index),
});

/** Each statement in a transaction of its own. */
async function happen(step: number): Promise<void> {
  for (const [index, { schema, histories }] of examples.entries()) {
    const blocks = (histories[step] as History).map((statement) => blockOf(schema, [statement]));
    for (const block of blocks) await query(accessOf(index), block);
  }
}

/** The present as a target. */
async function targetOf(kind: (typeof TARGETS)[number]): Promise<Target> {
  const { sql, value } = recovery;
  if (kind === 'backup') return { backup };
  if (kind === 'lsn') return { lsn: await value('SELECT pg_current_wal_lsn()') };
  // Recovery stops just before this transaction.
  if (kind === 'xid') return { xid: await value('SELECT pg_current_xact_id()') };
  if (kind === 'time') {
    return {
      time: await value(
        `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
      ),
    };
  }
  await sql(`SELECT pg_create_restore_point('a moment')`);
  return { name: 'a moment' };
}

/** Every row of every table as text, in the order of the texts. */
async function contentOf(
  index: number,
  schema: RandomSchema,
  server = recovery.production.access,
): Promise<unknown> {
  const tables = schema.map(
    ({ name }) => `(SELECT coalesce(json_agg(t::text ORDER BY t::text COLLATE "C"), '[]') FROM ${name} AS t)`,
  );
  return (await query(accessOf(index, server), `SELECT json_build_array(${tables.join(', ')}) AS content`))[0]
    ?.content;
}

test(`recovered to any moment, replace gives exactly its data, and undo what was there (seed ${SEED})`, async () => {
  const place = await recovery.provision('moments');
  const now = await Promise.all(examples.map(({ schema }, index) => contentOf(index, schema)));
  let replaced = 0;
  for (const [step, { target, contents }] of moments.entries()) {
    const reached = await goTo(place, target);
    for (const [index, { schema }] of examples.entries()) {
      const what = `${nameOf(index)} at ${JSON.stringify(target)}`;
      expect(await contentOf(index, schema, reached.access), `the copy of ${what}`).toEqual(contents[index]);
      const takeBack = await doRule('replace', bothSides(index, reached, place), schema);
      if (takeBack === null) continue;
      replaced += 1;
      expect(await contentOf(index, schema), what).toEqual(contents[index]);
      await takeBack();
      expect(await contentOf(index, schema), `undo of ${what}`).toEqual(now[index]);
      if (step % 2 === 0) continue;
      await (await doRule('insert-missing', bothSides(index, reached, place), schema))?.();
      expect(await contentOf(index, schema), `undo of insert-missing, ${what}`).toEqual(now[index]);
    }
  }
  expect(replaced).toBeGreaterThan(moments.length);
}, 3_600_000);

/** Goes on from where the instance is, and restores it again where that does not lie before the target. */
async function goTo(place: InstancePlace, target: Target): Promise<ReplayResult> {
  try {
    if (!('backup' in target))
      return await replay(replayInput(recovery, place, target, { lastLog }), quietly);
  } catch (error) {
    if (!(error instanceof HoldfastError && error.type === 'InstanceLost')) throw error;
  }
  return recover(recovery, place, backup, target, { lastLog });
}

function bothSides(index: number, reached: ReplayResult, place: InstancePlace): BothSides {
  const [production, restored] = [accessOf(index), accessOf(index, reached.access)];
  return {
    production,
    live: (sql) => query(production, sql),
    copy: (sql) => query(restored, sql),
    input: (tables) => ({ production, restored, tables, place, serverMajor: 15, copyId: 'copy' }),
  };
}

/** Imports all tables by a rule and looks at every row; null where the plan refuses it. */
async function doRule(
  rule: Rule,
  sides: BothSides,
  schema: RandomSchema,
): Promise<(() => Promise<number | null>) | null> {
  const plan = await planOf(sides, schema);
  if (plan === null || !isPossible(plan, schema, rule)) return null;
  const read = (side: BothSides['live']) => readRows(side, schema, () => null);
  const [before, restored] = [await read(sides.live), await read(sides.copy)];
  const takeBack = await importWith(sides, plan, schema, rule);
  const after = await read(sides.live);
  for (const [index, table] of schema.entries()) {
    const rows = {
      before: before[index] as Rows,
      restored: restored[index] as Rows,
      after: after[index] as Rows,
    };
    expectRows(table, rule, rows, leftAlone(plan, table, rule));
  }
  return takeBack;
}
