import type { LogGap } from '../../model/backup.ts';
import { runsOf } from '../../repository/shipped/chain.ts';
import type { ShippedLog } from '../../repository/shipped/name.ts';

/** Names of logs tell their end in whole seconds, cut off. */
const SECOND_MS = 1_000;

/**
 * The shipped logs that may hold what committed between two moments, in milliseconds, in the order in which they were
 * begun; and what could not be searched, and why. Both times are the server's own clock's.
 */
export function shippedBetween(
  shipped: readonly ShippedLog[],
  span: { from: number; to: number },
): { logs: ShippedLog[]; notices: string[] } {
  const runs = runsOf(shipped);
  const all = runs.flatMap(({ logs }) => logs).toSorted((a, b) => begun(a) - begun(b) || a.number - b.number);
  const [oldest, newest] = [all[0], all.at(-1)];
  if (oldest === undefined || newest === undefined) return { logs: [], notices: ['no log was shipped'] };
  const logs = all.filter((log) => ended(log) >= span.from && begun(log) <= span.to);
  const holes = runs
    .flatMap(({ hole }) => hole ?? [])
    .filter(
      ({ after, before }) => !(Date.parse(before ?? '') < span.from || Date.parse(after ?? '') > span.to),
    );
  return {
    logs,
    notices: [
      ...(begun(oldest) > span.from
        ? [`the oldest shipped log is ${oldest.name}: what came before it cannot be searched`]
        : []),
      ...holes.map(describeHole),
      ...(ended(newest) <= span.to
        ? [
            `the newest shipped log is ${newest.name}: what is in a later log, which is still open, is not searched`,
          ]
        : []),
    ],
  };
}

/** Without a log that is missing: the server began to count anew, or what is between two logs is in neither. */
function describeHole({ count, firstMissing, lastMissing }: LogGap): string {
  if (count === 0) return `transactions before ${firstMissing} are missing: they are not searched`;
  if (count === 1) return `log ${firstMissing} is missing: what it held is not searched`;
  return `${count} logs are missing, ${firstMissing} to ${lastMissing}: what they held is not searched`;
}

const begun = ({ createdAt }: ShippedLog): number => Date.parse(createdAt);
const ended = ({ lastAt }: ShippedLog): number => Date.parse(lastAt) + SECOND_MS;
