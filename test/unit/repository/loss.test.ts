import { expect, test } from 'vitest';
import { lossOf } from '../../../src/repository/loss.ts';
import { archivedRange, base, EPOCH, heartbeat, isoAt, onTimeline } from './recoverability.ts';

const now = new Date(EPOCH + 200_000);
const beat = (ms: number, xid: number, timeline = 1) => ({ ...heartbeat(ms, timeline), xid: String(xid) });
const known = {
  manifests: [base('b', 1, 12_000)],
  segments: archivedRange(1, 9),
  heartbeats: [beat(25_000, 700), beat(95_000, 800), beat(105_000, 811), beat(115_000, 832)],
};

test('is the time since the last heartbeat that was archived, and the transactions seen since', () => {
  expect(lossOf(known, { now })).toEqual({
    at: now.toISOString(),
    lastRecoverableAt: isoAt(94_999),
    seconds: 105,
    // 32 numbers, of which the heartbeats themselves took two
    transactions: { lost: 30, until: isoAt(115_000) },
  });
});

test('is nothing that was seen where the newest heartbeat is archived', () => {
  const all = { ...known, segments: archivedRange(1, 11) };
  expect(lossOf(all, { now }).transactions).toEqual({ lost: 0, until: isoAt(115_000) });
});

test('goes on from before a gap', () => {
  const gap = { ...known, segments: [...archivedRange(1, 3), ...archivedRange(5, 11)] };
  expect(lossOf(gap, { now })).toMatchObject({
    lastRecoverableAt: isoAt(24_999),
    transactions: { lost: 129, until: isoAt(115_000) },
  });
});

test('counts beyond 32 bits, and by the newest heartbeat that has a number', () => {
  const heartbeats = [
    { ...heartbeat(95_000), xid: '8589934592' },
    { ...heartbeat(105_000), xid: '8589934600' },
    heartbeat(115_000),
  ];
  expect(lossOf({ ...known, heartbeats }, { now }).transactions).toEqual({
    lost: 7,
    until: isoAt(105_000),
  });
});

test('is not counted where the archived heartbeat has no number, or there is none', () => {
  const heartbeats = [heartbeat(95_000), beat(105_000, 811)];
  expect(lossOf({ ...known, heartbeats }, { now })).toMatchObject({ seconds: 105, transactions: null });
  expect(lossOf({ ...known, heartbeats: [] }, { now })).toMatchObject({
    ...{ lastRecoverableAt: isoAt(13_000), seconds: 187, transactions: null },
  });
});

test('takes a heartbeat of the timeline before, where the newest has none archived', () => {
  const branched = {
    ...known,
    segments: [...archivedRange(1, 6), ...archivedRange(6, 7, 2)],
    heartbeats: [beat(55_000, 700), beat(64_000, 750), beat(95_000, 760, 2)],
  };
  // The one of 64 s lies in the old timeline's own last log, which the new one has left.
  expect(lossOf(branched, { now })).toMatchObject({
    lastRecoverableAt: isoAt(54_999),
    transactions: { lost: 59, until: isoAt(95_000) },
  });
});

test('does not count what a server that was left goes on to commit', () => {
  const moved = {
    manifests: [base('new', 13, 132_000, { ...onTimeline(2), stanza: 'shop-2' })],
    segments: archivedRange(9, 15, 2, 'shop-2'),
    heartbeats: [beat(155_000, 900, 2), beat(165_000, 5_000), beat(166_000, 910, 2)],
    former: [{ stanza: 'shop', until: isoAt(100_000) }],
  };
  expect(lossOf(moved, { now }).transactions).toEqual({ lost: 9, until: isoAt(166_000) });
});

test('is not made smaller by a server that was to take over, and was given up', () => {
  const heartbeats = [...known.heartbeats, beat(150_000, 806, 2)];
  expect(lossOf({ ...known, heartbeats }, { now })).toEqual(lossOf(known, { now }));
});

test('is everything, and not known in time, where nothing can be recovered', () => {
  expect(lossOf({ ...known, manifests: [] }, { now })).toEqual({
    ...{ at: now.toISOString(), lastRecoverableAt: null, seconds: null, transactions: null },
  });
});
