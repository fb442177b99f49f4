import { HoldfastError } from '../../model/failure.ts';
import { containsGtid, formatGtid, type GtidSet, parseGtid, parseGtids } from '../../model/gtid.ts';
import { isBefore, type LogPosition, readPosition } from '../../model/log-position.ts';
import { describeTarget, isExclusive, type Target } from '../../model/target.ts';
import { parseMicroseconds, type Transaction } from './binlog/transaction.ts';
import type { Applied } from './replay-state.ts';

/** Throws InvalidInput. */
export function parsePosition(text: string): LogPosition {
  const position = readPosition(text);
  if (position !== null) return position;
  throw new HoldfastError('InvalidInput', `"${text.slice(0, 100)}" is no position in a log`, {
    hint: 'write the log and the position in it: binlog.000004:1234',
  });
}

/** Where a replay ends, asked of one transaction after the other in the order of the logs. */
export interface Stop {
  /** whether it is the first that is not replayed */
  isAt(transaction: Transaction, log: string): boolean;
  /** what a log, read to its end without a stop, tells: whether the target is certain to lie in what was read */
  isReachedBy(log: { name: string; sizeBytes: number; endedAt: number }): boolean;
}

/**
 * The rule of a target. Just before a transaction, or a time; a place in a log is between two transactions, so that one
 * in whose middle it lies does not come, exclusive or not. Throws NotSupported, InvalidInput.
 */
export function stopOf(target: Target): Stop {
  if ('latest' in target) return { isAt: () => false, isReachedBy: () => true };
  if ('backup' in target) return { isAt: () => true, isReachedBy: () => true };
  if ('time' in target) return timeStop(microsecondsOf(target.time), isExclusive(target));
  if ('lsn' in target) return positionStop(parsePosition(target.lsn));
  if ('gtid' in target) return gtidStop(formatGtid(parseGtid(target.gtid)), isExclusive(target));
  throw new HoldfastError(
    'NotSupported',
    `MySQL and MariaDB cannot be recovered to ${describeTarget(target)}`,
    {
      hint: 'choose a time, a GTID (--gtid), a position in a log (--lsn binlog.000004:1234) or --latest',
    },
  );
}

/** In the order of the log commit times may step back: the first that is late enough ends the replay. */
function timeStop(at: bigint, exclusive: boolean): Stop {
  return {
    isAt: ({ committedAt }) => isPast(committedAt, at, exclusive),
    // The server was idle, and has said so by the time at which it closed its log, in whole seconds.
    isReachedBy: ({ endedAt }) => BigInt(endedAt) >= at / 1_000_000n,
  };
}

const isPast = (committedAt: bigint, at: bigint, exclusive: boolean): boolean =>
  exclusive ? committedAt >= at : committedAt > at;

function positionStop(to: LogPosition): Stop {
  return {
    isAt: ({ end }, log) => isBefore(to, { log, position: end }),
    isReachedBy: ({ name, sizeBytes }) => !isBefore({ log: name, position: sizeBytes }, to),
  };
}

function gtidStop(wanted: string, exclusive: boolean): Stop {
  let isSeen = false;
  return {
    isAt: ({ gtid }) => {
      if (isSeen) return true;
      if (gtid !== wanted) return false;
      isSeen = true;
      return exclusive;
    },
    isReachedBy: () => isSeen,
  };
}

/** Whether what is applied is beyond a target: a replay cannot go back. */
export function isPassed(target: Target, applied: Applied): boolean {
  if ('time' in target) {
    if (applied.latestAt === null) return false;
    return isPast(BigInt(applied.latestAt), microsecondsOf(target.time), isExclusive(target));
  }
  if ('lsn' in target) return isBefore(parsePosition(target.lsn), parsePosition(applied.lsn));
  if ('gtid' in target) {
    const gtid = parseGtid(target.gtid);
    const set = applied.gtid === null ? null : gtidsOf(applied.gtid, gtid.flavour);
    return set !== null && containsGtid(set, gtid);
  }
  return false;
}

/** Null: of the other flavour. */
function gtidsOf(text: string, flavour: GtidSet['flavour']): GtidSet | null {
  try {
    return parseGtids(text, flavour);
  } catch {
    return null;
  }
}

function microsecondsOf(time: string): bigint {
  const parsed = parseMicroseconds(withSeconds(time.replace(' ', 'T')));
  if (parsed !== null) return parsed;
  throw new HoldfastError('InvalidInput', `"${time}" is no time`, {
    hint: 'write it in ISO 8601 with an offset, such as 2026-01-31T14:05:00Z',
  });
}

/** A target may leave the seconds out, and the minutes of its offset. */
function withSeconds(time: string): string {
  return time.replace(/(T\d\d:\d\d)(?=Z|[+-])/, '$1:00').replace(/([+-]\d\d)$/, '$1:00');
}
