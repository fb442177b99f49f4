import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { HoldfastError } from '../../../model/failure.ts';
import type { ConflictRule, TableChange } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import { copyOut } from '../compare/copy-out.ts';
import { columnOf } from '../compare/describe.ts';
import { type DifferenceKind, ruleBatches, ruleLines, type Sides } from '../compare/differences.ts';
import type { KeyBatch } from '../compare/keys-file.ts';
import { BATCH_ROWS, preferIndexes } from '../compare/lookup.ts';
import { keyColumnsOf, keyNames, rowSource, type TablePair } from '../compare/table-pair.ts';
import { quoteIdentifier } from '../identifier.ts';
import { batchQuery } from './batch-query.ts';

/** Of keys that are short whatever their value: they stand in a statement. */
const SHORT_BATCH_ROWS = 100_000;
const SHORT = new Set(['int2', 'int4', 'int8', 'uuid', 'date', 'timestamp', 'timestamptz']);

/**
 * What is to happen to one table, in temporary tables of the importing session: they vanish with it. `rows` holds
 * the rows that come, `holdfast_how` before their columns: `i` insert, `u` update, and by the time of the change
 * `r` (replaced: deleted and inserted) and `v` (vanished: nothing is left to do). `gone` holds the keys of the rows
 * that go.
 */
export interface Stage {
  pair: TablePair;
  rule: ConflictRule;
  /** `pg_temp."holdfast_stage_0"` */
  rows: string;
  gone: string;
  /** without a key: where the rows that go lie, once that is known */
  located: string;
  /** how many were approved, without those left alone */
  approved: Record<DifferenceKind, number>;
  /** how many more are to change, within what the decision allowed */
  drifted: Record<DifferenceKind, number>;
  /** how many of those were approved too, but as another kind of difference */
  crossed: number;
}

/** The columns of {@link Stage.rows} behind `holdfast_how`: without a key, what tells the rows apart comes first. */
function stageColumns(pair: TablePair): string[] {
  return pair.keyless ? [...keyNames(pair), ...pair.columns] : pair.columns;
}

const noRows = (): Record<DifferenceKind, number> => ({ missing: 0, changed: 0, extra: 0 });

/** A place for the change of one table; still empty. */
export async function createStage(
  client: pg.Client,
  pair: TablePair,
  rule: ConflictRule,
  index: number,
): Promise<Stage> {
  const rows = `pg_temp.${quoteIdentifier(`holdfast_stage_${index}`)}`;
  const gone = `pg_temp.${quoteIdentifier(`holdfast_gone_${index}`)}`;
  const located = `pg_temp.${quoteIdentifier(`holdfast_located_${index}`)}`;
  const counts = { approved: noRows(), drifted: noRows(), crossed: 0 };
  const stage: Stage = { pair, rule, rows, gone, located, ...counts };
  const columns = stageColumns(pair).map((column) => `, t.${quoteIdentifier(column)}`);
  const keys = keyNames(pair).map((column) => `t.${quoteIdentifier(column)}`);
  const source = rowSource(pair, 'production', 't');
  if (pair.gone) {
    // There is no table to take the columns from.
    const types = pair.columns.map(
      (name) => `, ${quoteIdentifier(name)} ${columnOf(pair.restored, name)?.fullType}`,
    );
    const key = pair.keyless ? ', holdfast_row pg_catalog.text, holdfast_number pg_catalog.int8' : '';
    await client.query(
      `CREATE TEMPORARY TABLE ${rows} (holdfast_how pg_catalog."char"${key}${types.join('')})`,
    );
    return stage;
  }
  await client.query(
    `CREATE TEMPORARY TABLE ${rows} AS SELECT 'i'::pg_catalog."char" AS holdfast_how${columns.join('')}
     FROM ${source} WITH NO DATA`,
  );
  await client.query(
    `CREATE TEMPORARY TABLE ${gone} AS SELECT ${keys.join(', ')} FROM ${source} WITH NO DATA`,
  );
  return stage;
}

/** Streams the approved rows out of the restored copy. Throws CheckFailed unless all of them came. */
export async function stageApproved(
  sides: Sides,
  stage: Stage,
  folder: string,
  change: TableChange,
  run: Run,
): Promise<void> {
  const { pair, rule, approved } = stage;
  approved.missing = change.inserts;
  approved.changed = change.updates;
  approved.extra = change.deletes;
  const batches = (kind: DifferenceKind) =>
    ruleBatches(folder, rule, kind, pair.key.parts.length, batchSize(pair));
  const total = change.inserts + change.updates;
  const both = { missing: batches('missing'), changed: batches('changed') };
  // Rows that are frozen as they come are not written once more when they are first read.
  await sides.production.query(`BEGIN READ WRITE; TRUNCATE ${stage.rows}`);
  const staged = await stageRows(sides, stage, both, [run, total], true);
  await sides.production.query('COMMIT');
  if (staged !== total) {
    throw new HoldfastError(
      'CheckFailed',
      `the restored copy gave ${staged} of ${total} approved rows of ${pair.table}`,
      { hint: 'start the recovery again: the restored copy is not what the plan was made from' },
    );
  }
  if (change.deletes > 0) await stageGone(sides.production, stage, ruleLines(folder, rule, 'extra'), run);
}

/** How many keys of a table are looked up at once. */
export function batchSize(pair: TablePair): number {
  // Each batch of a table without a key reads the whole of it, too.
  const isShort = pair.keyless || keyColumnsOf(pair.key, pair.restored).every((c) => SHORT.has(c.baseType));
  return isShort ? SHORT_BATCH_ROWS : BATCH_ROWS;
}

/** Streams the rows of these keys into the stage, which may be `fresh` in the open transaction; how many there were. */
export async function stageRows(
  sides: Sides,
  stage: Stage,
  batches: Record<'missing' | 'changed', AsyncIterable<KeyBatch>>,
  [run, total]: [Run, number],
  fresh = false,
): Promise<number> {
  const { pair, rows } = stage;
  const columns = ['holdfast_how', ...stageColumns(pair)].map(quoteIdentifier).join(', ');
  const freeze = fresh ? ' (FREEZE)' : '';
  const into = sides.production.query(copyFrom(`COPY ${rows} (${columns}) FROM STDIN${freeze}`));
  if (pair.keyless) await preferIndexes(sides.restored, false);
  const source = Readable.from(copyRows(sides.restored, pair, batches, run, total), { objectMode: false });
  await pipeline(source, into, { signal: run.signal });
  if (pair.keyless) await preferIndexes(sides.restored, true);
  // Without statistics the difference may be taken row by row.
  const looked = ['holdfast_how', ...keyNames(pair)].map(quoteIdentifier).join(', ');
  await sides.production.query("SELECT pg_catalog.set_config('default_statistics_target', '10', false)");
  await sides.production.query(`ANALYZE ${rows} (${looked})`);
  return into.rowCount ?? 0;
}

/** Writes keys of rows that go into the stage. */
export async function stageGone(
  client: pg.Client,
  stage: Stage,
  lines: AsyncIterable<Buffer>,
  run: Run,
): Promise<void> {
  const into = client.query(copyFrom(`COPY ${stage.gone} FROM STDIN`));
  await pipeline(lines, into, { signal: run.signal });
  await client.query(`ANALYZE ${stage.gone}`);
}

async function* copyRows(
  restored: pg.Client,
  pair: TablePair,
  batches: Record<'missing' | 'changed', AsyncIterable<KeyBatch>>,
  run: Run,
  total: number,
): AsyncGenerator<Buffer> {
  let done = 0;
  for await (const { sql, rows } of ahead(batchQueries(pair, batches))) {
    run.signal.throwIfAborted();
    yield* copyOut(restored, sql) as AsyncIterable<Buffer>;
    done += rows;
    run.progress({ phase: `staging ${pair.table}`, done, total, unit: 'rows' });
  }
}

async function* batchQueries(
  pair: TablePair,
  batches: Record<'missing' | 'changed', AsyncIterable<KeyBatch>>,
): AsyncGenerator<{ sql: string; rows: number }> {
  const selected = (how: 'i' | 'u') => [
    `'${how}'`,
    ...stageColumns(pair).map((column) => `t.${quoteIdentifier(column)}`),
  ];
  for await (const batch of batches.missing)
    yield { sql: batchQuery(pair, selected('i'), batch), rows: batch.lines.length };
  for await (const batch of batches.changed)
    yield { sql: batchQuery(pair, selected('u'), batch), rows: batch.lines.length };
}

/** The same, each one made while the one before is used. */
async function* ahead<T>(source: AsyncGenerator<T>): AsyncGenerator<T> {
  let next = source.next();
  try {
    for (;;) {
      const { value, done } = await next;
      if (done === true) return;
      next = source.next();
      // It is awaited in the next round, if there is one.
      next.catch(() => {});
      yield value;
    }
  } finally {
    // The file that it reads is closed with it.
    await source.return(undefined);
  }
}
