import { ApplicationFailure } from '@temporalio/activity';
import { WorkflowFailedError } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestEnvironment } from './environment.ts';
import { record, start, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const PROTECTION = {
  describeProtection: async () => ({ engine: 'postgres', host: 'local', noWorkerAfterMs: 30_000 }),
};
const SUMMARY = { id: 'x', database: 'shop', tier: 'logical', kind: 'full', sizeBytes: 1 };

describe('logicalBackup', () => {
  it('names the backup itself, so that every attempt is of the same one', async () => {
    const ids: string[] = [];
    let attempts = 0;
    const activities = {
      ...PROTECTION,
      takeLogicalBackup: async ({ backup }: { backup: string }) => {
        ids.push(backup);
        attempts += 1;
        if (attempts === 1) throw ApplicationFailure.retryable('S3 is away', 'RepositoryUnavailable');
        return { ...SUMMARY, id: backup };
      },
    };
    await withWorkers(environment, activities, async () => {
      const handle = await start(environment, { database: 'shop' }, 'logicalBackup');
      expect(await handle.result()).toMatchObject({ database: 'shop', id: ids[0] });
      expect(ids).toHaveLength(2);
      expect(ids[1]).toBe(ids[0]);
      expect(ids[0]).toMatch(/^\d{8}T\d{6}Z$/);
      await record('logical-backup', handle);
    });
  });

  it('removes what a backup that failed for good has left', async () => {
    const abandoned: unknown[] = [];
    const activities = {
      ...PROTECTION,
      takeLogicalBackup: async () => {
        throw ApplicationFailure.create({
          type: 'AuthenticationFailed',
          message: 'the password of holdfast is wrong',
          nonRetryable: true,
          details: ['correct the secret'],
        });
      },
      abandonLogicalBackup: async (input: unknown) => {
        abandoned.push(input);
      },
    };
    await withWorkers(environment, activities, async () => {
      const handle = await start(environment, { database: 'shop' }, 'logicalBackup');
      const error = await handle.result().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(WorkflowFailedError);
      expect((error as WorkflowFailedError).cause?.message).toBe(
        'the password of holdfast is wrong\nHINT: correct the secret',
      );
      expect(abandoned).toHaveLength(1);
      await record('logical-backup-failed', handle);
    });
  });
});

describe('physicalBackup', () => {
  it('refuses a kind that does not exist, by name', async () => {
    await withWorkers(environment, PROTECTION, async () => {
      const handle = await start(environment, { database: 'shop', kind: 'partial' }, 'physicalBackup');
      const error = (await handle.result().catch((reason: unknown) => reason)) as WorkflowFailedError;
      expect(error.cause?.message).toMatch(/kind: .*full.*diff[\s\S]*HINT: the fields are database, kind/);
    });
  });

  it('takes it on the host of the database', async () => {
    const kinds: string[] = [];
    const activities = {
      ...PROTECTION,
      takePhysicalBackup: async ({ kind }: { kind: string }) => {
        kinds.push(kind);
        return { ...SUMMARY, tier: 'physical', kind };
      },
    };
    await withWorkers(environment, activities, async () => {
      const handle = await start(environment, { database: 'shop', kind: 'diff' }, 'physicalBackup');
      expect(await handle.result()).toMatchObject({ tier: 'physical', kind: 'diff' });
      expect(kinds).toEqual(['diff']);
      await record('physical-backup', handle);
    });
  });
});

describe('monthlySnapshot', () => {
  const taking = (found: object, copy: () => object = () => ({})) => {
    const inputs: unknown[] = [];
    const activities = {
      ...PROTECTION,
      chooseSnapshot: async () => found,
      takeSnapshot: async (input: unknown) => {
        inputs.push(input);
        return { ...SUMMARY, tier: 'snapshot', ...copy() };
      },
    };
    return { activities, inputs };
  };
  const startSnapshot = () => start(environment, { database: 'shop' }, 'monthlySnapshot');

  it('copies what was chosen; each attempt counts its retention from the same moment', async () => {
    let attempts = 0;
    const { activities, inputs } = taking({ backup: '20260101-200000F' }, () => {
      attempts += 1;
      if (attempts === 1) throw ApplicationFailure.retryable('S3 is away', 'RepositoryUnavailable');
      return { id: 'snapshot-20260101-200000F' };
    });
    await withWorkers(environment, activities, async () => {
      const handle = await startSnapshot();
      expect(await handle.result()).toMatchObject({ tier: 'snapshot', id: 'snapshot-20260101-200000F' });
      expect(inputs).toHaveLength(2);
      expect(inputs[1]).toEqual(inputs[0]);
      expect(inputs[0]).toMatchObject({
        ...{ database: 'shop', backup: '20260101-200000F', at: expect.stringMatching(/Z$/) },
        madeBy: { workflowId: handle.workflowId },
      });
      await record('monthly-snapshot', handle);
    });
  });

  it('says why there is nothing to do, which is no failure', async () => {
    const skipped = 'shop has its snapshot of 2026-01 already: snapshot-20260101-200000F';
    const { activities, inputs } = taking({ id: 'snapshot-20260101-200000F', skipped });
    await withWorkers(environment, activities, async () => {
      const handle = await startSnapshot();
      expect(await handle.result()).toEqual({ id: 'snapshot-20260101-200000F', skipped });
      expect(inputs).toEqual([]);
      await record('monthly-snapshot-skipped', handle);
    });
  });

  it('fails for good with what the store has refused', async () => {
    const { activities } = taking({ backup: '20260101-200000F' }, () => {
      throw ApplicationFailure.create({
        ...{ type: 'RepositoryRefused', message: 'the repository refused', nonRetryable: true },
        details: ['the policy of these credentials has to allow the request'],
      });
    });
    await withWorkers(environment, activities, async () => {
      const handle = await startSnapshot();
      const error = (await handle.result().catch((reason: unknown) => reason)) as WorkflowFailedError;
      expect(error.cause?.message).toMatch(/^the repository refused\nHINT: the policy/);
      await record('monthly-snapshot-failed', handle);
    });
  });
});

describe('logArchiveWatch', () => {
  it('goes round, goes on past a failed round, and ends when nothing is left to watch', async () => {
    let rounds = 0;
    const activities = {
      describeWatch: async () => ({ databases: rounds < 3 ? 1 : 0, intervalMs: 50, noWorkerAfterMs: 30_000 }),
      watchHost: async () => {
        rounds += 1;
        if (rounds === 2) throw ApplicationFailure.nonRetryable('S3 refuses', 'RepositoryRefused');
        return [{ database: 'shop', problem: null, lastArchivedAt: '2026-01-31T14:05:00Z', waiting: 0 }];
      },
    };
    await withWorkers(environment, activities, async () => {
      const handle = await start(environment, { host: 'local' }, 'logArchiveWatch');
      await handle.result();
      expect(rounds).toBe(3);
      expect(await handle.query('reports')).toMatchObject([{ database: 'shop', problem: null }]);
      await record('log-archive-watch', handle);
    });
  });
});

describe('instanceReaper', () => {
  it('asks every host of every site, and says which it could not reach', async () => {
    const activities = {
      listPlaces: async () => ({
        places: [
          { site: 'near', host: 'local' },
          { site: 'far', host: 'silent' },
        ],
        noWorkerAfterMs: 500,
      }),
      reapInstances: async ({ site }: { site: string }) => [`shop-of-${site}`],
      removeExpiredUndo: async () => ['undo/shop/x/data/y/'],
    };
    await withWorkers(environment, activities, async () => {
      const handle = await start(environment, {}, 'instanceReaper');
      expect(await handle.result()).toEqual({
        removed: ['shop-of-near'],
        unreached: [{ host: 'silent', why: expect.stringContaining('holdfast-host-silent') }],
        undo: { removed: ['undo/shop/x/data/y/'], why: null },
      });
      await record('instance-reaper', handle);
    });
  });
});
