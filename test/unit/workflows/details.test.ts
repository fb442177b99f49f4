import { expect, test } from 'vitest';
import type { Plan, PlanRule } from '../../../src/model/plan.ts';
import type { RunbookStatus } from '../../../src/model/runbook.ts';
import { detailsOf } from '../../../src/workflows/runbook/details.ts';

const change = (table: string, inserts: number, deletes: number) => ({
  ...{ table, inserts, deletes, updates: 0, orphans: 1, uniqueClashes: 0 },
});
const rule = (conflict: PlanRule, deletes: number, refusal: string | null = null) => ({
  ...{ conflict, refusal, summary: conflict },
  changes: [change('public.a', 3, deletes), change('public.b', 4, deletes)],
  notices: [`${conflict} has a notice`],
});
const plan: Plan = {
  ...{ digest: 'sha256:0123456789abcdef', summary: 'insert 7 rows', backup: 'x', target: { latest: true } },
  ...{
    position: null,
    conflict: 'insert-missing',
    estimateSeconds: 1,
    notices: ['insert-missing has a notice'],
  },
  changes: rule('insert-missing', 0).changes,
  rules: [rule('insert-missing', 0), rule('restore-changed', 0, 'no | key'), rule('replace', 5)],
};
const status: RunbookStatus = {
  ...{
    workflowId: 'pitr/shop/1',
    runbook: 'pointInTimeRecovery',
    database: 'shop',
    reason: 'r',
    requestedBy: 'ana',
  },
  ...{
    outcome: 'waiting-for-decision',
    steps: [],
    plan,
    waitingFor: 'import',
    decisions: [],
    instance: null,
  },
  ...{ evidence: null, message: null },
};

test('shows what every rule would do, all tables together, why one cannot be chosen, and how to name one', () => {
  const lines = detailsOf(status).split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      '| **insert-missing** (this plan) | 7 | 0 | 0 | 2 | 0 |  |',
      '| restore-changed |  |  |  |  |  | no \\| key |',
      '| replace | 7 | 0 | 10 | 2 | 0 |  |',
      '- replace: replace has a notice',
    ]),
  );
  expect(lines.filter((line) => line.includes('insert-missing has a notice'))).toHaveLength(1);
  expect(lines.join('\n')).toContain('`--conflict <rule>`');
});

test('writes the approvals that count where the own rule is none, and drift for imports only', () => {
  const rules = [rule('insert-missing', 0, 'no key'), rule('replace', 5)];
  const text = detailsOf({ ...status, plan: { ...plan, rules } });
  expect(text).toContain('`holdfast approve pitr/shop/1 --plan sha256:0123456789abcdef --conflict replace`');
  expect(text).toContain('"plan": "sha256:0123456789abcdef", "conflict": "replace"}');
  expect(text).toContain('--drift');
  const none = { ...plan, rules: [rule('insert-missing', 0, 'no key'), rule('replace', 5, 'no right')] };
  expect(detailsOf({ ...status, plan: none })).toContain('No rule of it can be chosen: reject it.');
  expect(detailsOf({ ...status, plan: none })).not.toContain('holdfast approve');
  const undo: Plan = {
    ...plan,
    conflict: 'keep-changed',
    rules: [rule('keep-changed', 0), rule('overwrite-changed', 1)],
  };
  expect(detailsOf({ ...status, plan: undo })).not.toContain('--drift');
});

test('offers no choice where there is none', () => {
  const text = detailsOf({ ...status, plan: { ...plan, rules: [] } });
  expect(text).not.toContain('--conflict');
  expect(text).not.toContain('| rule |');
});

test('says which rule a decision chose', () => {
  const decision = {
    name: 'import',
    by: 'ben',
    identity: null,
    action: 'approve' as const,
    at: 'now',
    plan: 'p',
  };
  expect(detailsOf({ ...status, decisions: [{ ...decision, conflict: 'replace' }] })).toContain(
    'ben: approve import, plan p with replace',
  );
});

test('reads as a runbook that asks twice: which decision was made, which server is there, where clients go', () => {
  const decision = { by: 'ben', identity: null, action: 'approve', at: '2026-01-31T14:02:00Z' } as const;
  const endpoints = [{ name: 'pool', from: null, to: '10.1.0.5:5433' }];
  const text = detailsOf({
    ...status,
    plan: { ...plan, ...{ conflict: null, changes: [], rules: [], notices: [], endpoints } },
    waitingFor: 'switch',
    decisions: [{ ...decision, name: 'recover', plan: 'sha256:1' }],
    instance: { id: 'shop-1', url: 'postgresql://h@10.1.0.5:5433/shop', expiresAt: '2026-02-01T00:00:00Z' },
  });
  expect(text).toContain('| pool | nothing | 10.1.0.5:5433 |');
  expect(text).toContain('- 2026-01-31T14:02:00Z ben: approve recover, plan sha256:1');
  expect(text).toContain('Its server is shop-1, until 2026-02-01T00:00:00Z: `holdfast connect pitr/shop/1`');
  expect(text).toContain('**Waiting for the decision "switch".** Approve exactly this plan:');
});

test('shows a name that looks like a tag, wherever it stands', () => {
  const said = { ...plan, summary: 'of <a>', notices: ['see <b>'] };
  const text = detailsOf({ ...status, plan: said, reason: 'for <c>', message: 'no <d>\nHINT: ask <e>' });
  for (const line of ['of \\<a>', '- see \\<b>', 'for \\<c>', '> no \\<d>', '> HINT: ask \\<e>']) {
    expect(text.split('\n')).toContain(line);
  }
});
