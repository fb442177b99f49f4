import { type Held, isRestorable, isSound, promisedUntil, type Walked } from './model-database.ts';
import { DAY } from './model-store.ts';

export const CODES = ['expires-too-early', 'needed-gone', 'window-broken', 'too-few'] as const;
export type Code = (typeof CODES)[number];

/** Which promises do not hold at this instant. */
export function broken(walked: Walked, at: number, now: number): { codes: Code[]; isBroken: boolean } {
  const promised = walked.held.filter((held) => isPromised(held, walked, at));
  const codes: Code[] = [];
  if (promised.some((held) => !isSound(held, at) && !held.wasDead)) codes.push('expires-too-early');
  const needs = promised.filter((held) => isSound(held, at)).flatMap((held) => held.needs);
  const isNeededGone = needs.some((needed) => !isSound(needed, at) && !needed.wasDead);
  const { archiveInfo, backupInfo } = walked.toolFiles;
  const gone = [archiveInfo, backupInfo].flatMap(({ goneSince }) => goneSince ?? []);
  if (isNeededGone || gone.some((since) => since > now)) codes.push('needed-gone');
  if (walked.facts.policy.windowMs !== null && !isWindowKept(walked, at, now)) codes.push('window-broken');
  if (walked.facts.policy.snapshots && isMonthMissing(walked, at, now)) codes.push('too-few');
  const isLost = promised.some((held) => !isRestorable(held, at));
  return { codes, isBroken: codes.length > 0 || isLost || gone.length > 0 };
}

function isPromised(held: Held, walked: Walked, at: number): boolean {
  return held.kind !== 'logs' && held.finishedAt <= at && at < promisedUntil(held, walked.facts);
}

/** What a person could restore: the catalog hides backups of ours once their promise is over. */
export function counted(held: Held, walked: Walked, at: number): boolean {
  const isTools = held.kind === 'full' || held.kind === 'diff';
  return held.finishedAt <= at && isRestorable(held, at) && (isTools || isPromised(held, walked, at));
}

/** Some base ended before the window began, or is the first one ever, and can be replayed from. */
export function isWindowKept(
  walked: Walked,
  at: number,
  now: number,
  allowed: ReadonlySet<Held> | null = null,
): boolean {
  const bases = basesOf(walked, at);
  const found = bases.filter((base) => base.found !== null);
  const history = Math.min(...(found.length > 0 ? found : bases).map(({ finishedAt }) => finishedAt));
  const begin = Math.max(at - (walked.facts.policy.windowMs ?? 0), history);
  return bases.some((base) => base.finishedAt <= begin && isReplayable(walked, base, at, now, allowed));
}

export function oldestReplayable(walked: Walked, at: number, now: number): number | null {
  if (walked.facts.policy.windowMs === null) return null;
  const bases = basesOf(walked, at).sort((a, b) => a.finishedAt - b.finishedAt);
  return bases.find((base) => isReplayable(walked, base, at, now, null))?.finishedAt ?? null;
}

/** No base is followed across archives: after a move the window begins anew. */
function basesOf({ held, archive, facts }: Walked, at: number): Held[] {
  const isShipped = facts.policy.shippedLockMs !== undefined;
  return held.filter(
    ({ kind, finishedAt, found }) =>
      (isShipped ? kind === 'logical' : kind === 'full' || kind === 'diff') &&
      // A dump that does not know where it stands in the logs is no base.
      !(isShipped && found !== null && found.replayFrom === undefined) &&
      finishedAt <= at &&
      (found === null || found.replayFrom?.archive === archive),
  );
}

function isReplayable(
  walked: Walked,
  base: Held,
  at: number,
  now: number,
  allowed: ReadonlySet<Held> | null,
): boolean {
  const set = [base, ...base.needs];
  if (!isRestorable(base, at) || base.startedAt < walked.cutoff) return false;
  if (allowed !== null && !set.every((held) => allowed.has(held))) return false;
  const logs = walked.held.filter(({ kind }) => kind === 'logs');
  const usable = (log: Held) => isSound(log, at) && (allowed === null || allowed.has(log));
  const from = Math.floor(Math.max(base.startedAt, now) / DAY);
  const future = logs.filter(
    ({ found, finishedAt }) => found === null && Math.floor(finishedAt / DAY) >= from,
  );
  return future.every(usable) && hasFoundLogs(base, logs, usable);
}

/** Every segment from the base's first on lies in some run of its archive. */
function hasFoundLogs(base: Held, logs: Held[], usable: (log: Held) => boolean): boolean {
  if (base.found === null) return true;
  const { replayFrom } = base.found;
  if (replayFrom === undefined) return false;
  const { timeline, first, stop, archive } = replayFrom;
  const same = logs.filter(({ found }) => found !== null && found.segments?.archive === archive);
  const runsOf = (held: Held[]) => held.flatMap(({ found }) => found?.segments ?? []);
  // An old primary may have archived further on a timeline that was left.
  const newest = Math.max(...runsOf(same).map((run) => run.timeline));
  const onNewest = runsOf(same).filter((run) => run.timeline === newest);
  const last = Math.max(...onNewest.map((run) => run.last));
  if (stop > last) return false;
  const runs = runsOf(same.filter(usable)).filter((run) => run.timeline >= timeline);
  for (let number = first; number <= last; ) {
    const run = runs.find((each) => each.first <= number && number <= each.last);
    if (run === undefined) return false;
    number = run.last + 1;
  }
  return true;
}

/** A month that is over has to have its snapshot, for as long as one of its first day would be kept. */
function isMonthMissing({ held, facts: { policy } }: Walked, at: number, now: number): boolean {
  const snapshots = held.filter(({ kind }) => kind === 'snapshot');
  const oldest = snapshots.flatMap(({ found, finishedAt }) => (found === null ? [] : [finishedAt]));
  let month = oldest.length > 0 ? startOfMonth(Math.min(...oldest), 0) : startOfMonth(now, 1);
  for (; startOfMonth(month, 1) <= at; month = startOfMonth(month, 1)) {
    const end = startOfMonth(month, 1);
    const isThere = snapshots.some(
      (each) => each.finishedAt >= month && each.finishedAt < end && isRestorable(each, at),
    );
    if (month + policy.snapshotMs > at && !isThere) return true;
  }
  return false;
}

function startOfMonth(at: number, later: number): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + later, 1);
}
