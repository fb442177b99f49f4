import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import { ruleBatches } from '../compare/differences.ts';
import type { KeyBatch } from '../compare/keys-file.ts';
import { BATCH_ROWS, keyCondition } from '../compare/lookup.ts';
import type { TablePair } from '../compare/table-pair.ts';
import { quoteIdentifier, quoteLiteral } from '../identifier.ts';

/** The approved rows of one table in a temporary table of the importing session: it vanishes with the session. */
export interface Stage {
  pair: TablePair;
  /** `pg_temp."holdfast_stage_0"` */
  name: string;
  rows: number;
}

/** Streams the rows of these keys out of the restored copy into a new stage. Throws CheckFailed unless all came. */
export async function stageRows(
  sides: { production: pg.Client; restored: pg.Client },
  pair: TablePair,
  keys: { folder: string; count: number },
  index: number,
  run: Run,
): Promise<Stage> {
  const name = `pg_temp.${quoteIdentifier(`holdfast_stage_${index}`)}`;
  const columns = pair.columns.map(quoteIdentifier).join(', ');
  await sides.production.query(
    `CREATE TEMPORARY TABLE ${name} AS SELECT ${columns} FROM ${pair.production.source} WITH NO DATA`,
  );
  const into = sides.production.query(copyFrom(`COPY ${name} (${columns}) FROM STDIN`));
  await pipeline(Readable.from(copyRows(sides.restored, pair, keys, run), { objectMode: false }), into, {
    signal: run.signal,
  });
  if (into.rowCount !== keys.count) {
    throw new HoldfastError(
      'CheckFailed',
      `the restored copy gave ${into.rowCount} of ${keys.count} approved rows of ${pair.table}`,
      { hint: 'start the recovery again: the restored copy is not what the plan was made from' },
    );
  }
  // Without statistics the difference may be taken row by row.
  await sides.production.query(`ANALYZE ${name}`);
  return { pair, name, rows: keys.count };
}

async function* copyRows(
  restored: pg.Client,
  pair: TablePair,
  keys: { folder: string; count: number },
  run: Run,
): AsyncGenerator<Buffer> {
  let done = 0;
  const width = pair.key.parts.length;
  for await (const batch of ruleBatches(keys.folder, 'insert-missing', 'missing', width, BATCH_ROWS)) {
    run.signal.throwIfAborted();
    yield* restored.query(
      copyTo(batchQuery(pair, batch), { highWaterMark: 1 << 18 }),
    ) as AsyncIterable<Buffer>;
    done += batch.lines.length;
    run.progress({ phase: `staging ${pair.table}`, done, total: keys.count, unit: 'rows' });
  }
}

/** COPY takes no parameters, and a standby no temporary table: the keys stand in the statement as literals. */
function batchQuery(pair: TablePair, batch: KeyBatch): string {
  const columns = pair.columns.map((column) => `t.${quoteIdentifier(column)}`).join(', ');
  const arrays = batch.columns.map((values) => `${quoteLiteral(arrayLiteral(values))}::pg_catalog.text[]`);
  const names = batch.columns.map((_, index) => `holdfast_${index + 1}`);
  return `COPY (SELECT ${columns}
    FROM unnest(${arrays.join(', ')}) AS holdfast(${names.join(', ')})
    JOIN ${pair.restored.source} AS t ON ${keyCondition(pair.key, 't', pair.restored)}) TO STDOUT`;
}

function arrayLiteral(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}
