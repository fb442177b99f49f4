import type { LogGap } from './backup.ts';
import { countOf } from './plan.ts';

/** Consecutive logs of one timeline that are gone. */
export type LostLogs = Pick<LogGap, 'timeline' | 'firstMissing' | 'lastMissing' | 'count'>;

/** How people name a gap: `<first missing>..<last missing>`. */
export function gapName({
  firstMissing,
  lastMissing,
}: Pick<LostLogs, 'firstMissing' | 'lastMissing'>): string {
  return `${firstMissing}..${lastMissing}`;
}

/** The same gap for everybody who sees it: alerts, problems and the backup that follows are told apart by it. */
export function gapKey(database: string, gap: LostLogs): string {
  return `gap/${database}/${uniqueGapName(gap)}`;
}

/** Names of binary logs come again when a server counts anew; those of WAL segments begin with their timeline. */
export function uniqueGapName({ timeline, firstMissing, lastMissing }: LostLogs): string {
  const isSegment = /^[0-9A-F]{24}$/.test(firstMissing);
  return `${isSegment ? '' : `${timeline}-`}${firstMissing}-${lastMissing}`;
}

/** `2 logs of shop are missing, <first> to <last>` */
export function describeLost({ count, firstMissing, lastMissing }: LostLogs, database?: string): string {
  // Nothing is missing by name: another server writes the logs, or it counts them anew.
  if (count === 0)
    return `the logs${database === undefined ? '' : ` of ${database}`} begin anew with ${firstMissing}`;
  const which = count === 1 ? firstMissing : `${firstMissing} to ${lastMissing}`;
  const of = database === undefined ? '' : ` of ${database}`;
  return `${countOf(count, 'log')}${of} ${count === 1 ? 'is' : 'are'} missing, ${which}`;
}

/** Nobody has taken note of it, and nothing that is newer stands on its own: it is a problem. */
export function isOpenGap({ acknowledged, baseAfter }: LogGap): boolean {
  return acknowledged === undefined && baseAfter == null;
}
