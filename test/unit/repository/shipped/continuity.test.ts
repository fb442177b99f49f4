import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../../../../src/model/failure.ts';
import { chooseBackup } from '../../../../src/repository/choice.ts';
import { continuityOf } from '../../../../src/repository/continuity.ts';
import { runsOf, stretchFrom } from '../../../../src/repository/shipped/chain.ts';
import { lineageOf, timelineOf } from '../../../../src/repository/shipped/name.ts';
import {
  asManifests,
  asShipped,
  type History,
  histories,
  isOpen,
  leadsTo,
  momentOf,
  nameOfPlace,
} from './history.ts';
import { dump, isoAt, logName, OTHER, SERVER, shipped, tenSeconds } from './shop.ts';

const NOW = new Date(Date.parse(isoAt(1_000_000)));
const knownOf = (history: History) => ({
  ...{ manifests: asManifests(history), shipped: asShipped(history), segments: [], heartbeats: [] },
});
const isWithin = (intervals: readonly { from: string; to: string }[], at: Date) =>
  intervals.some(({ from, to }) => Date.parse(from) <= at.getTime() && at.getTime() <= Date.parse(to));

const moments = histories.chain((history) =>
  fc.tuple(
    fc.constant(history),
    fc.oneof(
      fc.integer({ min: 0, max: history.end + 3_000 }),
      // Ends of logs, and of seconds, are where mistakes would be.
      fc.constantFrom(0, ...history.logs.flatMap(({ to }) => [to - 1, to, to + 1])),
      fc.constantFrom(
        0,
        ...history.logs.map(({ to }) => Math.floor(to / 1_000) * 1_000 - 1),
        ...history.logs.map(({ to }) => Math.floor(to / 1_000) * 1_000),
      ),
      fc.constantFrom(0, ...history.bases.map(({ at }) => at)),
    ),
  ),
);

describe('against the true history of servers', () => {
  test('a moment lies in an interval exactly where a replay reaches it', () => {
    fc.assert(
      fc.property(moments, ([history, at]) => {
        const { intervals } = continuityOf(knownOf(history), NOW);
        const isReached = history.bases.some((base) => leadsTo(history, base, at) !== null);
        expect(isWithin(intervals, momentOf(at))).toBe(isReached);
      }),
      { numRuns: 3_000 },
    );
  });

  test('a time is chosen exactly where a replay reaches it, by the newest base and no more logs than lead there', () => {
    fc.assert(
      fc.property(moments, ([history, at]) => {
        const target = { time: momentOf(at).toISOString() };
        const reaching = history.bases
          .filter((base) => leadsTo(history, base, at) !== null)
          .toSorted((a, b) => b.at - a.at);
        const open = history.bases.filter((base) => base.at <= at && isOpen(history, base));
        const choose = () => chooseBackup({ ...knownOf(history), target, now: NOW });
        const [best] = reaching;
        if (best === undefined && open.length === 0) {
          expect(choose).toThrow(HoldfastError);
          return;
        }
        const choice = choose();
        expect(choice.reachable).toBe(best === undefined ? 'needs-closing' : 'yes');
        if (best === undefined) return;
        const place = leadsTo(history, best, at);
        expect(choice.manifest.positions.at).toBe(momentOf(best.at).toISOString());
        if (place === 'base' || place === null) {
          expect(choice).toMatchObject({ segments: 0, lastLog: null });
          return;
        }
        expect(choice).toMatchObject({
          ...{ firstLog: nameOfPlace(history, best.log), lastLog: nameOfPlace(history, place) },
          segments: place - best.log + 1,
        });
      }),
      { numRuns: 3_000 },
    );
  });

  test('latest is refused exactly where nothing leads to what is written now', () => {
    fc.assert(
      fc.property(histories, (history) => {
        const known = knownOf(history);
        const latest = { target: { latest: true } as const, now: NOW };
        if (history.bases.some((base) => isOpen(history, base))) {
          expect(chooseBackup({ ...known, ...latest }).reachable).toBe('yes');
          return;
        }
        expect(() => chooseBackup({ ...known, ...latest })).toThrow(HoldfastError);
        if (history.bases.length === 0) return;
        // In a disaster what can be had is taken, and it is said what cannot.
        const left = chooseBackup({ ...known, ...latest, beyondGap: 'leave' });
        expect(left.beforeReplay).toMatch(
          /the recovery ends before, and what committed later than .* is lost/,
        );
      }),
      { numRuns: 2_000 },
    );
  });

  test('something is missing exactly where a base is there and nothing leads to what is written now', () => {
    fc.assert(
      fc.property(histories, (history) => {
        const { gaps } = continuityOf(knownOf(history), NOW);
        const open = gaps.filter(({ baseAfter }) => baseAfter === null);
        const isShipped = history.logs.some((log) => log.isShipped);
        if (history.bases.length === 0 || !isShipped) return;
        const leads = history.bases.some((base) => isOpen(history, base));
        // What was lost before the newest server, or before a reset, concerns nobody once a base is behind it.
        if (leads) expect(open).toEqual([]);
        else expect(open.length).toBeGreaterThan(0);
      }),
      { numRuns: 2_000 },
    );
  });
});

test('the last second of a log proves nothing: what commits in it may lie in the next one', () => {
  const known = { manifests: [dump('first', 5, 0)], segments: [], heartbeats: [] };
  const logs = [shipped(0, 0, 20.9), shipped(1, 20.9, 40)];
  const choose = (time: number, shipped = logs) =>
    chooseBackup({ ...known, shipped, target: { time: isoAt(time) }, now: NOW });
  expect(choose(19.999)).toMatchObject({ reachable: 'yes', lastLog: logName(0), segments: 1 });
  expect(choose(20)).toMatchObject({ reachable: 'yes', lastLog: logName(1), segments: 2 });
  expect(choose(20, logs.slice(0, 1))).toMatchObject({ reachable: 'needs-closing' });
  const { intervals } = continuityOf({ ...known, shipped: logs.slice(0, 1) }, NOW);
  expect(intervals).toEqual([{ from: isoAt(5), to: isoAt(19.999) }]);
});

test('logs that are missing are told by their names, also over the seventh digit', () => {
  const logs = tenSeconds([1, 2, 5]).concat(
    [999_997, 1_000_001].map((n) => shipped(n, n * 10, n * 10 + 10, { lineage: lineageOf(OTHER, 1) })),
  );
  const { gaps } = continuityOf({ manifests: [], segments: [], heartbeats: [], shipped: logs }, NOW);
  const timeline = timelineOf(lineageOf(SERVER, 1));
  expect(gaps).toMatchObject([
    {
      ...{ firstMissing: 'binlog.000003', lastMissing: 'binlog.000004', count: 2, timeline },
      ...{ after: isoAt(30), before: isoAt(50), baseAfter: null },
    },
    { firstMissing: 'binlog.999998', lastMissing: 'binlog.1000000', count: 3 },
  ]);
});

test('numbers in a row that do not go on from each other’s GTIDs are no run', () => {
  const [one, two] = [shipped(1, 0, 10, { gtids: [0, 7] }), shipped(2, 10, 20, { gtids: [9, 12] })];
  const known = { manifests: [dump('first', 5, 1)], segments: [], heartbeats: [], shipped: [one, two] };
  const { gaps, lastRecoverableAt } = continuityOf(known, NOW);
  expect(gaps).toMatchObject([{ firstMissing: logName(2), lastMissing: logName(2), count: 0 }]);
  expect(lastRecoverableAt).toBe(isoAt(9.999));
  const target = { time: isoAt(15) };
  expect(() => chooseBackup({ ...known, target, now: NOW })).toThrow(
    /binlog\.000002 does not go on from the log before it/,
  );
  // A base that begins in it needs nothing of before.
  const again = { ...known, manifests: [dump('second', 11, 2), ...known.manifests] };
  expect(continuityOf(again, NOW).gaps).toMatchObject([{ baseAfter: 'second' }]);
});

test('a server that gets GTIDs, or loses them, leaves no hole', () => {
  const logs = [
    shipped(1, 0, 10),
    shipped(2, 10, 20, { gtids: [0, 0] }),
    shipped(3, 20, 30, { gtids: [0, 4] }),
    shipped(4, 30, 40),
  ];
  expect(runsOf(logs).map((run) => run.logs.length)).toEqual([4]);
});

test('a base whose own log was never shipped is a gap, not a base without logs', () => {
  const known = { manifests: [dump('first', 35, 3)], segments: [], heartbeats: [] };
  const young = { ...known, shipped: tenSeconds([1, 2]) };
  // Its log is still open: nothing is wrong.
  expect(continuityOf(young, NOW).gaps).toEqual([]);
  expect(chooseBackup({ ...young, target: { latest: true }, now: NOW })).toMatchObject({ segments: 0 });
  const torn = { ...known, shipped: tenSeconds([6, 7]) };
  expect(continuityOf(torn, NOW)).toMatchObject({
    gaps: [
      { firstMissing: logName(3), lastMissing: logName(5), count: 3, after: isoAt(35), baseAfter: null },
    ],
    lastRecoverableAt: isoAt(35),
  });
  expect(() => chooseBackup({ ...torn, target: { latest: true }, now: NOW })).toThrow(
    /3 logs missing in the repository \(binlog\.000003 to binlog\.000005\)/,
  );
  // An old base outlives its logs by design.
  const two = { ...torn, manifests: [dump('second', 65, 6), ...known.manifests] };
  expect(continuityOf(two, NOW).gaps).toEqual([]);
});

test('names that come again after RESET MASTER are other logs', () => {
  const second = lineageOf(SERVER, 2);
  const again = [1, 2].map((n) => shipped(n, 100 + n * 10, 110 + n * 10, { lineage: second }));
  const shippedLogs = [...tenSeconds([1, 2, 3]), ...again];
  const known = { segments: [], heartbeats: [], shipped: shippedLogs };
  const old = dump('old', 15, 1);
  expect(stretchFrom(old, runsOf(shippedLogs))).toMatchObject({
    lineage: lineageOf(SERVER, 1),
    isOpen: false,
  });
  expect(continuityOf({ ...known, manifests: [old] }, NOW)).toMatchObject({
    intervals: [{ from: isoAt(15), to: isoAt(39.999) }],
    gaps: [
      {
        ...{ firstMissing: logName(1), lastMissing: logName(1), count: 0, timeline: timelineOf(second) },
        ...{ after: isoAt(40), before: isoAt(110), baseAfter: null },
      },
    ],
  });
  const latest = { target: { latest: true } as const, now: NOW };
  expect(() => chooseBackup({ ...known, manifests: [old], ...latest })).toThrow(
    /the server was replaced, or counts its logs anew, after binlog\.000003/,
  );
  const fresh = dump('fresh', 112, 1);
  const both = { ...known, manifests: [fresh, old] };
  expect(continuityOf(both, NOW).gaps).toEqual([]);
  expect(chooseBackup({ ...both, ...latest })).toMatchObject({
    ...{ manifest: fresh, lineage: second, firstLog: logName(1), lastLog: logName(2) },
  });
  // A position names the newest one of that name, unless a timeline is given.
  const at = (timeline?: number) =>
    chooseBackup({
      ...both,
      now: NOW,
      target: { lsn: 'binlog.000002:500', ...(timeline === undefined ? {} : { timeline }) },
    });
  expect(at()).toMatchObject({ manifest: fresh, lineage: second });
  expect(at(timelineOf(lineageOf(SERVER, 1)))).toMatchObject({ manifest: old, segments: 2 });
  expect(() => at(5)).toThrow(/timeline 5 cannot be reached/);
});

test('a server that was replaced is begun anew, and a base of it ends that', () => {
  const other = lineageOf(OTHER, 1);
  const logs = [...tenSeconds([8, 9]), shipped(1, 200, 210, { lineage: other })];
  const known = { segments: [], heartbeats: [], shipped: logs };
  const old = dump('old', 85, 8);
  expect(continuityOf({ ...known, manifests: [old] }, NOW).gaps).toMatchObject([
    { firstMissing: logName(1), count: 0, timeline: timelineOf(other) },
  ]);
  // Taken before anything of the new server was shipped, or after.
  const base = dump('new', 203, 1, { server: OTHER });
  expect(continuityOf({ ...known, manifests: [base, old] }, NOW).gaps).toEqual([]);
  const early = { ...known, shipped: logs.slice(0, 2), manifests: [base, old] };
  expect(continuityOf(early, NOW).gaps).toEqual([]);
  expect(chooseBackup({ ...early, target: { latest: true }, now: NOW })).toMatchObject({
    ...{ manifest: base, segments: 0 },
  });
});

test('a clock that was set back makes nothing recoverable that is not: no log counts while a later one ends before it', () => {
  const logs = [shipped(1, 0, 10), shipped(2, 10, 50), shipped(3, 20, 30), shipped(4, 30, 40)];
  const known = { manifests: [dump('first', 5, 1)], segments: [], heartbeats: [], shipped: logs };
  expect(continuityOf(known, NOW).lastRecoverableAt).toBe(isoAt(39.999));
  const at = (time: number) => chooseBackup({ ...known, target: { time: isoAt(time) }, now: NOW }).lastLog;
  expect(at(25)).toBe(logName(2));
  expect(at(35)).toBe(logName(4));
});

test('the moment of a dump is that of its snapshot by the server’s clock, not when it ended', () => {
  const known = { segments: [], heartbeats: [], shipped: tenSeconds([1, 2, 3]) };
  const base = dump('long', 12.345, 1, { finishedAt: 90_000 });
  const { intervals } = continuityOf({ ...known, manifests: [base] }, NOW);
  expect(intervals).toEqual([{ from: isoAt(12.345), to: isoAt(39.999) }]);
});

test('of two records of one log one counts, and they are no hole', () => {
  const logs = [...tenSeconds([1, 2, 3]), shipped(2, 20, 29)];
  const known = { manifests: [dump('first', 15, 1)], segments: [], heartbeats: [], shipped: logs };
  expect(continuityOf(known, NOW).gaps).toEqual([]);
  expect(chooseBackup({ ...known, target: { latest: true }, now: NOW })).toMatchObject({ segments: 3 });
});
