import { expect, test } from 'vitest';
import { chooseDrilled, randomMoment, shuffled } from '../../../src/activities/drill-choice.ts';
import type { DrillRecord } from '../../../src/model/drill.ts';
import { archivedRange, base, EPOCH, heartbeat, isoAt } from '../repository/recoverability.ts';

const logical = base('20260131T000000Z', 0, 5_000, { tier: 'logical' });
const drilled = (runbook: DrillRecord['runbook'], outcome: DrillRecord['outcome'] = 'met') =>
  ({ runbook, outcome }) as DrillRecord;

test('kinds take turns; one that was skipped has not had its turn, one without a backup gets none', () => {
  const both = [base('F', 0, 5_000), logical];
  expect(chooseDrilled(both, [], [])).toBe('pointInTimeRecovery');
  expect(chooseDrilled(both, [drilled('pointInTimeRecovery')], [])).toBe('selectiveTableRestore');
  const skipped = [drilled('pointInTimeRecovery', 'skipped'), drilled('selectiveTableRestore')];
  expect(chooseDrilled(both, skipped, [])).toBe('pointInTimeRecovery');
  expect(chooseDrilled([logical], [drilled('selectiveTableRestore')], [])).toBe('selectiveTableRestore');
  expect(chooseDrilled([], [], [])).toBeNull();
  const table = [drilled('selectiveTableRestore')];
  expect(chooseDrilled(both, table, ['second'])).toBe('fullDisasterRecovery');
  expect(chooseDrilled([logical], table, ['second'])).toBe('selectiveTableRestore');
});

const known = {
  manifests: [base('F1', 0, 5_000), base('F2', 10, 105_000)],
  // Logs 5 to 9 are missing: two intervals.
  segments: [...archivedRange(0, 4), ...archivedRange(10, 19)],
  heartbeats: [heartbeat(45_000), heartbeat(195_000)],
};

test.each([
  [0, 'F1', 6_000],
  [0.2, 'F1', 31_599],
  [0.31, 'F2', 106_680],
  [0.999_999, 'F2', 194_998],
])('at %d of all recoverable time the base is %s', (share, id, ms) => {
  const moment = randomMoment(known, () => share, new Date(EPOCH + 300_000));
  expect(moment?.base.id).toBe(id);
  expect(moment?.target).toEqual({ time: isoAt(ms) });
});

test('without logs it is the point of the newest backup, and without a backup nothing', () => {
  const points = { ...known, segments: archivedRange(0, 0), heartbeats: [] };
  expect(randomMoment(points, () => 0.5, new Date())?.target).toEqual({ backup: 'F2' });
  expect(randomMoment({ ...known, manifests: [logical] }, () => 0.5, new Date())).toBeNull();
});

test('shuffled has everything once', () => {
  expect(shuffled([1, 2, 3], () => 0.5)).toEqual([2, 3, 1]);
});
