/** A log by its place: names of two segment sizes are alike, numbers are not. */
export interface LogPlace {
  timeline: number;
  number: number;
}

/** Consecutive logs of one timeline. */
export interface LogRun {
  timeline: number;
  first: number;
  last: number;
}

/** What a round sees of the logs behind a place up to which every one is archived. */
export interface Sight {
  from: LogPlace;
  /** archived logs behind it, in any order; milliseconds */
  archived: readonly (LogPlace & { archivedAt: number })[];
  /** complete on the server, and not handed over by its archiver yet; null: the server could not be asked */
  ready: readonly LogPlace[] | null;
  /** the holes of the round before */
  before: readonly LogRun[];
  now: number;
  /** archivers push many logs at once, and so in no order: a hole counts when what is above it has been there this long */
  settleMs: number;
}

/** One timeline, as far as a round saw it. */
export interface TimelineState {
  timeline: number;
  /** its first archived log behind the place; null: the timeline of the place itself */
  archivedFrom: number | null;
  /** every log up to here is archived; null: not one of the timeline is */
  archivedUpTo: number | null;
  /** complete on the server, or missing below archived ones and not looked at long enough */
  inFlight: LogRun[];
  /** missing for good: nothing behind it can be reached from before it */
  lost: Hole[];
}

export interface Classified {
  /** from the oldest to the newest */
  timelines: TimelineState[];
  /** what the next round has to begin with: everything up to here is archived or lost */
  seenUpTo: LogPlace;
  /** the next round's `before` */
  holes: LogRun[];
}

export interface Hole extends LogRun {
  /** since when there is something above it; milliseconds */
  since: number;
}

/**
 * Says of each log whether it is archived, in flight or lost. A hole is lost where nothing of it waits on the server, where
 * what lies above it has settled, and where the round before has seen the same hole: never in one look.
 */
export function classifySegments(sight: Sight): Classified {
  const { from } = sight;
  const byTimeline = numbersOf(sight);
  const timelines: TimelineState[] = [];
  const holes: LogRun[] = [];
  let seenUpTo = from;
  let isOpen = false;
  for (const [index, [timeline, numbers]] of byTimeline.entries()) {
    const next = byTimeline[index + 1];
    const isFirst = timeline === from.timeline;
    const archivedFrom = isFirst ? null : (numbers[0]?.number ?? null);
    // A later timeline goes on where it was branched off: what it begins with is no hole of its own.
    let last = archivedFrom === null ? from.number : archivedFrom - 1;
    const archivedUpTo = isFirst ? from.number : null;
    const state: TimelineState = { timeline, archivedFrom, archivedUpTo, inFlight: [], lost: [] };
    const pass = (hole: Hole) => {
      holes.push(runOf(hole));
      if (isGone(hole, sight)) {
        state.lost.push(hole);
      } else {
        state.inFlight.push(runOf(hole));
        isOpen = true;
      }
    };
    for (const { number, archivedAt } of numbers) {
      if (number <= last) continue;
      if (number > last + 1) pass({ timeline, first: last + 1, last: number - 1, since: archivedAt });
      last = number;
      if (holes.every((hole) => hole.timeline !== timeline)) state.archivedUpTo = number;
      if (!isOpen) seenUpTo = { timeline, number };
    }
    const branch = next?.[1][0];
    if (branch !== undefined && branch.number > last + 1) {
      pass({ timeline, first: last + 1, last: branch.number - 1, since: branch.archivedAt });
    }
    state.inFlight.push(...readyAbove(sight, timeline, last));
    timelines.push(state);
  }
  return { timelines, seenUpTo, holes };
}

/** Timelines from that of the place on, the numbers of each in order. */
function numbersOf({ from, archived }: Sight) {
  const found = new Map<number, Map<number, number>>([[from.timeline, new Map()]]);
  for (const { timeline, number, archivedAt } of archived) {
    if (timeline < from.timeline) continue;
    const ofTimeline = found.get(timeline) ?? new Map<number, number>();
    found.set(timeline, ofTimeline.set(number, archivedAt));
  }
  return [...found]
    .sort(([a], [b]) => a - b)
    .map(
      ([timeline, numbers]) =>
        [
          timeline,
          [...numbers]
            .map(([number, archivedAt]) => ({ number, archivedAt }))
            .sort((a, b) => a.number - b.number),
        ] as const,
    );
}

function isGone(hole: Hole, { ready, before, now, settleMs }: Sight): boolean {
  if (ready === null || now - hole.since < settleMs) return false;
  const waits = ready.some(({ timeline, number }) => timeline === hole.timeline && within(hole, number));
  return !waits && before.some((one) => isSame(one, hole));
}

/** Logs that wait behind everything that is archived, as runs. */
function readyAbove({ ready }: Sight, timeline: number, last: number): LogRun[] {
  const numbers = (ready ?? [])
    .filter((one) => one.timeline === timeline && one.number > last)
    .map(({ number }) => number)
    .sort((a, b) => a - b);
  const runs: LogRun[] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run !== undefined && number <= run.last + 1) run.last = number;
    else runs.push({ timeline, first: number, last: number });
  }
  return runs;
}

const within = ({ first, last }: LogRun, number: number) => first <= number && number <= last;

const runOf = ({ timeline, first, last }: LogRun): LogRun => ({ timeline, first, last });

export function isSame(a: LogRun, b: LogRun): boolean {
  return a.timeline === b.timeline && a.first === b.first && a.last === b.last;
}
