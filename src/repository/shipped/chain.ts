import type { LogGap, Manifest } from '../../model/backup.ts';
import { numberOf } from '../../model/log-position.ts';
import { consistentAt, type LogBase, usableBases } from '../bases.ts';
import { generationOf, type ShippedLog, serverNameOf, serverOf, siblingOf, timelineOf } from './name.ts';

/** Consecutive logs of one lineage, without a hole. */
export interface LogRun {
  lineage: string;
  /** of what earlier rounds have seen, those that `thinned` leaves */
  logs: ShippedLog[];
  /** what is missing behind it, where later logs of the lineage are there */
  hole: LogGap | null;
}

/** What a replay from a base can walk; no logs: the log that it begins in is not there. */
export interface ShippedStretch<B extends LogBase = Manifest> {
  base: B;
  /** null: no log of its server is there */
  lineage: string | null;
  logs: ShippedLog[];
  /** what ends it, where later logs of its server are there */
  hole: LogGap | null;
  /** what the server writes now goes on from here, with nothing in between */
  isOpen: boolean;
}

/** Newest first. */
export function shippedBases(manifests: readonly Manifest[]): Manifest[] {
  return newestFirst(usableBases(manifests));
}

export function newestFirst<B extends LogBase>(bases: readonly B[]): B[] {
  return bases.toSorted((a, b) => consistentAt(b) - consistentAt(a));
}

/** The logs in runs, those of one lineage in order. */
export const runsOf = (logs: readonly ShippedLog[]): LogRun[] => joined(logs.map((log) => [log]));

/** Pieces of histories, in any order and none of them torn, put together to runs; those of one lineage in order. */
export function joined(pieces: readonly (readonly ShippedLog[])[]): LogRun[] {
  const ends = pieces.flatMap((logs) => {
    const [first, last] = [logs[0], logs.at(-1)];
    return first === undefined || last === undefined ? [] : [{ logs, first, last }];
  });
  const lineages = Map.groupBy(ends, ({ first }) => first.lineage);
  return [...lineages].flatMap(([lineage, own]) => {
    const runs: LogRun[] = [];
    for (const { logs, first, last } of own.toSorted(inOrder)) {
      const run = runs.at(-1);
      const before = run?.logs.at(-1);
      if (run === undefined || before === undefined) runs.push({ lineage, logs: [...logs], hole: null });
      // There already, perhaps by another name.
      else if (last.number <= before.number) continue;
      else if (follows(before, first)) for (const log of logs) run.logs.push(log);
      else {
        run.hole = holeBetween(before, first);
        runs.push({ lineage, logs: [...logs], hole: null });
      }
    }
    return runs;
  });
}

interface Ends {
  first: ShippedLog;
  last: ShippedLog;
}

const inOrder = (a: Ends, b: Ends): number =>
  a.first.number - b.first.number ||
  b.last.number - a.last.number ||
  cmp(a.first.createdAt, b.first.createdAt);

/**
 * As much of a run as later rounds need: its ends, and the logs that bases begin in. It says the same of these bases, and of
 * what comes before and behind it.
 */
export function thinned({ logs }: LogRun, bases: readonly LogBase[]): ShippedLog[] {
  const begun = new Set(bases.map(({ positions }) => positions.startLog));
  return logs.filter(({ name }, at) => at === 0 || at === logs.length - 1 || begun.has(name));
}

/** By name and, where the server has them, by GTIDs. */
function follows(last: ShippedLog, next: ShippedLog): boolean {
  const known = last.after !== null && next.before !== null;
  return siblingOf(next.name, next.number - 1) === last.name && (!known || last.after === next.before);
}

function holeBetween(last: ShippedLog, next: ShippedLog): LogGap {
  return holeBefore(next, { first: siblingOf(next.name, last.number + 1), after: last.lastAt });
}

/** From a log on, by name, up to one that is there; where none has a name in between, something is missing all the same. */
function holeBefore(next: ShippedLog, { first, after }: { first: string; after: string }): LogGap {
  const from = numberOf(first) ?? next.number;
  const count = Math.max(0, next.number - from);
  return {
    timeline: timelineOf(next.lineage),
    firstMissing: count === 0 ? next.name : first,
    lastMissing: count === 0 ? next.name : siblingOf(next.name, next.number - 1),
    ...{ count, after, before: next.createdAt },
  };
}

/** What can be replayed from a base: the logs from the one that it begins in, as far as none is missing. */
export function stretchFrom<B extends LogBase>(base: B, runs: readonly LogRun[]): ShippedStretch<B> {
  const { startLog } = base.positions;
  const moment = consistentAt(base);
  const server = serverNameOf(base.systemIdentifier ?? '');
  const own = runs
    .filter(({ lineage }) => serverOf(lineage) === server)
    .toSorted((a, b) => generationOf(b.lineage) - generationOf(a.lineage));
  for (const { lineage, logs, hole } of own) {
    // Names come again after a reset: the log has to be of the base's own time.
    const at = logs.findIndex(({ name, createdAt }) => name === startLog && Date.parse(createdAt) <= moment);
    const log = logs[at];
    if (log !== undefined && Date.parse(log.lastAt) >= Math.floor(moment / 1_000) * 1_000) {
      const isOpen = hole === null && lineage === newestLineage(runs);
      return { base, lineage, logs: logs.slice(at), hole, isOpen };
    }
  }
  return withoutLogs(base, own, runs);
}

/** The log that a base begins in is still open, or it is lost. */
function withoutLogs<B extends LogBase>(
  base: B,
  own: readonly LogRun[],
  runs: readonly LogRun[],
): ShippedStretch<B> {
  const moment = consistentAt(base);
  const isLater = ({ lastAt }: ShippedLog) => Date.parse(lastAt) > moment;
  const [next] = own
    .flatMap(({ logs }) => logs.filter(isLater))
    .toSorted((a, b) => cmp(a.createdAt, b.createdAt) || a.number - b.number);
  if (next === undefined) {
    const isOpen = runs.every(({ logs }) => !logs.some(isLater));
    return { base, lineage: own[0]?.lineage ?? null, logs: [], hole: null, isOpen };
  }
  const after = new Date(moment).toISOString();
  const hole = holeBefore(next, { first: base.positions.startLog ?? next.name, after });
  return { base, lineage: next.lineage, logs: [], hole, isOpen: false };
}

/** Whose logs the server writes now, as far as names tell; null: there are none. */
export function newestLineage(runs: readonly LogRun[]): string | null {
  const lasts = runs.flatMap(({ logs }) => logs.slice(-1));
  const [newest] = [...Map.groupBy(lasts, ({ lineage }) => serverOf(lineage)).values()]
    .map((ofServer) => ofServer.toSorted((a, b) => generationOf(b.lineage) - generationOf(a.lineage))[0])
    .toSorted((a, b) => cmp(b?.lastAt ?? '', a?.lastAt ?? ''));
  return newest?.lineage ?? null;
}

/** Up to when a replay proves everything: what commits in the last second of a log may lie in the next one. */
export const provenUntil = ({ base, logs }: ShippedStretch<LogBase>): number =>
  Math.max(consistentAt(base), ...logs.slice(-1).map(({ lastAt }) => Date.parse(lastAt) - 1));

/**
 * The log at whose end everything that committed up to a moment is replayed; undefined: none is there yet. Where a clock
 * was set back, none counts while a later one ends before the moment.
 */
export function logOver(logs: readonly ShippedLog[], moment: number): ShippedLog | undefined {
  return logs[logs.findLastIndex(({ lastAt }) => Date.parse(lastAt) <= moment) + 1];
}

const cmp = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
