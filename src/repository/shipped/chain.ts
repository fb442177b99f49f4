import type { LogGap, Manifest } from '../../model/backup.ts';
import { consistentAt, type LogBase, usableBases } from '../bases.ts';
import { generationOf, type ShippedLog, serverOf, siblingOf, timelineOf } from './name.ts';

/** Consecutive logs of one lineage, without a hole. */
export interface LogRun {
  lineage: string;
  logs: ShippedLog[];
  /** what is missing behind it, where later logs of the lineage are there */
  hole: LogGap | null;
}

/** What a replay from a base can walk; no logs: the log that it begins in is not there yet. */
export interface ShippedStretch<B extends LogBase = Manifest> {
  base: B;
  /** null: no log of its server is there */
  lineage: string | null;
  logs: ShippedLog[];
  hole: LogGap | null;
}

/** Newest first. */
export function shippedBases(manifests: readonly Manifest[]): Manifest[] {
  return usableBases(manifests).toSorted((a, b) => consistentAt(b) - consistentAt(a));
}

/** The logs in runs, those of one lineage in order. */
export function runsOf(logs: readonly ShippedLog[]): LogRun[] {
  const lineages = Map.groupBy(logs, ({ lineage }) => lineage);
  return [...lineages].flatMap(([lineage, own]) => {
    const runs: LogRun[] = [];
    for (const log of own.toSorted((a, b) => a.number - b.number || cmp(a.createdAt, b.createdAt))) {
      const run = runs.at(-1);
      const last = run?.logs.at(-1);
      if (run === undefined || last === undefined) runs.push({ lineage, logs: [log], hole: null });
      else if (last.number === log.number) continue;
      else if (follows(last, log)) run.logs.push(log);
      else {
        run.hole = holeBetween(last, log);
        runs.push({ lineage, logs: [log], hole: null });
      }
    }
    return runs;
  });
}

/** By name and, where the server has them, by GTIDs. */
function follows(last: ShippedLog, next: ShippedLog): boolean {
  const known = last.after !== null && next.before !== null;
  return next.number === last.number + 1 && (!known || last.after === next.before);
}

function holeBetween(last: ShippedLog, next: ShippedLog): LogGap {
  const count = next.number - last.number - 1;
  const [first, final] = count === 0 ? [next.name, next.name] : [last.number + 1, next.number - 1];
  const nameOf = (log: string | number) => (typeof log === 'string' ? log : siblingOf(next.name, log));
  return {
    timeline: timelineOf(next.lineage),
    firstMissing: nameOf(first as string | number),
    lastMissing: nameOf(final as string | number),
    count,
    after: last.lastAt,
    before: next.createdAt,
  };
}

/** What can be replayed from a base: the logs from the one that it begins in, as far as none is missing. */
export function stretchFrom<B extends LogBase>(base: B, runs: readonly LogRun[]): ShippedStretch<B> {
  const { startLog } = base.positions;
  const moment = consistentAt(base);
  const own = runs
    .filter(({ lineage }) => serverOf(lineage) === lineageServer(base))
    .toSorted((a, b) => generationOf(b.lineage) - generationOf(a.lineage));
  for (const { lineage, logs, hole } of own) {
    // Names come again after a reset: the log has to be of the base's own time.
    const at = logs.findIndex(
      ({ name, createdAt }) => name === startLog && Date.parse(createdAt) <= moment + 1_000,
    );
    const log = logs[at];
    if (log !== undefined && Date.parse(log.lastAt) >= Math.floor(moment / 1_000) * 1_000) {
      return { base, lineage, logs: logs.slice(at), hole };
    }
  }
  const young = own.find(({ logs }) => logs.some(({ createdAt }) => Date.parse(createdAt) <= moment));
  return { base, lineage: young?.lineage ?? null, logs: [], hole: null };
}

/** Up to when a replay proves everything: what commits in the last second of a log may lie in the next one. */
export const provenUntil = ({ base, logs }: ShippedStretch<LogBase>): number =>
  Math.max(consistentAt(base), ...logs.slice(-1).map(({ lastAt }) => Date.parse(lastAt) - 1));

const lineageServer = ({ systemIdentifier }: LogBase): string =>
  (systemIdentifier ?? '').replaceAll(/[^0-9A-Za-z-]/g, '-');

const cmp = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
