import { describe, expect, test } from 'vitest';
import { choiceOf, type Decide, type PlanToDecide, refusalOf } from '../../../src/model/decision.ts';
import type { PlanRule } from '../../../src/model/plan.ts';
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
  plan: { digest: 'p', conflict: 'insert-missing', rules: [] } as PlanToDecide,
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

const rule = (conflict: PlanRule, refusal: string | null = null) => ({
  conflict,
  refusal,
  summary: '',
  changes: [],
  notices: [],
});

describe('the rule of an approval', () => {
  const plan: PlanToDecide = {
    digest: 'p',
    conflict: 'insert-missing',
    rules: [rule('insert-missing', 'no key'), rule('replace'), rule('side-by-side')],
  };
  const alone = { ...situation, plan, decisions: [] };

  test('has to be one of the plan, and possible: the plan’s own as well', () => {
    expect(refusalOf({ ...approve('cleo'), conflict: 'replace' }, alone)).toBeNull();
    expect(refusalOf(approve('cleo'), alone)).toBe(
      'insert-missing cannot be chosen: no key; possible: replace, side-by-side',
    );
    expect(refusalOf({ ...approve('cleo'), conflict: 'restore-changed' }, alone)).toBe(
      'the plan has no rule restore-changed; possible: replace, side-by-side',
    );
    const empty = { ...alone, plan: { ...plan, conflict: null, rules: [] } };
    expect(refusalOf(approve('cleo'), empty)).toBeNull();
    expect(refusalOf({ ...approve('cleo'), conflict: 'replace' }, empty)).toMatch(/has no rule replace/);
  });

  test('does not matter to a no', () => {
    expect(refusalOf({ by: 'cleo', action: 'reject', plan: 'p' }, alone)).toBeNull();
  });

  test('is the same for all who approve, named or not', () => {
    const possible = { ...plan, rules: [rule('insert-missing'), rule('replace')] };
    const both = { ...situation, plan: possible };
    expect(refusalOf(approve('cleo'), both)).toBeNull();
    expect(refusalOf({ ...approve('cleo'), conflict: 'insert-missing' }, both)).toBeNull();
    expect(refusalOf({ ...approve('cleo'), conflict: 'replace' }, both)).toMatch(
      /ben has approved insert-missing, not replace/,
    );
  });

  test('an undo has no drift', () => {
    const undo = { ...plan, conflict: 'keep-changed' as const, rules: [rule('keep-changed')] };
    expect(refusalOf({ ...approve('cleo'), drift: 1 }, { ...alone, plan: undo })).toMatch(
      /drift has no meaning/,
    );
    expect(refusalOf({ ...approve('cleo'), drift: 0 }, { ...alone, plan: undo })).toBeNull();
  });

  test('of several approvals the smallest drift counts, and saying nothing is none', () => {
    const said = { ...record('ben'), conflict: 'replace' as const };
    expect(
      choiceOf(plan, [
        { ...said, drift: 7 },
        { ...said, drift: 3 },
      ]),
    ).toEqual({ conflict: 'replace', drift: 3 });
    expect(choiceOf(plan, [{ ...said, drift: 7 }, said])).toEqual({ conflict: 'replace', drift: 0 });
    expect(choiceOf(plan, [record('ben')])).toEqual({ conflict: 'insert-missing', drift: 0 });
  });
});
