import { expect, test } from 'vitest';
import { describeDrill, nextDrilled, scoreOf } from '../../../src/model/drill.ts';
import type { Plan } from '../../../src/model/plan.ts';
import type { Step } from '../../../src/model/runbook.ts';

test.each([
  [['pointInTimeRecovery', 'selectiveTableRestore'], null, 'pointInTimeRecovery'],
  [['pointInTimeRecovery', 'selectiveTableRestore'], 'pointInTimeRecovery', 'selectiveTableRestore'],
  [['pointInTimeRecovery', 'selectiveTableRestore'], 'selectiveTableRestore', 'pointInTimeRecovery'],
  [['selectiveTableRestore'], 'selectiveTableRestore', 'selectiveTableRestore'],
  [[], 'selectiveTableRestore', null],
] as const)('of %j after %s it is the turn of %s', (possible, last, next) => {
  expect(nextDrilled(possible, last)).toBe(next);
});

const step = (name: string, seconds: number, more: Partial<Step> = {}): Step => ({
  ...{ name, state: 'done', startedAt: '2026-01-31T00:00:00.000Z', detail: null },
  finishedAt: new Date(Date.parse('2026-01-31T00:00:00Z') + seconds * 1_000).toISOString(),
  ...more,
});
const plan = { digest: 'sha256:1', summary: 'insert 3 rows', estimateSeconds: 5 } as Plan;
const status = {
  plan,
  steps: [
    ...[step('restore', 60), step('replay', 40, { parkedSeconds: 10 }), step('compare', 3)],
    ...[step('decide', 9_000, { state: 'failed' }), step('import', 0, { state: 'skipped' })],
    step('remove instance', 30),
  ],
};

test('what counts is until the rows would be back: without people, parked time and clean-up, with the import', () => {
  expect(scoreOf(status, { objectiveSeconds: 98, earlier: [] })).toEqual({
    ...{ outcome: 'met', recoverySeconds: 98, objectiveSeconds: 98, earlier: null, reasons: [] },
    plan: { digest: 'sha256:1', summary: 'insert 3 rows' },
    steps: [
      { name: 'restore', seconds: 60 },
      { name: 'replay', seconds: 30 },
      { name: 'compare', seconds: 3 },
      { name: 'import', seconds: 5, estimated: true },
    ],
  });
});

test('the objective is missed by a second', () => {
  expect(scoreOf(status, { objectiveSeconds: 97, earlier: [] })).toMatchObject({
    outcome: 'missed',
    reasons: ['the recovery takes 1m38s, and the objective (RTO) is 1m37s'],
  });
});

test.each([
  [[60, 70, 20], 60, ['1m38s is slower than before: the median of 3 earlier is 1m']],
  [[80, 90], 85, []],
])('beside earlier drills of %j seconds', (earlier, medianSeconds, reasons) => {
  expect(scoreOf(status, { objectiveSeconds: 600, earlier })).toMatchObject({
    outcome: 'met',
    earlier: { drills: earlier.length, medianSeconds, slowerBySeconds: 98 - medianSeconds },
    reasons,
  });
});

test('a difference of a few seconds is none, however large a share it is', () => {
  const quick = { plan: null, steps: [step('restore', 3)] };
  expect(scoreOf(quick, { objectiveSeconds: 600, earlier: [1] }).reasons).toEqual([]);
});

test('a drill in words', () => {
  const choice = {
    runbook: 'pointInTimeRecovery',
    target: { lsn: '0/3000148' },
    tables: ['public.a'],
  } as const;
  expect(describeDrill({ ...choice, tables: ['public.a'] })).toMatch(
    /^pointInTimeRecovery of public\.a to .*0\/3000148/,
  );
  expect(describeDrill({ ...choice, target: null, tables: null })).toBe('pointInTimeRecovery');
});
