import { type LogIndex, nameOf, numberOf, type Recoverability } from './chain.ts';
import type { History } from './history.ts';
import type { ArchivedLog } from './logs.ts';

/** Archived logs that may hold what committed in a span of time. */
export interface LogRange {
  /** in order; where logs are missing, the next one follows all the same */
  logs: ArchivedLog[];
  /** said to people: what could not be searched, and why */
  notices: string[];
}

/** A transaction that ended at a moment has usually begun within this. */
const TRANSACTION_MS = 60_000;
/** The clocks of S3 and of the database may differ by this much. */
const CLOCK_TOLERANCE_MS = 5 * 60_000;

/**
 * The archived logs between two moments, along the newest timeline of the newest incarnation, of the stanza that the
 * database archived in at the end of the span. A heartbeat tells
 * exactly which log a moment lies in; without one the time at which a log was archived tells an end: what it holds
 * is older.
 */
export function logsBetween(
  known: Recoverability,
  span: { from: number; to: number },
  segmentBytes: LogIndex['segmentBytes'],
): LogRange {
  const place = placeAt(known.former ?? [], span.to);
  const path = newestPath(known.segments.filter(place.holds), segmentBytes);
  const moved =
    span.from < place.since
      ? [
          `the database was moved at ${new Date(place.since).toISOString()}: what committed before, at its former place, is not searched; ask for a time until then`,
        ]
      : [];
  if (path.length === 0) return { logs: [], notices: ['no log is archived', ...moved] };
  const isOfPlace = ({ at }: Mark) => at > place.since && at <= place.until;
  const beats = known.heartbeats
    .map(({ at, log }) => ({ at: Date.parse(at), number: numberOf(log, segmentBytes) ?? -1 }))
    .filter(isOfPlace)
    .sort((a, b) => a.at - b.at);
  // The end of a physical backup lies in its last log; the tool tells it in whole seconds, which is within the margin.
  const marks = [
    ...beats,
    ...known.manifests.flatMap(({ finishedAt, positions }) => {
      const number = positions.stopLog === null ? null : numberOf(positions.stopLog, segmentBytes);
      return number === null ? [] : [{ at: Date.parse(finishedAt), number }];
    }),
  ]
    .filter(isOfPlace)
    .sort((a, b) => a.at - b.at);
  const first = firstNumber(path, marks, span.from - TRANSACTION_MS);
  const last = beats.find(({ at }) => at > span.to)?.number ?? Number.POSITIVE_INFINITY;
  const chosen = path.filter(({ number }) => number >= first && number <= last);
  return {
    logs: chosen.map(({ log }) => log),
    notices: [...moved, ...noticesOf({ path, chosen, beats, marks, span, segmentBytes })],
  };
}

/** The place that the database lived at in a moment, and from when to when, in milliseconds. */
function placeAt(former: History['former'], at: number) {
  const index = former.findLastIndex(({ until }) => at <= Date.parse(until));
  const place = former[index];
  const before = former[index + 1];
  return {
    holds: ({ stanza }: ArchivedLog) =>
      place === undefined ? former.every((one) => one.stanza !== stanza) : stanza === place.stanza,
    since: before === undefined ? Number.NEGATIVE_INFINITY : Date.parse(before.until),
    until: place === undefined ? Number.POSITIVE_INFINITY : Date.parse(place.until),
  };
}

/** A moment, and the number of the log that it lies in. */
interface Mark {
  at: number;
  number: number;
}

interface Numbered {
  number: number;
  timeline: number;
  log: ArchivedLog;
}

/** One log for each number: a timeline that was branched off takes the place of what came after in the older one. */
function newestPath(segments: readonly ArchivedLog[], segmentBytes: number): Numbered[] {
  const whole = segments.filter(({ kind }) => kind === 'segment');
  const newest = whole.reduce((most, { archive }) => Math.max(most, incarnationOf(archive)), 0);
  const byTimeline = new Map<number, Numbered[]>();
  for (const log of whole.filter(({ archive }) => incarnationOf(archive) === newest)) {
    const timeline = Number.parseInt(log.name.slice(0, 8), 16);
    const number = numberOf(log.name, segmentBytes);
    if (number === null) continue;
    const own = byTimeline.get(timeline);
    if (own === undefined) byTimeline.set(timeline, [{ number, timeline, log }]);
    else own.push({ number, timeline, log });
  }
  let path: Numbered[] = [];
  for (const timeline of [...byTimeline.keys()].sort((a, b) => a - b)) {
    const own = (byTimeline.get(timeline) ?? []).sort((a, b) => a.number - b.number);
    const branch = own[0]?.number ?? 0;
    path = [...path.filter(({ number }) => number < branch), ...own];
  }
  return path;
}

const incarnationOf = (archive: string): number => Number(archive.split('-')[1]);

function firstNumber(path: readonly Numbered[], marks: readonly Mark[], from: number) {
  const numbers = new Set(path.map(({ number }) => number));
  const mark = marks.findLast(({ at, number }) => at <= from && numbers.has(number));
  if (mark !== undefined) return mark.number;
  const ended = path.findLast(({ log }) => Date.parse(log.archivedAt) < from - CLOCK_TOLERANCE_MS);
  return ended?.number ?? Number.NEGATIVE_INFINITY;
}

function noticesOf(input: {
  path: readonly Numbered[];
  chosen: readonly Numbered[];
  beats: readonly Mark[];
  marks: readonly Mark[];
  span: { from: number; to: number };
  segmentBytes: number;
}): string[] {
  const { path, chosen, beats, marks, span, segmentBytes } = input;
  const notices: string[] = [];
  const [oldest, newest] = [path[0] as Numbered, path.at(-1) as Numbered];
  const reaches =
    chosen[0] !== oldest ||
    marks.some(({ at, number }) => at <= span.from && number >= oldest.number) ||
    Date.parse(oldest.log.archivedAt) < span.from - CLOCK_TOLERANCE_MS;
  if (!reaches)
    notices.push(`the oldest archived log is ${oldest.log.name}: what came before it cannot be searched`);
  for (const [at, { number, timeline }] of chosen.entries()) {
    const next = chosen[at + 1];
    if (next === undefined || next.number <= number + 1) continue;
    const missing = next.number - number - 1;
    const name = (which: number) => nameOf(timeline, which, segmentBytes);
    notices.push(
      `${missing} logs are missing, ${name(number + 1)} to ${name(next.number - 1)}: what they held is not searched`,
    );
  }
  const proved = beats.some(({ at, number }) => at > span.to && number <= newest.number);
  if (!proved) {
    notices.push(
      `the newest archived log is ${newest.log.name}: what is in a later log, which is still open, is not searched`,
    );
  }
  return notices;
}
