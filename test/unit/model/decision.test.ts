import { expect, test } from 'vitest';
import { type Decide, refusalOf } from '../../../src/model/decision.ts';
import type { DecisionRecord } from '../../../src/model/runbook.ts';

const approve = (by: string): Decide => ({ by, action: 'approve', plan: 'p' });
const record = (by: string): DecisionRecord => ({
  ...approve(by),
  name: 'import',
  identity: null,
  at: '2026-01-31T14:05:00Z',
});
const situation = {
  waitingFor: 'import',
  planDigest: 'p',
  requestedBy: 'ana',
  policy: { people: 2, requesterMayApprove: false, approvers: [], timeLimitMs: 1_000 },
  decisions: [record('ben')],
};

test.each(['ben', 'Ben', ' BEN ', 'ｂｅｎ'])('%j does not count as a second person beside ben', (by) => {
  expect(refusalOf(approve(by), situation)).toMatch(/approved this plan already/);
});

test('the requester is known however the name is written', () => {
  expect(refusalOf(approve('Ana'), situation)).toMatch(/wants another person/);
  expect(refusalOf(approve('anna'), situation)).toBeNull();
});

test('approvers are known however their names are written, and nobody else is', () => {
  const policy = { ...situation.policy, approvers: ['Cleo'] };
  expect(refusalOf(approve('cleo'), { ...situation, policy })).toBeNull();
  expect(refusalOf(approve('dan'), { ...situation, policy })).toMatch(/not among the approvers/);
});
