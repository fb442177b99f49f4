import { describe, expect, it } from 'vitest';
import { formatEvents } from '../../../../src/client/view/events.ts';
import { formatPlan, formatRule, ruleChoices } from '../../../../src/client/view/plan.ts';
import { formatStatus } from '../../../../src/client/view/status.ts';
import { describeLoss } from '../../../../src/model/disaster.ts';
import type { Plan, PlanRule, RulePlan } from '../../../../src/model/plan.ts';
import { statusOf } from './fixtures.ts';

const NOW = new Date('2026-01-31T14:10:00Z');
const TABLE = 'a_schema_with_a_name.a_table_with_a_very_long_name';
const none = { table: TABLE, inserts: 0, updates: 0, deletes: 0, orphans: 0, uniqueClashes: 0 };

function ruleOf(conflict: PlanRule, change: Partial<typeof none>, more: Partial<RulePlan> = {}): RulePlan {
  const changes = [{ ...none, ...change }];
  return { conflict, summary: `summary of ${conflict}`, changes, notices: [], refusal: null, ...more };
}

const RULES = [
  ruleOf('insert-missing', { inserts: 4_999_999, orphans: 12 }, { notices: ['12 rows are orphans'] }),
  ruleOf(
    'restore-changed',
    {},
    { refusal: 'the table has no key, so that changed rows cannot be told apart' },
  ),
  ruleOf('replace', { inserts: 4_999_999, updates: 1_250_000, deletes: 3_000, uniqueClashes: 7 }),
  ruleOf('side-by-side', { inserts: 5_000_000 }, { notices: ['it lands as a_table_restored_1'] }),
];
const PLAN: Plan = {
  digest: 'sha256:bed7b33f43da2804',
  summary: 'insert 4,999,999 rows in 1 table of shop; 12 rows cannot come back',
  backup: '20260131-020000F',
  target: { time: '2026-01-31T14:05:00Z' },
  position: 'before commit of transaction 742',
  conflict: 'insert-missing',
  estimateSeconds: 42,
  changes: RULES[0]?.changes ?? [],
  rules: RULES,
  notices: ['12 rows are orphans'],
};

describe('a plan with several rules', () => {
  const text = formatPlan(PLAN, 80);

  it('has a line of every rule with its totals, the own one marked', () => {
    expect(text).toMatch(/insert-missing \* +4,999,999 +0 +0 +12 +0\n/);
    expect(text).toMatch(/replace +4,999,999 +1,250,000 +3,000 +0 +7\n/);
    expect(text).toMatch(/side-by-side +5,000,000 +0 +0 +0 +0\n/);
    expect(text).toContain('--conflict');
  });

  it('says why a rule cannot be chosen, and gives no numbers for it', () => {
    expect(text).toMatch(/restore-changed +- +- +- +- +-$/m);
    expect(text).toMatch(/- restore-changed cannot be chosen: the table has no key, so that changed rows\n/);
  });

  it('says of other rules what is true of them only, and nothing twice', () => {
    expect(text).toContain('! side-by-side: it lands as a_table_restored_1');
    expect(text.match(/12 rows are orphans/g)).toHaveLength(1);
  });

  it('is at most 80 columns wide but for a name that is longer', () => {
    const wide = text.split('\n').filter((line) => line.length > 80);
    expect(wide).toEqual([expect.stringMatching(/^ +4,999,999 +0 +0 +12 +0 +\S+$/)]);
    const short = { ...PLAN, changes: [{ ...none, table: 'public.orders', inserts: 4_999_999 }] };
    const lines = formatPlan(short, 80).split('\n');
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines.join('\n')).toMatch(/public\.orders +4,999,999/);
  });

  it('shows one rule in full to whoever is about to choose it', () => {
    const replace = formatRule(PLAN, RULES[2] as RulePlan, 80);
    expect(replace).toMatch(/^RULE replace\n {2}summary of replace\n/);
    expect(replace).toMatch(
      / 4,999,999 +1,250,000 +3,000 +0 +7 +a_schema_with_a_name\.a_table_with_a_very_long_name$/m,
    );
    expect(formatRule(PLAN, RULES[1] as RulePlan, 80)).toContain('cannot be chosen: the table has no key');
  });

  it('offers only what can be chosen', () => {
    expect(ruleChoices(PLAN).map(({ value }) => value)).toEqual([
      'insert-missing',
      'replace',
      'side-by-side',
    ]);
    expect(ruleChoices(PLAN)[1]?.label).toBe('replace: summary of replace');
  });
});

describe('a plan whose own rule cannot be chosen', () => {
  const refusal = 'the table has no key';
  const [missing, changed, ...others] = RULES as [RulePlan, RulePlan, ...RulePlan[]];
  const rules = [{ ...missing, refusal }, { ...changed, refusal }, ...others];
  const plan = { ...PLAN, rules, notices: [] };

  it('says a reason once for all rules that it is true of, and not again below a notice', () => {
    expect(formatPlan(plan, null)).toContain(
      '- insert-missing and restore-changed cannot be chosen: the table has no key',
    );
    const noticed = formatPlan({ ...plan, notices: [`insert-missing cannot be chosen: ${refusal}.`] }, null);
    expect(noticed.match(/insert-missing cannot be chosen/g)).toHaveLength(1);
    expect(noticed).toContain('- restore-changed cannot be chosen');
  });

  it('shows the approvals that count', () => {
    const status = statusOf({ outcome: 'waiting-for-decision', waitingFor: 'import', plan });
    const lines = formatStatus({ status, activities: [], speed: null, now: NOW, width: null }).split('\n');
    expect(lines.filter((line) => line.includes('holdfast approve'))).toEqual(
      ['replace', 'side-by-side'].map(
        (rule) => `  holdfast approve ${status.workflowId} --plan ${PLAN.digest} --conflict ${rule}`,
      ),
    );
  });
});

it('shows what was approved once it is, not what the plan would have done by itself', () => {
  const record = {
    ...{ name: 'import', by: 'ben', identity: null, action: 'approve' as const, at: '2026-01-31T14:06:00Z' },
    ...{ plan: PLAN.digest, conflict: 'replace' as const },
  };
  const statusText = (waitingFor: string | null) => {
    const status = statusOf({ plan: PLAN, decisions: [record], waitingFor });
    return formatStatus({ status, activities: [], speed: null, now: NOW, width: null });
  };
  expect(statusText(null)).toMatch(/PLAN .*\n {2}summary of replace\n/);
  expect(statusText(null)).toMatch(/RULES \(\* was approved\)[\s\S]*replace \*/);
  expect(statusText(null)).not.toContain('it lands as a_table_restored_1');
  expect(statusText(null)).not.toContain('cannot be chosen');
  // The first of two approvals decides nothing yet.
  expect(statusText('import')).toMatch(/insert-missing \*/);
});

it('has no table of rules where there is nothing to choose', () => {
  expect(formatPlan({ ...PLAN, rules: [] }, 80)).not.toContain('RULES');
  expect(formatPlan({ ...PLAN, rules: RULES.slice(0, 1) }, 80)).not.toContain('RULES');
});

it('shows a decision with its rule and its drift', () => {
  const record = {
    ...{ name: 'import', by: 'ben', identity: null, action: 'approve' as const, at: '2026-01-31T14:06:00Z' },
    ...{ plan: PLAN.digest, conflict: 'replace' as const, drift: 100 },
  };
  const status = statusOf({ decisions: [record, { ...record, by: 'cleo', drift: 1 }] });
  const text = formatStatus({ status, activities: [], speed: null, now: NOW, width: null });
  expect(text).toContain(`plan ${PLAN.digest}, rule replace, up to 100 rows beyond the plan`);
  expect(text).toContain('up to 1 row beyond the plan');
  expect(formatEvents(statusOf(), status, NOW)[0]).toContain(
    ', rule replace, up to 100 rows beyond the plan',
  );
});

describe('the plans of a disaster recovery', () => {
  const disaster: Plan = { ...PLAN, conflict: null, changes: [], rules: [], position: null };

  it('say what is lost before anything else', () => {
    const loss = {
      ...{ at: '2026-01-31T14:05:34Z', lastRecoverableAt: '2026-01-31T14:05:00Z', seconds: 34 },
      transactions: { lost: 12, until: '2026-01-31T14:05:30Z' },
    };
    const summary = `recover shop at second to the end of its logs: ${describeLoss(loss)}`;
    const [, first, second] = formatPlan({ ...disaster, summary }, null).split('\n');
    expect(first).toBe(
      '  recover shop at second to the end of its logs: commits since 2026-01-31T14:05:00Z are lost, 34s of them; 12 transactions of these had been seen by 2026-01-31T14:05:30Z',
    );
    expect(second).toMatch(/^ {2}from backup 20260131-020000F/);
  });

  it('show where every endpoint sends clients now, and where it will', () => {
    const endpoints = [
      { name: 'pgbouncer /etc/pgbouncer.ini [shop]', from: '10.0.0.1:5432', to: '10.1.0.1:5432' },
      { name: 'file /etc/shop.env', from: null, to: '10.1.0.1:5432' },
      { name: 'secret shop', from: '10.1.0.1:5432', to: '10.1.0.1:5432' },
    ];
    expect(formatPlan({ ...disaster, endpoints, notices: ['a notice'] }, 80)).toContain(
      `
  endpoint                             now            to
  pgbouncer /etc/pgbouncer.ini [shop]  10.0.0.1:5432  10.1.0.1:5432
  file /etc/shop.env                   nothing        10.1.0.1:5432
  secret shop                          10.1.0.1:5432  stays

  ! a notice`,
    );
  });
});
