import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Run } from '../../../model/progress.ts';
import { tooMuchDrift } from '../../approved.ts';
import {
  DIFFERENCE_KINDS,
  type DifferenceKind,
  findDifferences,
  ruleLines,
  type Sides,
} from '../compare/differences.ts';
import { mergeDifferences } from '../compare/key-merge.ts';
import type { KeyOrder } from '../compare/key-order.ts';
import { keyBatches, LineWriter } from '../compare/keys-file.ts';
import { preferIndexes } from '../compare/lookup.ts';
import { batchSize, type Stage, stageGone, stageRows } from './stage.ts';

/** Reading a table again takes as long as it takes: production's session may have to wait for the copy's. */
const COMPARE_IDLE_LIMIT = '1h';

interface Folders {
  approved: string;
  /** new */
  fresh: string;
}

/**
 * Takes the whole difference of a table again under its lock and stages what is beyond the approved keys, up to so
 * many rows. How many there were; throws PlanChanged where there are more. After an error the session of the
 * restored copy is of no more use.
 */
export async function stageDrift(
  sides: Sides,
  stage: Stage,
  folders: Folders,
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
  await findDifferences(sides, pair, folders.fresh, run);
  await restored.query('ROLLBACK');
  await preferIndexes(restored, true);
  let total = 0;
  for (const kind of DIFFERENCE_KINDS) {
    drifted[kind] = await keepBeyond(stage, kind, folders, allowed - total);
    total += drifted[kind];
    if (total > allowed) throw tooMuchDrift(pair.table, allowed);
  }
  const staged = {
    missing: await keepUnstaged(stage, 'missing', 'changed', folders),
    changed: await keepUnstaged(stage, 'changed', 'missing', folders),
  };
  stage.crossed = drifted.missing + drifted.changed - staged.missing - staged.changed;
  const [width, size] = [pair.key.parts.length, batchSize(pair)];
  if (staged.missing + staged.changed > 0) {
    const batches = (kind: 'missing' | 'changed') => keyBatches(unstagedFile(folders, kind), width, size);
    const both = { missing: batches('missing'), changed: batches('changed') };
    await stageRows(sides, stage, both, [run, staged.missing + staged.changed]);
  }
  if (drifted.extra > 0) {
    await stageGone(production, stage, createReadStream(beyondFile(folders, 'extra')), run);
  }
  await production.query(`SELECT pg_catalog.set_config('idle_in_transaction_session_timeout', $1, true)`, [
    limit?.limit,
  ]);
  return total;
}

const beyondFile = ({ fresh }: Folders, kind: DifferenceKind) => join(fresh, `beyond.${kind}`);
const unstagedFile = ({ fresh }: Folders, kind: DifferenceKind) => join(fresh, `unstaged.${kind}`);

/** Keeps the keys of a kind that the approved comparison did not have, at most one more than allowed. */
function keepBeyond(
  { pair }: Stage,
  kind: DifferenceKind,
  folders: Folders,
  allowed: number,
): Promise<number> {
  const found = createReadStream(join(folders.fresh, kind));
  const approved = createReadStream(join(folders.approved, kind));
  return keepOthers(found, approved, pair.orders, beyondFile(folders, kind), allowed + 1);
}

/**
 * Of those, the keys that were not approved as the other kind: a row that was to be changed may be gone by now, and
 * one that was to come may be there with other content. Its row is staged already, and is settled as production is.
 */
function keepUnstaged(
  { pair, rule }: Stage,
  kind: 'missing' | 'changed',
  other: 'missing' | 'changed',
  folders: Folders,
): Promise<number> {
  const beyond = createReadStream(beyondFile(folders, kind));
  const approved = ruleLines(folders.approved, rule, other);
  const unstaged = unstagedFile(folders, kind);
  return keepOthers(beyond, approved, pair.orders, unstaged, Number.POSITIVE_INFINITY);
}

/** Writes the lines that the other stream does not have into a new file, up to so many; how many. */
async function keepOthers(
  lines: AsyncIterable<Buffer>,
  others: AsyncIterable<Buffer>,
  orders: readonly KeyOrder[],
  file: string,
  most: number,
): Promise<number> {
  const writer = new LineWriter(file);
  let kept = 0;
  const emit = (kind: DifferenceKind, line: Buffer) => {
    if (kind !== 'missing' || kept >= most) return undefined;
    kept += 1;
    return writer.write(line);
  };
  await mergeDifferences(lines, others, orders, emit, () => {});
  await writer.close();
  return kept;
}
