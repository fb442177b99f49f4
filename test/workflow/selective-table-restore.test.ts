import { ApplicationFailure } from '@temporalio/activity';
import { CancelledFailure, type WorkflowFailedError } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { createTestEnvironment } from './environment.ts';
import { comparisonOf, fakeActivities, fakeBase, type RunbookActivities } from './fakes.ts';
import { approve, failureOf, record, start as startRunbook, waitFor, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const INPUT = { database: 'shop', reason: 'rows were deleted', requestedBy: 'ana', tables: ['orders'] };
const start = (input: object = {}) =>
  startRunbook(environment, { ...INPUT, ...input }, 'selectiveTableRestore');

const FILE = { table: 'public.orders', rows: 25, place: 'export/x/orders.csv', sizeBytes: 9, sha256: 'aa' };

/** Activities of this runbook on top of those that it shares; what no selective restore calls fails. */
function fakes(
  activities: Partial<RunbookActivities> = {},
  settings: NonNullable<Parameters<typeof fakeActivities>[0]>['settings'] = {},
) {
  const shared = fakeActivities();
  const none = async () => {
    throw ApplicationFailure.nonRetryable('a selective restore does not replay', 'InvalidInput');
  };
  return fakeActivities({
    settings,
    activities: {
      ...{ chooseBase: none, restoreInstance: none, replayInstance: none, checkInstance: none },
      chooseLogicalBackup: async ({ tables }) => ({
        ...fakeBase(tables === null ? null : ['public.orders']),
        ...{ backup: '20260131T020000Z', notices: ['rows are as of the backup'] },
      }),
      restoreTables: async () => ({
        ...shared.replayed,
        ...{ named: ['public.orders'], tables: ['public.orders'], notices: ['an extension is missing'] },
      }),
      checkRestoredTables: async () => [{ name: 'rows', verdict: 'pass', detail: '25 rows' }],
      exportTables: async () => [FILE],
      ...activities,
    },
  });
}

describe('a selective table restore', () => {
  it('restores the named tables alone, asks, imports what was approved, and leaves evidence and no instance', async () => {
    const fake = fakes();
    await withWorkers(environment, fake.activities, async () => {
      const handle = await start({ backup: '20260131T020000Z' });
      const waiting = await waitFor(handle, 'waiting-for-decision');
      expect(waiting).toMatchObject({ runbook: 'selectiveTableRestore', waitingFor: 'import' });
      expect(waiting.instance?.url).toMatch(/^postgresql:/);
      expect(fake.calls).not.toContain('importTables');

      await handle.executeUpdate('decide', approve(waiting));
      const result = (await handle.result()) as RunbookStatus;
      expect(result).toMatchObject({
        outcome: 'completed',
        instance: null,
        evidence: 'evidence/shop/x.json',
      });
      expect(fake.calls).toEqual([
        ...['describeRecovery', 'chooseLogicalBackup', 'provisionInstance', 'restoreTables'],
        ...['checkRestoredTables', 'compareTables', 'importTables', 'verifyImport', 'removeInstance'],
        'writeEvidence',
      ]);
      expect(fake.inputsOf('chooseLogicalBackup')).toMatchObject([
        { backup: '20260131T020000Z', tables: ['orders'] },
      ]);
      expect(fake.inputsOf('compareTables')).toMatchObject([
        {
          target: { backup: '20260131T020000Z' },
          tables: ['public.orders'],
          base: { notices: ['rows are as of the backup', 'an extension is missing'] },
        },
      ]);
      expect(fake.evidence()).toMatchObject({ checks: [{ name: 'rows' }, { detail: '25 present' }] });
      await record('table-approved', handle);
    });
  });

  it('thaws a snapshot before it makes an instance', async () => {
    const archived = { storageClass: 'DEEP_ARCHIVE', objects: 2, bytes: 1e9, hours: 12 };
    let looks = 0;
    const fake = fakes({
      chooseLogicalBackup: async ({ tables }) => ({
        ...fakeBase(tables === null ? null : ['public.orders']),
        ...{ backup: 'snapshot-20260101T020000Z', archived },
      }),
      requestThaw: async () => {
        looks += 1;
        return { left: looks === 1 ? 2 : 0 };
      },
    });
    await withWorkers(environment, fake.activities, async () => {
      const handle = await start({ backup: 'snapshot-20260101T020000Z' });
      const waiting = await waitFor(handle, 'waiting-for-decision');
      const before = fake.calls.slice(0, fake.calls.indexOf('provisionInstance'));
      expect(before).toEqual(['describeRecovery', 'chooseLogicalBackup', 'requestThaw', 'requestThaw']);
      await handle.executeUpdate('decide', approve(waiting));
      await handle.result();
      await record('table-thawed', handle);
    });
  });

  it('takes the newest backup where none is named, and changes nothing once rejected', async () => {
    const fake = fakes();
    await withWorkers(environment, fake.activities, async () => {
      const handle = await start();
      const waiting = await waitFor(handle, 'waiting-for-decision');
      const args: [unknown] = [{ by: 'ben', action: 'reject', plan: waiting.plan?.digest }];
      await handle.executeUpdate('decide', { args });
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('rejected');
      expect(fake.inputsOf('chooseLogicalBackup')).toMatchObject([{ backup: null }]);
      expect(fake.calls).not.toContain('importTables');
      expect(fake.calls.slice(-2)).toEqual(['removeInstance', 'writeEvidence']);
      await record('table-rejected', handle);
    });
  });

  it('expires where nobody decides', async () => {
    const approval = { people: 1, requesterMayApprove: true, approvers: [], timeLimitMs: 1 };
    const fake = fakes({}, { approval });
    await withWorkers(environment, fake.activities, async () => {
      const handle = await start();
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('expired');
      expect(fake.calls).not.toContain('importTables');
      expect(fake.calls).toContain('removeInstance');
      await record('table-expired', handle);
    });
  });

  it('is cancelled while it waits: the instance goes', async () => {
    const fake = fakes();
    await withWorkers(environment, fake.activities, async () => {
      const handle = await start();
      await waitFor(handle, 'waiting-for-decision');
      await handle.cancel();
      const ended = await handle.result().catch((error: unknown) => error);
      expect((ended as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
      expect(fake.calls.slice(-2)).toEqual(['removeInstance', 'writeEvidence']);
      expect(fake.evidence()?.status.outcome).toBe('cancelled');
      await record('table-cancelled', handle);
    });
  });

  it('compares nothing where the copy is not what was backed up', async () => {
    const fake = fakes({
      checkRestoredTables: async () => {
        throw ApplicationFailure.create({
          ...{ type: 'CheckFailed', message: 'backup 20260131T020000Z is not what was backed up' },
          ...{ nonRetryable: true, details: ['restore from another backup'] },
        });
      },
    });
    await withWorkers(environment, fake.activities, async () => {
      const handle = await start();
      expect(await failureOf(handle.result())).toMatchObject({
        type: 'CheckFailed',
        message: expect.stringMatching(/not what was backed up[\s\S]*HINT: restore from another backup/),
      });
      expect(fake.calls).not.toContain('compareTables');
      expect(fake.calls).toContain('removeInstance');
      await record('table-check-failed', handle);
    });
  });

  it('makes no instance for a table that neither production nor a backup knows', async () => {
    const fake = fakes({
      chooseLogicalBackup: async () => {
        throw ApplicationFailure.nonRetryable('there is no table orders', 'UnknownTable');
      },
    });
    await withWorkers(environment, fake.activities, async () => {
      const handle = await start();
      expect(await failureOf(handle.result())).toMatchObject({ type: 'UnknownTable' });
      expect(fake.calls).not.toContain('provisionInstance');
      await record('table-unknown', handle);
    });
  });

  it('parks where the site lacks the programs, and goes on after resume', async () => {
    let missing = true;
    const ordinary = fakes().activities.restoreTables;
    const fake = fakes({
      restoreTables: async (input) => {
        if (missing)
          throw ApplicationFailure.nonRetryable('initdb of PostgreSQL 16 was not found', 'ToolMissing');
        return ordinary(input);
      },
    });
    await withWorkers(environment, fake.activities, async () => {
      const handle = await start();
      await waitFor(handle, 'parked');
      missing = false;
      await handle.signal('resume');
      await handle.executeUpdate('decide', approve(await waitFor(handle, 'waiting-for-decision')));
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      await record('table-parked', handle);
    });
  });
});

describe('an export of a selective restore', () => {
  it('of whole tables asks neither people nor production', async () => {
    const fake = fakes();
    await withWorkers(environment, fake.activities, async () => {
      const handle = await start({ export: 'csv:repository' });
      const result = (await handle.result()) as RunbookStatus;
      expect(result).toMatchObject({ outcome: 'completed', plan: null, decisions: [] });
      expect(fake.inputsOf('chooseLogicalBackup')).toMatchObject([{ tables: null }]);
      expect(fake.inputsOf('restoreTables')).toMatchObject([{ tables: ['orders'] }]);
      expect(fake.inputsOf('checkRestoredTables')).toMatchObject([{ besideProduction: false }]);
      for (const name of ['compareTables', 'importTables']) expect(fake.calls).not.toContain(name);
      expect(fake.evidence()).toMatchObject({ exported: [FILE], imported: null });
      await record('table-exported', handle);
    });
  });

  it('of the rows that a rule would bring back compares, and asks nobody', async () => {
    const fake = fakes({ compareTables: async () => comparisonOf(25) });
    await withWorkers(environment, fake.activities, async () => {
      const handle = await start({ export: 'csv:repository', conflict: 'restore-changed' });
      expect(((await handle.result()) as RunbookStatus).outcome).toBe('completed');
      expect(fake.inputsOf('exportTables')).toMatchObject([{ rows: { conflict: 'restore-changed' } }]);
      expect(fake.calls).not.toContain('importTables');
      await record('table-exported-rows', handle);
    });
  });
});
