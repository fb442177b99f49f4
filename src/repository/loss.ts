import type { Loss } from '../model/disaster.ts';
import { HoldfastError } from '../model/failure.ts';
import { consistentAt } from './bases.ts';
import type { Commit, Recoverability, Stretch } from './chain.ts';
import { newestOf } from './choice.ts';

/**
 * What is lost when the database is recovered to the end of its logs now. It may be a little less, since what the last
 * log holds after its heartbeat comes back too; what committed after the watcher's last heartbeat nobody has seen.
 */
export function lossOf(known: Recoverability, { now }: { now: Date }): Loss {
  const at = now.toISOString();
  const newest = newestThere(known);
  if (newest === null) return { at, lastRecoverableAt: null, seconds: null, transactions: null };
  const held = lastCommit(newest.stretch);
  const last = Math.max(consistentAt(newest.manifest), (held?.at ?? Number.NEGATIVE_INFINITY) - 1);
  return {
    at,
    lastRecoverableAt: new Date(last).toISOString(),
    seconds: Math.max(0, Math.round((now.getTime() - last) / 1_000)),
    transactions: held === null ? null : transactionsAfter(known, held, newest.stretch.timeline),
  };
}

function newestThere(known: Recoverability) {
  try {
    return newestOf(known);
  } catch (error) {
    if (error instanceof HoldfastError) return null;
    throw error;
  }
}

/** The last heartbeat that a replay along this stretch passes. */
function lastCommit(
  { heartbeats, parent, first }: Stretch,
  before = Number.POSITIVE_INFINITY,
): Commit | null {
  const own = heartbeats.findLast(({ segment }) => segment < before);
  return own ?? (parent === null ? null : lastCommit(parent, Math.min(first, before)));
}

/**
 * Transactions that had begun by the newest heartbeat of all, without the heartbeats themselves. A server that was left,
 * and is on an older timeline, counts another history.
 */
function transactionsAfter(known: Recoverability, held: Commit, timeline: number): Loss['transactions'] {
  if (held.xid === undefined) return null;
  const from = BigInt(held.xid);
  const after = known.heartbeats
    .filter((beat) => beat.timeline >= timeline && Date.parse(beat.at) > held.at)
    .flatMap(({ at, xid, timeline: on }) => (xid === undefined ? [] : [{ at, on, xid: BigInt(xid) }]))
    .sort((a, b) => (a.xid < b.xid ? -1 : 1));
  // Not the latest: a server that was given up again counted on from where its replay had ended.
  const seen = after.at(-1);
  if (seen === undefined) return { lost: 0, until: new Date(held.at).toISOString() };
  const beats = after.filter(({ on }) => on === seen.on).length;
  return { lost: Math.max(0, Number(seen.xid - from) - beats), until: seen.at };
}
