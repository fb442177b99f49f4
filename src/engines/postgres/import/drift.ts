import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { HoldfastError } from '../../../model/failure.ts';
import { countOf } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import {
  DIFFERENCE_KINDS,
  type DifferenceKind,
  findDifferences,
  type Sides,
} from '../compare/differences.ts';
import { mergeDifferences } from '../compare/key-merge.ts';
import { batchOf, type KeyBatch } from '../compare/keys-file.ts';
import { preferIndexes } from '../compare/lookup.ts';
import { type Stage, stageGone, stageRows } from './stage.ts';

/** Reading a table again takes as long as it takes: production's session may have to wait for the copy's. */
const COMPARE_IDLE_LIMIT = '1h';

/**
 * Takes the whole difference of a table again under its lock and stages what is beyond the approved keys, up to so
 * many rows. How many there were; throws PlanChanged where there are more. The folder is new.
 */
export async function stageDrift(
  sides: Sides,
  stage: Stage,
  folders: { approved: string; fresh: string },
  allowed: number,
  run: Run,
): Promise<number> {
  const { pair, drifted } = stage;
  const { production, restored } = sides;
  const [limit] = (
    await production.query<{ limit: string }>(
      `SELECT pg_catalog.current_setting('idle_in_transaction_session_timeout') AS "limit"`,
    )
  ).rows;
  await production.query(`SET LOCAL idle_in_transaction_session_timeout = '${COMPARE_IDLE_LIMIT}'`);
  await preferIndexes(restored, false);
  await restored.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
  try {
    await findDifferences(sides, pair, folders.fresh, run);
  } finally {
    await restored.query('ROLLBACK').catch(() => {});
    await preferIndexes(restored, true);
  }
  const found = new Map<DifferenceKind, KeyBatch>();
  for (const kind of DIFFERENCE_KINDS) {
    const lines = await linesBeyond(stage, kind, folders, allowed);
    drifted[kind] = lines.length;
    found.set(kind, batchOf(lines, pair.key.parts.length));
  }
  const total = drifted.missing + drifted.changed + drifted.extra;
  if (total > allowed) throw tooMuchDrift(pair.table, allowed);
  const batches = async function* (kind: DifferenceKind) {
    const batch = found.get(kind) as KeyBatch;
    if (batch.lines.length > 0) yield batch;
  };
  if (drifted.missing + drifted.changed > 0) {
    const both = { missing: batches('missing'), changed: batches('changed') };
    await stageRows(sides, stage, both, [run, total]);
  }
  if (drifted.extra > 0) await stageGone(production, stage, batches('extra'), run);
  await production.query(`SELECT pg_catalog.set_config('idle_in_transaction_session_timeout', $1, true)`, [
    limit?.limit,
  ]);
  return total;
}

export function tooMuchDrift(table: string, allowed: number): HoldfastError {
  return new HoldfastError(
    'PlanChanged',
    `production has changed since the plan was approved: more than ${countOf(allowed, 'row')} of ${table} would be changed beyond it`,
    { hint: 'nothing was changed; look at the new plan and approve that, or allow more drift' },
  );
}

/** Lines of a kind that the approved comparison did not have, at most one more than allowed. */
async function linesBeyond(
  { pair }: Stage,
  kind: DifferenceKind,
  folders: { approved: string; fresh: string },
  allowed: number,
): Promise<string[]> {
  const lines: string[] = [];
  await mergeDifferences(
    createReadStream(join(folders.fresh, kind)),
    createReadStream(join(folders.approved, kind)),
    pair.orders,
    (difference, line) => {
      if (difference === 'missing' && lines.length <= allowed) lines.push(line.toString());
      return undefined;
    },
    () => {},
  );
  return lines;
}
