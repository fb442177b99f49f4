import fc from 'fast-check';
import type { Manifest } from '../../../../src/model/backup.ts';
import { lineageOf, type ShippedLog } from '../../../../src/repository/shipped/name.ts';
import { dump, EPOCH, logName, OTHER, SERVER, shipped } from './shop.ts';

/** What really happened at a server: each log with its true times, in milliseconds since EPOCH. */
export interface TrueLog {
  generation: number;
  server: string;
  number: number;
  from: number;
  to: number;
  gtids: [number, number];
  isShipped: boolean;
}

export interface TrueBase {
  id: string;
  at: number;
  /** place of the log that it begins in */
  log: number;
}

export interface History {
  /** in the order in which they were written, all generations of all servers */
  logs: TrueLog[];
  bases: TrueBase[];
  hasGtids: boolean;
  end: number;
}

interface Era {
  server: string;
  first: number;
  durations: number[];
}

const eras = fc.array(
  fc.record({
    server: fc.constantFrom(SERVER, SERVER, OTHER),
    // A server that is not new, one at the seventh digit, or one that counts from the beginning.
    first: fc.constantFrom(1, 1, 7, 999_998),
    durations: fc.array(fc.oneof(fc.integer({ min: 0, max: 900 }), fc.integer({ min: 0, max: 9_000 })), {
      minLength: 1,
      maxLength: 7,
    }),
  }),
  { minLength: 1, maxLength: 3 },
);

export const histories: fc.Arbitrary<History> = fc
  .record({
    eras,
    hasGtids: fc.boolean(),
    missing: fc.array(fc.nat({ max: 20 }), { maxLength: 3 }),
    tail: fc.integer({ min: 0, max: 2 }),
    // A double would be next to nothing as a rule: all doubles are as likely.
    bases: fc.array(fc.nat({ max: 999 }), { maxLength: 4 }),
  })
  .map(({ eras, hasGtids, missing, tail, bases }) => {
    const logs = logsOf(eras);
    for (const [place, log] of logs.entries()) {
      log.isShipped = !missing.includes(place) && place < logs.length - tail;
    }
    const end = logs.at(-1)?.to ?? 0;
    const placed = bases.flatMap((part, n) => {
      const at = Math.floor((part * end) / 1_000);
      const log = logs.findIndex(({ from, to }) => from <= at && at < to);
      // Whole seconds do not tell a reset within that of a snapshot, nor that its log is lost, while no log ends later.
      const isSure =
        log !== -1 &&
        !logs.some((one) => isFirst(logs, one) && Math.abs(one.from - at) < 2_000) &&
        (logs[log]?.isShipped || !logs.slice(log + 1).some(({ to }) => secondOf(to) === secondOf(at)));
      return isSure ? [{ id: `base${n}`, at, log }] : [];
    });
    return { logs, bases: placed, hasGtids, end };
  });

const secondOf = (milliseconds: number): number => Math.floor(milliseconds / 1_000);

function logsOf(eras: readonly Era[]): TrueLog[] {
  const logs: TrueLog[] = [];
  const generations = new Map<string, number>();
  // Between eras something is done by hand, which takes longer than a second.
  let at = 0;
  for (const { server, first, durations } of eras) {
    const generation = (generations.get(server) ?? 0) + 1;
    generations.set(server, generation);
    at += 5_000;
    for (const [n, duration] of durations.entries()) {
      logs.push({
        ...{ generation, server, number: first + n, from: at, to: at + duration },
        ...{ gtids: [n * 10, n * 10 + 10], isShipped: true },
      });
      at += duration;
    }
  }
  return logs;
}

export const isFirst = (logs: readonly TrueLog[], log: TrueLog): boolean => {
  const before = logs[logs.indexOf(log) - 1];
  return before === undefined || !isSameEra(before, log);
};

export const isSameEra = (a: TrueLog, b: TrueLog): boolean =>
  a.server === b.server && a.generation === b.generation;

/** What a listing says of it. */
export function asShipped({ logs, hasGtids }: History): ShippedLog[] {
  return logs.flatMap(({ isShipped, server, generation, number, from, to, gtids }) =>
    isShipped
      ? [
          shipped(number, from / 1_000, to / 1_000, {
            lineage: lineageOf(server, generation),
            gtids: hasGtids ? gtids : null,
          }),
        ]
      : [],
  );
}

export function asManifests({ bases, logs }: History): Manifest[] {
  return bases.map(({ id, at, log }) => {
    const { server, number } = logs[log] as TrueLog;
    return dump(id, at / 1_000, number, { server });
  });
}

const wholeSecond = (ms: number): number => Math.floor(ms / 1_000) * 1_000;

/**
 * The log of the true history at which a replay from a base to a moment may end: each log on the way is in the repository,
 * and the last one is known to have ended after it. `base`: the backup alone. Null: it cannot be reached.
 */
export function leadsTo({ logs }: History, base: TrueBase, moment: number): number | 'base' | null {
  if (moment < base.at) return null;
  if (moment === base.at) return 'base';
  const start = logs[base.log] as TrueLog;
  for (let place = base.log; place < logs.length; place += 1) {
    const log = logs[place] as TrueLog;
    if (!isSameEra(log, start) || !log.isShipped) return null;
    if (wholeSecond(log.to) > moment) return place;
  }
  return null;
}

/** Nothing that the server wrote since the base is missing, but for what is not shipped yet. */
export function isOpen({ logs }: History, base: TrueBase): boolean {
  const last = logs.findLastIndex(({ isShipped }) => isShipped);
  const start = logs[base.log] as TrueLog;
  const since = logs.slice(base.log, last + 1);
  return since.every((log) => log.isShipped && isSameEra(log, start));
}

export const momentOf = (at: number): Date => new Date(EPOCH + at);
export const nameOfPlace = ({ logs }: History, place: number): string => logName(logs[place]?.number ?? 0);
