import { readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../model/failure.ts';
import { type LogPosition, numberOf } from '../../model/log-position.ts';
import type { Run } from '../../model/progress.ts';
import { describeTarget, type Target } from '../../model/target.ts';
import type { InstancePlace } from '../contract/restore.ts';
import type { ShippedContent } from '../contract/ship.ts';
import { layoutOf, prepareLayout, writeOwned } from './place.ts';
import { type Base, RELAY_BASE, Reading } from './replay-reading.ts';
import type { Batch } from './replay-state.ts';
import { parsePosition, stopOf } from './replay-stop.ts';

export interface Placing extends Base {
  target: Target;
  logs: readonly ShippedContent[];
  /** bytes of logs that may lie in the instance at a time; null: half of what is free */
  batchBytes: number | null;
}

/** Of what is free a replay needs something for itself. */
const SHARE = 0.5;

/**
 * Brings logs into the instance, as relay logs of a server that is stopped: from what is applied on up to the target, or
 * as many as may lie there. The last is cut off behind the last transaction that is wanted, so that the server applies
 * what it has and knows nothing of a target. Null: there is nothing more to apply. Throws LogGap, TargetNotReached,
 * NotEnoughSpace, BackupUnusable, ChecksumMismatch.
 */
export async function placeLogs(placing: Placing, run: Run): Promise<Batch | null> {
  const { place, logs, applied, target } = placing;
  await emptyRelayFolder(place);
  if ('backup' in target || logs.length === 0) return null;
  requireSequence(logs);
  const from = parsePosition(applied.lsn);
  const wanted = logsFrom(logs, from);
  const budget = placing.batchBytes ?? Math.floor((await freeBytes(place)) * SHARE);
  const stop = stopOf(target);
  const reading = new Reading(placing, from, stop);
  const total = wanted.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let done = 0;
  for (const log of wanted) {
    if (reading.bytes > 0 && reading.bytes + log.sizeBytes > budget) return finish(place, reading, false);
    if (log.sizeBytes > budget && placing.batchBytes === null) throw tooLarge(place, log, budget);
    await reading.add(log, run, (bytes) =>
      run.progress({
        ...{ phase: 'fetching logs', done: done + bytes, total, unit: 'bytes' as const },
        detail: `${log.name}, ${wanted.indexOf(log) + 1} of ${wanted.length}`,
      }),
    );
    done += log.sizeBytes;
    if (reading.isStopped) break;
  }
  if (!reading.isStopped && !stop.isReachedBy(reading.last)) throw notReached(target, reading.last);
  return finish(place, reading, true);
}

async function finish(place: InstancePlace, reading: Reading, isLast: boolean): Promise<Batch | null> {
  const { relay } = layoutOf(place);
  if (reading.files.length === 0) return null;
  const paths = reading.files.map((file) => `${join(relay, file.relay)}\n`);
  await writeOwned(place, join(relay, `${RELAY_BASE}.index`), paths.join(''));
  return { files: reading.files, after: reading.after(), excused: reading.excused(), isLast };
}

async function emptyRelayFolder(place: InstancePlace): Promise<void> {
  const { relay } = await prepareLayout(place);
  for (const name of await readdir(relay)) await rm(join(relay, name), { recursive: true, force: true });
}

async function freeBytes(place: InstancePlace): Promise<number> {
  const { bavail, bsize } = await statfs(place.directory);
  return bavail * bsize;
}

/** Throws LogGap where a log between two is missing. */
function requireSequence(logs: readonly ShippedContent[]): void {
  for (const [index, { name }] of logs.entries()) {
    const before = logs[index - 1]?.name;
    if (before === undefined) continue;
    const [last, number] = [numberOf(before), numberOf(name)];
    if (last !== null && number === last + 1) continue;
    throw new HoldfastError('LogGap', `a log is missing between ${before} and ${name}`, {
      hint: 'choose a target before it, or a backup after it: holdfast catalog shows what is recoverable',
    });
  }
}

function logsFrom(logs: readonly ShippedContent[], from: LogPosition): readonly ShippedContent[] {
  const first = logs.findIndex(({ name }) => name === from.log);
  if (first >= 0) return logs.slice(first);
  // All that is in the log of the base may be in the base: then the next one is enough.
  throw new HoldfastError(
    'LogGap',
    `log ${from.log}, in which the base stands, is not among those to replay, which begin with ${logs[0]?.name}`,
    { hint: 'choose another backup: holdfast catalog shows what is recoverable' },
  );
}

function tooLarge(place: InstancePlace, log: ShippedContent, budget: number): HoldfastError {
  return new HoldfastError(
    'NotEnoughSpace',
    `log ${log.name} of ${log.sizeBytes} bytes does not fit on the disk of ${place.directory}, which has ${budget} bytes for it`,
    { hint: 'free space on the site and resume: what is replayed already is kept' },
  );
}

function notReached(target: Target, last: { name: string; endedAt: number }): HoldfastError {
  const ended =
    last.endedAt === 0 ? '' : `, which was closed at ${new Date(last.endedAt * 1000).toISOString()}`;
  return new HoldfastError(
    'TargetNotReached',
    `the logs end before ${describeTarget(target)}: the last is ${last.name}${ended}`,
    { hint: 'choose an earlier target, or --latest' },
  );
}
