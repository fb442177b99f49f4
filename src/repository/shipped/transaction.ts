import { HoldfastError } from '../../model/failure.ts';
import { containsGtid, parseGtid, parseGtids } from '../../model/gtid.ts';
import type { Run } from '../../model/progress.ts';
import { describeTarget, type Target } from '../../model/target.ts';
import type { Recoverability } from '../chain.ts';
import type { Choice } from '../choice.ts';
import type { Repository } from '../repository.ts';
import { runsOf, stretchFrom } from './chain.ts';
import { gapError } from './choice.ts';
import { readLogRecord } from './logs.ts';
import type { ShippedLog } from './name.ts';

/**
 * The same choice with no more logs than lead to the transaction: names of logs do not tell which one holds it, their
 * records do. In a few reads: what is in a log stays in all that follow. Where no log holds it, only production can.
 */
export async function toItsTransaction(
  repository: Repository,
  choice: Choice,
  { known, target }: { known: Recoverability; target: Target },
  run: Run,
): Promise<Choice> {
  if (known.shipped === undefined || !('gtid' in target)) return choice;
  const gtid = parseGtid(target.gtid);
  const logs = logsOf(choice, known.shipped);
  const holds = async (log: ShippedLog) => {
    const { gtids } = await readLogRecord(repository, log, run.signal);
    return gtids !== null && containsGtid(parseGtids(gtids.after, gtid.flavour), gtid);
  };
  let [low, high] = [0, logs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (await holds(logs[middle] as ShippedLog)) high = middle;
    else low = middle + 1;
  }
  const last = logs[low];
  if (last === undefined) {
    const stretch = stretchFrom(choice.manifest, runsOf(known.shipped));
    // What is written now does not go on from there: it may hold the transaction, and nothing leads to it.
    if (!stretch.isOpen) throw gapError({ target }, stretch);
    return { ...choice, reachable: 'needs-closing' };
  }
  return { ...choice, lastLog: last.name, segments: low + 1 };
}

export const unknownTransaction = (target: Target): HoldfastError =>
  new HoldfastError('TargetNotRecoverable', `${describeTarget(target)} is in none of the logs`, {
    hint: 'holdfast find names the transactions that took rows from a table',
  });

/** The logs that a choice replays, in order. */
export function logsOf(
  { lineage, firstLog, lastLog }: Pick<Choice, 'lineage' | 'firstLog' | 'lastLog'>,
  shipped: readonly ShippedLog[],
): ShippedLog[] {
  const own = runsOf(shipped.filter((log) => log.lineage === lineage)).flatMap(({ logs }) => logs);
  const first = own.findIndex(({ name }) => name === firstLog);
  const last = own.findLastIndex(({ name }) => name === lastLog);
  return first === -1 || last === -1 ? [] : own.slice(first, last + 1);
}
