import { ApplicationFailure } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Audited } from '../../src/activities/auditing.ts';
import type { Alert } from '../../src/model/alert.ts';
import type { AuditFinding } from '../../src/model/audit.ts';
import type { AuditResult, KeyedFinding } from '../../src/model/audit-result.ts';
import { createTestEnvironment } from './environment.ts';
import { failureOf, record, start, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const KILLED: KeyedFinding = {
  key: 'needed-gone/shop/rule old',
  ...{ severity: 'critical', code: 'needed-gone', database: 'shop', firstDay: '2026-12-22' },
  what: 'rule old on pgbackrest/backup/ removes full 20261122-200000F on 2026-12-22: 6 differentials need it',
  hint: 'holdfast repository plan shows the rules that fit',
};
const ORPHAN: AuditFinding = {
  ...{ severity: 'info', code: 'orphan', database: null, firstDay: null },
  ...{ what: "holiday/ is nothing of Holdfast's", hint: 'remove it' },
};

const auditOf = (findings: KeyedFinding[], before: AuditResult | null = null): Audited => ({
  found: {
    ...{ at: '2026-11-25T06:00:00.000Z', repository: { bucket: 'b', prefix: '', region: 'eu-west-1' } },
    looked: { versions: 50_000, markers: 3, bytes: 1, headed: 700 },
    ...{ databases: 2, findings, more: 0 },
    counts: {
      critical: findings.filter(({ severity }) => severity === 'critical').length,
      warning: 0,
      info: findings.filter(({ severity }) => severity === 'info').length,
    },
  },
  ...{ before, tells: true },
});

function post() {
  const sent: Alert[] = [];
  return {
    sent,
    activities: {
      describeChannels: async () => ['webhook 1'],
      sendAlert: async ({ alert }: { alert: Alert }) => {
        sent.push(alert);
      },
    },
  };
}

/** The end of a run, and of those that deliver for it. */
async function end(handle: WorkflowHandle): Promise<AuditResult> {
  const result = (await handle.result()) as AuditResult;
  await delivered(handle);
  return result;
}

async function delivered(handle: WorkflowHandle): Promise<void> {
  const { events } = await handle.fetchHistory();
  for (const { childWorkflowExecutionStartedEventAttributes: child } of events ?? []) {
    const id = child?.workflowExecution?.workflowId;
    if (id != null) await environment.client.workflow.getHandle(id).result();
  }
}

test('a critical finding is told once, also when its numbers change, and once when it is over', async () => {
  const { sent, activities } = post();
  let audited = auditOf([KILLED, ORPHAN]);
  const fakes = { ...activities, auditRepository: async () => audited };
  await withWorkers(environment, fakes, async () => {
    const run = () => start(environment, {}, 'repositoryAudit');
    const first = await run();
    const result = await end(first);
    expect(result).toMatchObject({
      counts: { critical: 1, warning: 0, info: 1 },
      findings: [{ ...KILLED, since: expect.any(String) }, ORPHAN],
    });
    expect(sent).toMatchObject([
      { title: KILLED.what, severity: 'critical', database: 'shop', hint: KILLED.hint },
    ]);
    await record('repository-audit-finding', first);

    const later = { ...KILLED, what: KILLED.what.replace('6 differentials', '5 differentials') };
    audited = auditOf([later, ORPHAN], result);
    const second = await end(await run());
    expect(second.findings[0]).toMatchObject({ what: later.what, since: result.findings[0]?.since });
    expect(sent).toHaveLength(1);

    audited = auditOf([ORPHAN], second);
    const last = await run();
    await end(last);
    expect(sent.slice(1)).toMatchObject([{ title: `over: ${later.what}`, severity: 'info' }]);
    await record('repository-audit-over', last);
  });
});

test('the Temporal UI shows the verdict, and each finding with its day and what to do', async () => {
  const { activities } = post();
  let audited = auditOf([KILLED]);
  const fakes = { ...activities, auditRepository: async () => ({ ...audited, tells: false }) };
  await withWorkers(environment, fakes, async () => {
    const details = async () => {
      const handle = await start(environment, {}, 'repositoryAudit');
      await handle.result();
      const shown = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
      const { searchAttributes } = await handle.describe();
      expect(searchAttributes).toMatchObject({
        HoldfastRunbook: ['repositoryAudit'],
        HoldfastOutcome: ['completed'],
      });
      return shown.currentDetails;
    };
    expect(await details()).toBe(
      [
        '## 1 critical finding: not every promise of 2 databases holds',
        '',
        'Read on 2026-11-25T06:00:00.000Z: 50,000 versions, 700 objects asked for lock and key.',
        '',
        '| | database | what | from | what to do |',
        '|---|---|---|---|---|',
        `| **critical** | shop | ${KILLED.what} | 2026-12-22 | ${KILLED.hint} |`,
      ].join('\n'),
    );
    audited = auditOf([]);
    expect(await details()).toContain('## every promise of 2 databases holds for a year to come');
  });
});

test('an audit that fails is told, and fails with its hint', async () => {
  const { sent, activities } = post();
  const auditRepository = async () => {
    throw ApplicationFailure.create({
      ...{
        type: 'RepositoryRefused',
        message: 'S3 said no',
        details: ['look at the policy'],
        nonRetryable: true,
      },
    });
  };
  await withWorkers(environment, { ...activities, auditRepository }, async () => {
    const handle = await start(environment, {}, 'repositoryAudit');
    expect(await failureOf(handle.result())).toMatchObject({ type: 'RepositoryRefused' });
    await delivered(handle);
    expect(sent).toMatchObject([
      { title: 'the repository could not be audited', text: 'S3 said no', hint: 'look at the policy' },
    ]);
    await record('repository-audit-failed', handle);
  });
});
