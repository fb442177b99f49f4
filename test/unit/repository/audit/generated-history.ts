import fc from 'fast-check';
import type { AuditedNode, AuditedPolicy, AuditedVersion } from '../../../../src/repository/audit/facts.ts';
import { DAY, HOUR } from './generated-basics.ts';
import { timesBetween } from './model-schedule.ts';

/** Four segments a day. */
const SEGMENT_MS = 6 * HOUR;
const segmentAt = (at: number): number => Math.floor(at / SEGMENT_MS);

/** When each thing ended, and what became of the logs. */
interface History {
  fulls: number[];
  diffs: number[];
  logicals: number[];
  snapshots: number[];
  logsFrom: number;
  /** segments that are nowhere */
  holes: number[];
  /** when a new timeline began, and when the database moved to another stanza; null: never */
  switchedAt: number | null;
  movedAt: number | null;
  /** segments that the old primary archived further on the timeline that was left */
  leftBehind: number;
  /** how many segments one run holds at the most */
  runLength: number;
  /** whether runs and bases name their archive */
  isArchiveKnown: boolean;
  durations: number[];
}

/** Backups at any time, of which many lack something. */
export function wildHistories(now: number): fc.Arbitrary<History> {
  return fc.record({
    fulls: times(now, 45, 5),
    diffs: times(now, 45, 5),
    logicals: times(now, 35, 4),
    snapshots: times(now, 120, 4),
    logsFrom: oneIn(2, times(now, 50, 1)).map((drawn) => drawn?.[0] ?? now - 60 * DAY),
    ...changes(now),
  });
}

/** As the schedules would have made it, for weeks, so that every promise is kept before anything befalls it. */
export function orderlyHistories(now: number, policy: AuditedPolicy): fc.Arbitrary<History> {
  const weeks = fc.constantFrom(40, 40, 40, 3, 12);
  return fc.tuple(weeks, fc.record(changes(now))).map(([length, drawn]): History => {
    const due = (crons: string[]) => pastTimes(crons, now, length);
    const fulls = due(policy.fulls);
    const known = fulls.slice(-policy.retentionFull);
    const diffs = due(policy.diffs).filter((at) => !fulls.includes(at) && at > (known[0] ?? at));
    const months = pastTimes(policy.snapshots ? ['0 18 1 * *'] : [], now, 100);
    const logsFrom = Math.min(now - length * DAY, known[0] ?? now);
    return {
      fulls: known,
      ...{ diffs, logicals: due(policy.logicals), snapshots: months, logsFrom },
      ...{ ...drawn, durations: [0] },
    };
  });
}

const changes = (now: number) => ({
  holes: oneIn(8, times(now, 45, 2)).map((drawn) => drawn ?? []),
  switchedAt: oneIn(8, times(now, 30, 1)).map((drawn) => drawn?.[0] ?? null),
  movedAt: oneIn(12, times(now, 30, 1)).map((drawn) => drawn?.[0] ?? null),
  leftBehind: fc.constantFrom(0, 0, 1, 3),
  runLength: fc.constantFrom(4, 4, 4, 1, 3),
  isArchiveKnown: fc.boolean(),
  durations: fc.array(fc.constantFrom(0, 0, HOUR, 5 * HOUR, 30 * HOUR), { minLength: 9, maxLength: 9 }),
});

function pastTimes(crons: string[], now: number, days: number): number[] {
  const tomorrow = (Math.floor(now / DAY) + 1) * DAY;
  return timesBetween(crons, tomorrow - (days + 1) * DAY, tomorrow).filter((at) => at <= now);
}

/** Some on midnights, and some a little beside. */
function times(now: number, maxDays: number, maxLength: number): fc.Arbitrary<number[]> {
  const beside = fc.constantFrom(0, 0, HOUR, 4 * HOUR, 90 * 60_000, 1);
  const from = fc.constantFrom(now, now, Math.floor(now / DAY) * DAY);
  const time = fc
    .tuple(from, fc.integer({ min: 0, max: maxDays }), beside)
    .map(([start, days, before]) => start - days * DAY - before);
  return fc.uniqueArray(time, { maxLength });
}

function oneIn<T>(count: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.oneof({ weight: count - 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
}

/** What a database left in the repository: bases with their logs, dumps, snapshots. */
export function nodesOf(name: string, now: number, history: History): AuditedNode[] {
  const placeAt = (at: number) => {
    const stanza = history.movedAt === null || at >= history.movedAt ? name : `${name}-before`;
    const timeline = history.switchedAt === null || at < history.switchedAt ? 1 : 2;
    return { stanza, timeline, ...(history.isArchiveKnown ? { archive: `${stanza}/15-1` } : {}) };
  };
  let made = 0;
  const backup = (kind: 'full' | 'diff' | 'logical' | 'snapshot', finishedAt: number): AuditedNode => {
    const startedAt = finishedAt - (history.durations[made % history.durations.length] ?? 0);
    made += 1;
    const isTools = kind === 'full' || kind === 'diff';
    const { stanza, ...place } = placeAt(startedAt);
    const id = `${kind === 'diff' ? 'D' : kind[0]?.toUpperCase()}${made}`;
    const folder = isTools ? `pgbackrest/backup/${stanza}/${id}/` : `${kind}/${name}/${id}/`;
    const versions = [
      plain(`${folder}data`, finishedAt, 1_073_741_825),
      plain(`${folder}note`, finishedAt, 16_384),
      plain(`manifest/${name}/${id}.json`, finishedAt, 16_384),
    ];
    const replayFrom = { ...place, first: segmentAt(startedAt), stop: segmentAt(finishedAt) };
    return {
      ...{ id, kind, startedAt, finishedAt, needs: [], readBy: isTools ? 'key' : 'version', versions },
      ...{ missing: [], ...(isTools ? { replayFrom } : {}) },
    };
  };
  const fulls = history.fulls.map((at) => backup('full', at));
  const diffs = history.diffs.flatMap((at) => {
    const diff = backup('diff', at);
    const before = fulls.filter(
      (full) =>
        full.finishedAt <= diff.startedAt &&
        placeAt(full.startedAt).stanza === placeAt(diff.startedAt).stanza,
    );
    const newest = before.toSorted((a, b) => b.startedAt - a.startedAt)[0];
    return newest === undefined ? [] : [{ ...diff, needs: [newest.id] }];
  });
  return [
    ...fulls,
    ...diffs,
    ...history.logicals.map((at) => backup('logical', at)),
    ...history.snapshots.map((at) => backup('snapshot', at)),
    ...logs(now, history, placeAt),
  ];
}

type Place = { stanza: string; timeline: number; archive?: string };

/** Runs of a day, place and timeline at the most, interrupted by holes; the segment of now is not archived yet. */
function logs(now: number, history: History, placeAt: (at: number) => Place): AuditedNode[] {
  const holes = new Set(history.holes.map(segmentAt));
  const runs: (Place & { first: number; last: number })[] = [];
  const hold = (number: number, place: Place) => {
    if (holes.has(number)) return;
    const open = runs.at(-1);
    const isSame = open?.timeline === place.timeline && open.stanza === place.stanza;
    const isNext = open?.last === number - 1 && number - open.first < history.runLength;
    if (open !== undefined && isSame && isNext && number % 4 !== 0) open.last = number;
    else runs.push({ ...place, first: number, last: number });
  };
  for (let number = segmentAt(history.logsFrom); number < segmentAt(now); number += 1) {
    hold(number, placeAt(number * SEGMENT_MS));
  }
  if (history.switchedAt !== null) {
    const first = segmentAt(history.switchedAt);
    for (let further = 0; further < history.leftBehind; further += 1) {
      hold(first + further, placeAt((first - 1) * SEGMENT_MS));
    }
  }
  return runs.map(({ stanza, ...segments }): AuditedNode => {
    const { timeline, first, last } = segments;
    const finishedAt = Math.min(now, (last + 1) * SEGMENT_MS - 1);
    const key = (number: number) => `pgbackrest/archive/${stanza}/15-1/${timeline}-${number}`;
    const versions = [...new Set([first, last])].map((number) => plain(key(number), finishedAt, 1_048_576));
    return {
      id: `logs ${stanza} ${timeline}-${first}..${last}`,
      ...{ kind: 'logs', startedAt: first * SEGMENT_MS, finishedAt, needs: [], readBy: 'key' },
      ...{ versions, missing: [], segments },
    };
  });
}

export function plain(key: string, writtenAt: number, sizeBytes: number): AuditedVersion {
  return {
    ...{ key, versionId: 'v1', writtenAt, sizeBytes, storageClass: 'STANDARD' },
    ...{ noncurrentSince: null, under: null, lock: null, legalHold: false, kmsKeyId: null, encrypted: false },
  };
}
