import type { LogGap, Manifest } from '../model/backup.ts';
import { DEFAULT_SEGMENT_BYTES, formatSegmentName, parseLsn, parseSegmentName } from '../model/wal.ts';
import type { Heartbeat } from './heartbeats.ts';
import type { History } from './history.ts';
import type { ArchivedLog } from './logs.ts';
import type { ShippedLog } from './shipped/name.ts';

/** What the repository holds of one database: all that is needed to say what can be recovered. */
export interface Recoverability {
  manifests: readonly Manifest[];
  segments: readonly ArchivedLog[];
  /** in any order */
  heartbeats: readonly Heartbeat[];
  /** where it lived before, newest first; absent: it never moved */
  former?: History['former'];
  /** logs that we ship, where the server does not archive; absent: it does */
  shipped?: readonly ShippedLog[];
}

/** Consecutive archived segments of one timeline, by number. */
interface SegmentRun {
  first: number;
  last: number;
  /** when each was archived, from `first` on; milliseconds */
  archivedAt: number[];
}

/** One incarnation of the cluster in one stanza. */
interface Archive {
  stanza: string;
  archive: string;
  /** runs in order */
  timelines: Map<number, SegmentRun[]>;
}

export interface LogIndex {
  segmentBytes: number;
  archives: Archive[];
  former: History['former'];
  /** by timeline, oldest first */
  heartbeats: Map<number, Commit[]>;
}

/** A heartbeat's commit: milliseconds, the segment that holds it, and its transaction. */
export interface Commit {
  at: number;
  segment: number;
  xid?: string;
}

/** Missing segments, by number, and those archived behind them, which no replay from before the hole reaches. */
interface Hole {
  first: number;
  last: number;
  beyond: { first: string; last: string; count: number };
}

/** Archived segments of one timeline without a hole, that a replay from a base can walk. */
export interface Stretch {
  timeline: number;
  first: number;
  last: number;
  /** the stretch that this timeline branched off; null for the base's own */
  parent: Stretch | null;
  /** what is missing behind it, where later segments are archived */
  hole: Hole | null;
  /** what replaying this stretch proves, oldest first */
  heartbeats: Commit[];
}

const SEGMENT_SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024].map((mib) => mib * 1024 * 1024);
/** The clocks of S3 and of the database may differ by this much. */
const CLOCK_TOLERANCE_MS = 5 * 60_000;

export function indexLogs(known: Recoverability): LogIndex {
  const { manifests, segments, heartbeats, former = [] } = known;
  const segmentBytes = segmentBytesOf(manifests);
  const archives = groupSegments(segments, segmentBytes).map(({ numbers, ...archive }) => ({
    ...archive,
    timelines: new Map([...numbers].map(([timeline, ofTimeline]) => [timeline, runsOf(ofTimeline)])),
  }));
  const beats: LogIndex['heartbeats'] = new Map();
  for (const { at, timeline, log, xid } of heartbeats) {
    const segment = numberOf(log, segmentBytes);
    const list = beats.get(timeline) ?? [];
    if (segment !== null) list.push({ at: Date.parse(at), segment, ...(xid === undefined ? {} : { xid }) });
    beats.set(timeline, list);
  }
  for (const list of beats.values()) list.sort((a, b) => a.at - b.at);
  return { segmentBytes, archives, former, heartbeats: beats };
}

/**
 * Every stretch of log that a replay from this base can walk, by timeline; the first is the base's own. Empty
 * where the logs that the base itself needs are not all archived. A timeline is taken as a branch of the highest
 * one below it that it continues without a hole: the listing does not tell what its history file says.
 */
export function stretchesFrom(manifest: Manifest, index: LogIndex): Stretch[] {
  const { startLog, stopLog } = manifest.positions;
  const start = startLog === null ? null : parseSegmentName(startLog, index.segmentBytes);
  const stop = stopLog === null ? null : numberOf(stopLog, index.segmentBytes);
  if (start === null || stop === null) return [];
  const left = index.former.find(({ stanza }) => stanza === manifest.stanza)?.until;
  const until = left === undefined ? Number.POSITIVE_INFINITY : Date.parse(left);
  const own = { timeline: start.timeline, first: Number(start.number) };
  for (const timelines of archivesFor(manifest, index)) {
    const run = runWith(timelines.get(own.timeline), own.first);
    if (run === undefined || run.last < stop) continue;
    const stretches = [stretchOver(index, timelines, { ...own, run, parent: null, provenFrom: stop, until })];
    for (const timeline of [...timelines.keys()].sort((a, b) => a - b)) {
      const branch = timelines.get(timeline)?.[0];
      if (timeline <= own.timeline || branch === undefined || branch.first < stop) continue;
      const parent = stretches.findLast(
        ({ first, last }) => branch.first >= first && branch.first <= last + 1,
      );
      if (parent === undefined) continue;
      stretches.push(
        stretchOver(index, timelines, {
          timeline,
          first: branch.first,
          run: branch,
          parent,
          provenFrom: branch.first,
          until,
        }),
      );
    }
    return stretches;
  }
  return [];
}

/** How many segments a replay reads from the base's first up to this one of a stretch. */
export function countSegments(stretch: Stretch, last: number): number {
  const before = stretch.parent === null ? 0 : countSegments(stretch.parent, stretch.first - 1);
  return before + Math.max(0, last - stretch.first + 1);
}

/** Missing segments between archived ones, in every incarnation and timeline. */
export function gapsOf(index: LogIndex): LogGap[] {
  const gaps: LogGap[] = [];
  for (const { timelines } of index.archives) {
    for (const [timeline, runs] of timelines) {
      for (const [position, run] of runs.entries()) {
        const next = runs[position + 1] ?? branchAfter(timelines, timeline, run.last);
        if (next === undefined || next.first <= run.last + 1) continue;
        gaps.push({
          timeline,
          firstMissing: nameOf(timeline, run.last + 1, index.segmentBytes),
          lastMissing: nameOf(timeline, next.first - 1, index.segmentBytes),
          count: next.first - run.last - 1,
          after: isoTime(run.archivedAt.at(-1)),
          before: isoTime(next.archivedAt[0]),
        });
      }
    }
  }
  return gaps;
}

export function nameOf(timeline: number, number: number, segmentBytes: number): string {
  return formatSegmentName({ timeline, number: BigInt(number) }, segmentBytes);
}

function stretchOver(
  index: LogIndex,
  timelines: Map<number, SegmentRun[]>,
  from: {
    timeline: number;
    first: number;
    run: SegmentRun;
    parent: Stretch | null;
    /** what replaying it proves begins with this segment, and ends with this moment */
    provenFrom: number;
    until: number;
  },
): Stretch {
  const { timeline, first, run, parent, provenFrom, until } = from;
  const runs = timelines.get(timeline) ?? [];
  const next = runs[runs.indexOf(run) + 1] ?? branchAfter(timelines, timeline, run.last);
  return {
    timeline,
    first,
    last: run.last,
    parent,
    hole:
      next === undefined || next.first <= run.last + 1
        ? null
        : {
            ...{ first: run.last + 1, last: next.first - 1 },
            beyond: beyond(timelines, { timeline, number: next.first }, index.segmentBytes),
          },
    heartbeats: (index.heartbeats.get(timeline) ?? []).filter(({ at, segment }) => {
      const archivedAt = run.archivedAt[segment - run.first];
      // A commit that is younger than the archived segment of its name was made by another incarnation.
      if (segment < provenFrom || archivedAt === undefined) return false;
      return at <= Math.min(archivedAt + CLOCK_TOLERANCE_MS, until);
    }),
  };
}

/** The archived segments from this one on, of this timeline and of later ones. */
function beyond(
  timelines: Map<number, SegmentRun[]>,
  from: { timeline: number; number: number },
  segmentBytes: number,
): Hole['beyond'] {
  const runs = [...timelines]
    .filter(([timeline]) => timeline >= from.timeline)
    .sort(([a], [b]) => a - b)
    .flatMap(([timeline, ofTimeline]) =>
      ofTimeline.filter(({ first }) => first >= from.number).map((run) => ({ ...run, timeline })),
    );
  const [first, last] = [runs[0], runs.at(-1)];
  if (first === undefined || last === undefined)
    throw new TypeError('a hole has archived segments behind it');
  return {
    first: nameOf(first.timeline, first.first, segmentBytes),
    last: nameOf(last.timeline, last.last, segmentBytes),
    count: runs.reduce((sum, run) => sum + run.last - run.first + 1, 0),
  };
}

/** The run with which a later timeline goes on from the end of this one, or leaves a hole. */
function branchAfter(
  timelines: Map<number, SegmentRun[]>,
  timeline: number,
  last: number,
): SegmentRun | undefined {
  const isNewest = (timelines.get(timeline)?.at(-1)?.last ?? last) === last;
  const next = Math.min(...[...timelines.keys()].filter((other) => other > timeline));
  const branch = timelines.get(next)?.[0];
  return isNewest && branch !== undefined && branch.first > last ? branch : undefined;
}

/** The incarnations that the base may be of: in its own stanza, of the same major version, the youngest first. */
function archivesFor(manifest: Manifest, index: LogIndex): Archive['timelines'][] {
  const major = Number.parseInt(manifest.serverVersion, 10);
  return index.archives
    .filter(({ stanza, archive }) => stanza === manifest.stanza && Number.parseInt(archive, 10) === major)
    .sort((a, b) => Number(b.archive.split('-')[1]) - Number(a.archive.split('-')[1]))
    .map(({ timelines }) => timelines);
}

function groupSegments(segments: readonly ArchivedLog[], segmentBytes: number) {
  const groups = new Map<
    string,
    { stanza: string; archive: string; numbers: Map<number, Map<number, number>> }
  >();
  for (const { kind, name, stanza, archive, archivedAt } of segments) {
    const segment = kind === 'segment' ? parseSegmentName(name, segmentBytes) : null;
    if (segment === null) continue;
    const key = `${stanza}/${archive}`;
    const group = groups.get(key) ?? { stanza, archive, numbers: new Map() };
    groups.set(key, group);
    const ofTimeline = group.numbers.get(segment.timeline) ?? new Map<number, number>();
    group.numbers.set(segment.timeline, ofTimeline.set(Number(segment.number), Date.parse(archivedAt)));
  }
  return [...groups.values()];
}

function runsOf(numbers: Map<number, number>): SegmentRun[] {
  const runs: SegmentRun[] = [];
  for (const [number, archivedAt] of [...numbers].sort(([a], [b]) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && run.last === number - 1) {
      run.last = number;
      run.archivedAt.push(archivedAt);
    } else {
      runs.push({ first: number, last: number, archivedAt: [archivedAt] });
    }
  }
  return runs;
}

function runWith(runs: SegmentRun[] | undefined, number: number): SegmentRun | undefined {
  return runs?.find(({ first, last }) => first <= number && number <= last);
}

export function numberOf(log: string, segmentBytes: number): number | null {
  const segment = parseSegmentName(log, segmentBytes);
  return segment === null ? null : Number(segment.number);
}

/** A cluster may have been made with another segment size: then its bases' positions and names tell it. */
function segmentBytesOf(manifests: readonly Manifest[]): number {
  for (const { positions } of manifests) {
    const { start, startLog } = positions;
    const timeline = startLog === null ? undefined : parseSegmentName(startLog)?.timeline;
    if (start === null || timeline === undefined) continue;
    const fits = (bytes: number) =>
      formatSegmentName({ timeline, number: parseLsn(start) / BigInt(bytes) }, bytes) === startLog;
    if (fits(DEFAULT_SEGMENT_BYTES)) return DEFAULT_SEGMENT_BYTES;
    const found = SEGMENT_SIZES.find(fits);
    if (found !== undefined) return found;
  }
  return DEFAULT_SEGMENT_BYTES;
}

function isoTime(milliseconds: number | undefined): string | null {
  return milliseconds === undefined ? null : new Date(milliseconds).toISOString();
}
