import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Manifest, RecoveryInterval } from '../../../src/model/backup.ts';
import { HoldfastError } from '../../../src/model/failure.ts';
import { gapsOf, indexLogs, stretchesFrom } from '../../../src/repository/chain.ts';
import { chooseBackup } from '../../../src/repository/choice.ts';
import { continuityOf } from '../../../src/repository/continuity.ts';
import type { Heartbeat } from '../../../src/repository/heartbeats.ts';
import { logsOf, manifestsOf } from '../../../src/repository/history.ts';
import type { ArchivedLog } from '../../../src/repository/logs.ts';
import {
  archived,
  archivedRange,
  base,
  EPOCH,
  heartbeat,
  isoAt,
  logName,
  onTimeline,
  SEGMENT_MS,
  segmentAt,
} from './recoverability.ts';

const NOW = new Date(EPOCH + 1_000_000);

interface World {
  manifests: Manifest[];
  segments: ArchivedLog[];
  heartbeats: Heartbeat[];
}

const SEGMENTS = 14;
/** What one place has written, from one segment on. */
const worldsAt = (place: { from: number; timeline: number; stanza: string }): fc.Arbitrary<World> => {
  const { from, timeline, stanza } = place;
  const to = from + SEGMENTS - 1;
  return fc
    .record({
      missing: fc.uniqueArray(fc.integer({ min: from, max: to }), { maxLength: 4 }),
      beats: fc.array(fc.integer({ min: from * SEGMENT_MS, max: (to + 1) * SEGMENT_MS - 1 }), {
        maxLength: 12,
      }),
      bases: fc.array(
        fc.record({ start: fc.integer({ min: from, max: to }), seconds: fc.integer({ min: 0, max: 40 }) }),
        { maxLength: 4 },
      ),
    })
    .map(({ missing, beats, bases }) => ({
      segments: Array.from({ length: SEGMENTS }, (_, n) => from + n)
        .filter((n) => !missing.includes(n))
        .map((n) => archived(n, timeline, '15-1', stanza)),
      heartbeats: beats.map((ms) => heartbeat(ms, timeline)),
      manifests: bases.map(({ start, seconds }, n) =>
        base(`${stanza}${n}`, start, start * SEGMENT_MS + seconds * 1_000, {
          ...onTimeline(timeline),
          stanza,
        }),
      ),
    }));
};
const worlds = worldsAt({ from: 0, timeline: 1, stanza: 'shop' });

/** The obvious and slow rule: can a replay from some base pass this moment? */
function isRecoverable(world: World, ms: number, timeline = 1): boolean {
  const present = new Set(world.segments.map(({ name }) => name));
  const holds = (first: number, last: number) =>
    Array.from({ length: last - first + 1 }, (_, n) => logName(first + n, timeline)).every((name) =>
      present.has(name),
    );
  return world.manifests.some((manifest) => {
    const from = Date.parse(manifest.finishedAt) - EPOCH + 1_000;
    if (ms === from) return true;
    if (ms < from) return false;
    const start = segmentAt(Date.parse(manifest.startedAt) - EPOCH);
    const stop = segmentAt(from - 1_000);
    return world.heartbeats.some((beat) => {
      const at = Date.parse(beat.at) - EPOCH;
      return at > ms && segmentAt(at) >= stop && holds(start, stop) && holds(start, segmentAt(at));
    });
  });
}

function momentsOf(world: World): number[] {
  const edges = [
    ...world.heartbeats.map(({ at }) => Date.parse(at) - EPOCH),
    ...world.manifests.map(({ finishedAt }) => Date.parse(finishedAt) - EPOCH + 1_000),
  ];
  return edges.flatMap((ms) => [ms - 2, ms - 1, ms, ms + 1, ms + 2, ms + 4_000]);
}

const isWithin = (intervals: RecoveryInterval[], ms: number) =>
  intervals.some(({ from, to }) => Date.parse(from) <= EPOCH + ms && EPOCH + ms <= Date.parse(to));

test('the intervals hold exactly the moments that a replay can pass', () => {
  fc.assert(
    fc.property(worlds, (world) => {
      const { intervals } = continuityOf(world, NOW);
      const moments = momentsOf(world);
      expect(moments.filter((ms) => isWithin(intervals, ms))).toEqual(
        moments.filter((ms) => isRecoverable(world, ms)),
      );
    }),
    { numRuns: 500 },
  );
});

test('intervals are in order and apart, and the gaps are exactly the missing segments below the highest', () => {
  fc.assert(
    fc.property(worlds, (world) => {
      const { intervals, lastRecoverableAt } = continuityOf(world, NOW);
      const gaps = gapsOf(indexLogs(world));
      for (const [n, { from, to }] of intervals.entries()) {
        expect(from <= to).toBe(true);
        expect(n === 0 || (intervals[n - 1] as RecoveryInterval).to < from).toBe(true);
      }
      expect(lastRecoverableAt).toBe(intervals.at(-1)?.to ?? null);
      const numbers = world.segments.map(({ name }) => Number.parseInt(name.slice(16), 16));
      const between = numbers.length === 0 ? 0 : Math.max(...numbers) - Math.min(...numbers) + 1;
      expect(gaps.reduce((sum, gap) => sum + gap.count, 0)).toBe(between - numbers.length);
    }),
    { numRuns: 300 },
  );
});

/** A database that was moved after a number of seconds; the server that was left goes on, archives and is backed up. */
const movedWorlds = fc
  .record({
    seconds: fc.integer({ min: 0, max: (SEGMENTS * SEGMENT_MS) / 1_000 }),
    before: worlds,
    after: worldsAt({ from: SEGMENTS, timeline: 2, stanza: 'shop-2' }),
  })
  .map(({ seconds, before, after }) => {
    const until = seconds * 1_000;
    const history = { stanza: 'shop-2', former: [{ stanza: 'shop', until: isoAt(until) }] };
    const all = {
      manifests: [...before.manifests, ...after.manifests],
      heartbeats: [...before.heartbeats, ...after.heartbeats],
      segments: [...before.segments, ...after.segments],
    };
    return {
      known: {
        ...all,
        manifests: manifestsOf(history, all.manifests),
        segments: logsOf(history, all.segments),
        former: history.former,
      },
      left: {
        ...before,
        manifests: before.manifests.filter(({ finishedAt }) => Date.parse(finishedAt) - EPOCH <= until),
        segments: before.segments.filter(({ archivedAt }) => Date.parse(archivedAt) - EPOCH <= until),
      },
      after,
    };
  });

test('a history of two places is what was archived until the move, and what the new place has', () => {
  fc.assert(
    fc.property(movedWorlds, ({ known, left, after }) => {
      const { intervals } = continuityOf(known, NOW);
      const moments = [...momentsOf(left), ...momentsOf(after)];
      expect(moments.filter((ms) => isWithin(intervals, ms))).toEqual(
        moments.filter((ms) => isRecoverable(left, ms) || isRecoverable(after, ms, 2)),
      );
      const spans = intervals.filter(({ from, to }) => from < to);
      const isReachable = (ms: number) =>
        attempt(() => chooseBackup({ ...known, target: { time: isoAt(ms) }, now: NOW }).reachable) === 'yes';
      expect(moments.filter(isReachable)).toEqual(moments.filter((ms) => isWithin(spans, ms)));
    }),
    { numRuns: 300 },
  );
});

test('whatever the intervals claim, a base and its logs can be chosen for', () => {
  fc.assert(
    fc.property(worlds, (world) => {
      const { intervals } = continuityOf(world, NOW);
      const spans = intervals.filter(({ from, to }) => from < to);
      const moments = momentsOf(world);
      const isReachable = (ms: number) =>
        attempt(() => chooseBackup({ ...world, target: { time: isoAt(ms) }, now: NOW }).reachable) === 'yes';
      expect(moments.filter(isReachable)).toEqual(moments.filter((ms) => isWithin(spans, ms)));
    }),
    { numRuns: 300 },
  );
});

test('a disaster recovers from whatever base has its logs, through logs that are all there, and to what is claimed last', () => {
  fc.assert(
    fc.property(worlds, (world) => {
      const choose = (beyondGap: 'refuse' | 'leave') =>
        attempt(() => chooseBackup({ ...world, target: { latest: true }, beyondGap, now: NOW }));
      const [refused, left] = [choose('refuse'), choose('leave')];
      const hasLogs = world.manifests.some(
        (manifest) => stretchesFrom(manifest, indexLogs(world)).length > 0,
      );
      expect(typeof left === 'object').toBe(hasLogs);
      if (typeof left === 'string') return;
      if (typeof refused === 'object') expect(left).toEqual(refused);
      const [first, last] = [left.firstLog, left.lastLog].map((name) =>
        Number.parseInt(name?.slice(16) ?? '', 16),
      );
      const present = world.segments.map(({ name }) => Number.parseInt(name.slice(16), 16));
      expect(present.filter((n) => n >= (first as number) && n <= (last as number))).toHaveLength(
        left.segments,
      );
      expect(present).not.toContain((last as number) + 1);
      expect(left.notices).toHaveLength(Math.max(...present) > (last as number) ? 2 : 0);
    }),
    { numRuns: 300 },
  );
});

describe('timelines', () => {
  const failover = {
    manifests: [base('b', 1, 12_000)],
    segments: [...archivedRange(1, 4), ...archivedRange(5, 8, 2)],
    heartbeats: [heartbeat(45_000), heartbeat(85_000, 2)],
  };

  test('a replay goes on where production was promoted', () => {
    expect(continuityOf(failover, NOW).intervals).toEqual([{ from: isoAt(13_000), to: isoAt(84_999) }]);
    expect(continuityOf(failover, NOW).gaps).toEqual([]);
  });

  test('a branch that leaves logs out is a gap', () => {
    const world = { ...failover, segments: [...archivedRange(1, 4), ...archivedRange(7, 8, 2)] };
    const { intervals, gaps } = continuityOf(world, NOW);
    expect(intervals).toEqual([{ from: isoAt(13_000), to: isoAt(44_999) }]);
    expect(gaps).toMatchObject([
      { timeline: 1, firstMissing: logName(5), lastMissing: logName(6), count: 2 },
    ]);
  });

  test('a base on the new timeline does not use logs of the old one', () => {
    const world = {
      manifests: [base('b', 5, 52_000, onTimeline(2))],
      segments: [...archivedRange(1, 9), ...archivedRange(5, 6, 2)],
      heartbeats: [heartbeat(95_000), heartbeat(65_000, 2)],
    };
    expect(continuityOf(world, NOW).intervals).toEqual([{ from: isoAt(53_000), to: isoAt(64_999) }]);
  });
});

test('a base without its own logs is a point', () => {
  const world = {
    manifests: [base('b', 1, 22_000)],
    segments: archivedRange(2, 5),
    heartbeats: [heartbeat(55_000)],
  };
  expect(continuityOf(world, NOW).intervals).toEqual([{ from: isoAt(23_000), to: isoAt(23_000) }]);
});

test('without a heartbeat nothing after the base is proved', () => {
  const world = { manifests: [base('b', 1, 12_000)], segments: archivedRange(1, 9), heartbeats: [] };
  expect(continuityOf(world, NOW)).toMatchObject({ lastRecoverableAt: isoAt(13_000), rpoSeconds: 987 });
});

test('logical backups, and a differential whose full is gone, make no interval', () => {
  const manifests = [
    base('logical', 1, 12_000, { tier: 'logical' }),
    base('diff', 1, 12_000, { kind: 'diff', dependsOn: ['gone'] }),
  ];
  const world = { manifests, segments: archivedRange(1, 9), heartbeats: [heartbeat(55_000)] };
  expect(continuityOf(world, NOW)).toMatchObject({
    intervals: [],
    lastRecoverableAt: null,
    rpoSeconds: null,
  });
});

test('a heartbeat of a later incarnation proves nothing of an older one', () => {
  const old = archivedRange(1, 9);
  const beat = { ...heartbeat(900_000), log: logName(5) };
  const world = { manifests: [base('b', 1, 12_000)], segments: old, heartbeats: [beat] };
  expect(continuityOf(world, NOW).intervals).toEqual([{ from: isoAt(13_000), to: isoAt(13_000) }]);
});

test('segments of another size are counted by that size', () => {
  const bytes = 64 * 1024 * 1024;
  const names = [62, 63, 64, 65].map((n) => logName(n, 1, bytes));
  const manifest = base('b', 1, 12_000);
  manifest.positions = {
    timeline: 1,
    start: '0/F8000028',
    stop: '0/F8000050',
    startLog: names[0] as string,
    stopLog: names[0] as string,
  };
  const segments = names.map((name, n) => ({ ...archived(n + 2), name }));
  const beat = { ...heartbeat(45_000), log: names[3] as string };
  const result = continuityOf({ manifests: [manifest], segments, heartbeats: [beat] }, NOW);
  expect(result.gaps).toEqual([]);
  expect(result.intervals).toEqual([{ from: isoAt(13_000), to: isoAt(44_999) }]);
});

function attempt<T>(choose: () => T): T | string {
  try {
    return choose();
  } catch (error) {
    if (error instanceof HoldfastError) return error.type;
    throw error;
  }
}
