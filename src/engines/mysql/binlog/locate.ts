import { formatGtid, parseGtid } from '../../../model/gtid.ts';
import { type ReadOptions, readEvents } from './read-events.ts';
import type { Transaction } from './transaction.ts';
import { transactions } from './transactions.ts';

/** One file of a server's log, in their order. */
export interface LogSource {
  name: string;
  open(): AsyncIterable<Uint8Array>;
}

export type StopTarget =
  /** microseconds since 1970; inclusive: what was committed at this very time is replayed too */
  | { kind: 'time'; at: bigint; isInclusive: boolean }
  /** inclusive: the transaction itself is replayed too */
  | { kind: 'gtid'; gtid: string; isInclusive: boolean }
  | { kind: 'position'; file: string; position: number };

export interface Place
  extends Pick<Transaction, 'start' | 'end' | 'gtid' | 'committedAt' | 'committedAtText' | 'isExact'> {
  file: string;
}

export interface Located {
  /**
   * Whether the logs go far enough: to the transaction, to the position, for a time to a commit that is after it. Logs
   * without one may still reach the time: their server was idle.
   */
  isReached: boolean;
  /** the last transaction that is replayed, null: none in these logs. For a position only those of its own file */
  last: Place | null;
  /** the first that is not */
  stop: Place | null;
  /** the transaction in whose middle a position lies: its start and end are the places to stop at */
  inside: Place | null;
}

/**
 * Where a replay of these logs has to stop. Reads them in order, up to that place. Transactions that are not complete
 * are no places. In the order of the log commit times may step back: the first that is late enough ends the replay.
 * Throws InvalidInput for a GTID that is none, and as readEvents does.
 */
export async function locate(
  files: Iterable<LogSource> | AsyncIterable<LogSource>,
  target: StopTarget,
  options: Omit<ReadOptions, 'name'> = {},
): Promise<Located> {
  const wanted = target.kind === 'gtid' ? formatGtid(parseGtid(target.gtid)) : null;
  const located: Located = { isReached: false, last: null, stop: null, inside: null };
  for await (const file of files) {
    if (target.kind === 'position' && file.name !== target.file) continue;
    const read = await locateWithin(file, target, wanted, located, options);
    if (located.stop !== null) return located;
    if (target.kind === 'position') {
      located.isReached = located.inside !== null || read >= target.position;
      return located;
    }
  }
  return located;
}

/** Returns how far the file was read. */
async function locateWithin(
  file: LogSource,
  target: StopTarget,
  wanted: string | null,
  located: Located,
  options: Omit<ReadOptions, 'name'>,
): Promise<number> {
  let read = 0;
  const events = async function* () {
    for await (const event of readEvents(file.open(), { ...options, name: file.name, sqlLimit: 256 })) {
      read = event.end;
      yield event;
    }
  };
  for await (const transaction of transactions(events())) {
    const place = placeOf(file.name, transaction);
    if (target.kind === 'position') {
      const { position } = target;
      if (place.start >= position) {
        located.stop = place;
        located.isReached = true;
        return read;
      }
      if (place.end > position) located.inside = place;
      else if (transaction.isComplete) located.last = place;
      continue;
    }
    if (!transaction.isComplete) continue;
    if (isAfter(transaction, target, wanted, located.isReached)) {
      located.stop = place;
      located.isReached = true;
      return read;
    }
    located.last = place;
    if (wanted !== null && transaction.gtid === wanted) located.isReached = true;
  }
  return read;
}

/** Whether a transaction is the first that is not replayed. */
function isAfter(
  { committedAt, gtid }: Transaction,
  target: Exclude<StopTarget, { kind: 'position' }>,
  wanted: string | null,
  isPassed: boolean,
): boolean {
  if (target.kind === 'time') return target.isInclusive ? committedAt > target.at : committedAt >= target.at;
  return target.isInclusive ? isPassed : gtid === wanted;
}

function placeOf(file: string, transaction: Transaction): Place {
  const { start, end, gtid, committedAt, committedAtText, isExact } = transaction;
  return { file, start, end, gtid, committedAt, committedAtText, isExact };
}
