import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { comparisonOf, fakeActivities, fakeBase } from '../workflow/fakes.ts';
import { start, waitFor, withWorkers } from '../workflow/run.ts';
import { type CliEnvironment, createCliEnvironment } from './cli-environment.ts';

let cli: CliEnvironment;
beforeAll(async () => {
  cli = await createCliEnvironment();
});
afterAll(async () => {
  await cli?.close();
});

const RESTORE = ['restore', 'pitr', 'shop', '--time', '2026-01-31T14:05:00Z', '--reason', 'INC-42'];
const TABLE = ['--table', 'public.orders'];

const handleOf = (id: string) => cli.temporal.client.workflow.getHandle(id);

describe('a recovery from the command line', () => {
  it('starts, waits with the plan, takes the approval of that plan only, and shows the end', async () => {
    const fakes = fakeActivities();
    await withWorkers(cli.temporal, fakes.activities, async () => {
      const waiting = await cli.holdfast(...RESTORE, ...TABLE, '--wait');
      expect(waiting.error).toMatch(/note: .*; the runbook checks the target itself/);
      expect(waiting.error).toMatch(/note: .*; the runbook looks the tables up itself/);
      expect(waiting.code).toBe(3);
      const id = /pitr\/shop\/\d{8}T\d{6}Z/.exec(waiting.out)?.[0] as string;
      expect(waiting.out).toContain(
        `http://127.0.0.1:8233/namespaces/default/workflows/${encodeURIComponent(id)}/`,
      );
      expect(waiting.out).toContain('WAITING FOR DECISION');
      expect(waiting.out).toContain('insert 25 rows');
      expect(waiting.out).toContain(`holdfast approve ${id} --plan digest-25`);

      const status = await cli.holdfast('status', id, '--output', 'json');
      expect(status.code).toBe(3);
      expect(status.json()).toMatchObject({
        workflowId: id,
        database: 'shop',
        requestedBy: 'ana',
        outcome: 'waiting-for-decision',
        waitingFor: 'import',
        plan: { digest: 'digest-25', changes: [{ table: 'public.orders', inserts: 25 }] },
        instance: { url: expect.stringMatching(/^postgresql:/) },
      });

      const silent = await cli.holdfast('approve', id);
      expect(silent.code).toBe(2);
      expect(silent.error).toMatch(/nobody to ask[\s\S]*HINT: .*--plan digest-25/);
      const stale = await cli.holdfast('approve', id, '--plan', 'digest-24');
      expect(stale.code).toBe(1);
      expect(stale.error).toMatch(/refused: the plan has changed[\s\S]*HINT: .*holdfast status/);
      expect(fakes.calls).not.toContain('importTables');

      const approved = await cli.holdfast(
        'approve',
        id,
        '--plan',
        'digest-2',
        '--by',
        'ben',
        '--comment',
        'ok',
      );
      expect(approved.error).toBe('');
      expect(approved.code).toBe(0);
      expect(approved.out).toContain('approved import of pitr/shop/');
      await handleOf(id).result();

      const end = await cli.holdfast('status', id, '--watch');
      expect(end.code).toBe(0);
      expect(end.out).toContain('COMPLETED');
      expect(end.out).toContain('ben approved import, plan digest-25, rule insert-missing: ok');
      expect(end.out).not.toContain('\u001b');
      const late = await cli.holdfast('approve', id, '--plan', 'digest-25');
      expect(late.code).toBe(1);
      expect(late.error).toContain('does not wait for a decision: it is completed');
    });
  });

  it('approves a rule and a drift of the plan, and refuses before it sends what the plan cannot', async () => {
    const found = comparisonOf(25, 'digest-25', { replace: 'the table has no key' });
    const fakes = fakeActivities({ activities: { compareTables: async () => found } });
    await withWorkers(cli.temporal, fakes.activities, async () => {
      const id = (await start(cli.temporal)).workflowId;
      await waitFor(handleOf(id), 'waiting-for-decision');
      const shown = await cli.holdfast('status', id);
      expect(shown.out).toMatch(/insert-missing \* +25 /);
      expect(shown.out).toContain('replace cannot be chosen: the table has no key');

      const plan = ['approve', id, '--plan', 'digest-25'];
      const impossible = await cli.holdfast(...plan, '--conflict', 'replace');
      expect(impossible.code).toBe(1);
      expect(impossible.error).toMatch(/replace cannot be chosen: the table has no key[\s\S]*HINT: /);
      const none = await cli.holdfast(...plan, '--conflict', 'keep-changed');
      expect(none.error).toMatch(/the plan has no rule keep-changed; possible: insert-missing, /);
      expect((await cli.holdfast(...plan, '--conflict', 'overwrite')).code).toBe(2);
      expect((await cli.holdfast(...plan, '--drift', '-1')).code).toBe(2);
      expect((await cli.holdfast(...plan, '--drift', 'few')).error).toMatch(/number of rows[\s\S]*HINT: /);
      const { decisions } = (
        await cli.holdfast('status', id, '--output', 'json')
      ).json() as unknown as RunbookStatus;
      expect(decisions).toEqual([]);

      const approved = await cli.holdfast(...plan, '--conflict', 'restore-changed', '--drift', '100');
      expect(approved.error).toBe('');
      expect(approved.out).toContain('rule restore-changed, up to 100 rows beyond the plan');
      await handleOf(id).result();
      expect(fakes.inputsOf('importTables')).toMatchObject([{ conflict: 'restore-changed', drift: 100 }]);
    });
  });

  it('goes to another moment while it waits, shows its plan, and says where there is no way', async () => {
    const { ApplicationFailure } = await import('@temporalio/activity');
    const fakes = fakeActivities({
      activities: {
        chooseBase: async ({ target, tables }) => {
          if (!('latest' in target)) return fakeBase(tables);
          throw ApplicationFailure.create({
            type: 'LogGap',
            message: '3 logs are missing',
            nonRetryable: true,
            details: ['choose an earlier time'],
          });
        },
        compareTables: async ({ target }) =>
          comparisonOf(25, 'xid' in target ? 'digest-of-4711' : 'digest-25'),
      },
    });
    await withWorkers(cli.temporal, fakes.activities, async () => {
      const id = (await start(cli.temporal)).workflowId;
      await waitFor(handleOf(id), 'waiting-for-decision');

      const impossible = await cli.holdfast('retarget', id, '--latest');
      expect(impossible.error).toBe(
        'the target stays as it is: 3 logs are missing\nHINT: choose an earlier time',
      );
      expect(impossible.code).toBe(1);
      expect((await cli.holdfast('retarget', id)).code).toBe(2);

      const other = await cli.holdfast('retarget', id, '--xid', '4711', '--wait');
      expect(other.error).toBe('');
      expect(other.code).toBe(3);
      expect(other.out).toMatch(/ goes to .*4711.*, from backup \d/);
      expect(other.out).toContain('PLAN digest-of-4711');
      expect((await cli.holdfast('approve', id, '--plan', 'digest-25')).error).toContain(
        'the plan has changed',
      );

      await cli.holdfast('reject', id, '--plan', 'digest-of-4711');
      await handleOf(id).result();
      const late = await cli.holdfast('retarget', id, '--latest', '--output', 'json');
      expect(late.code).toBe(2);
      expect(JSON.parse(late.error).error).toMatchObject({ type: 'InvalidInput', hint: expect.any(String) });
    });
  });

  it('rejects: the runbook cleans up, and the exit code of its status says so', async () => {
    const fakes = fakeActivities();
    await withWorkers(cli.temporal, fakes.activities, async () => {
      const id = (await start(cli.temporal)).workflowId;
      await waitFor(handleOf(id), 'waiting-for-decision');
      const rejected = await cli.holdfast('reject', id, '--yes', '--comment', 'wrong moment');
      expect(rejected.code).toBe(0);
      expect(rejected.out).toContain('public.orders');
      await handleOf(id).result();
      const end = await cli.holdfast('status', id);
      expect(end.code).toBe(4);
      expect(end.out).toContain('REJECTED');
      expect(end.out).toContain('wrong moment');
      expect(fakes.calls).toContain('removeInstance');
      expect(fakes.calls).not.toContain('importTables');
    });
  });

  it('refuses a second change of the same database, and names the first', async () => {
    await withWorkers(cli.temporal, fakeActivities().activities, async () => {
      const first = (await start(cli.temporal)).workflowId;
      await waitFor(handleOf(first), 'waiting-for-decision');
      const second = await cli.holdfast(...RESTORE, ...TABLE);
      expect(second.code).toBe(1);
      expect(second.error).toContain(`another runbook may change shop right now: ${first}`);
      const full = await cli.holdfast('restore', 'full', 'shop', '--site', 'second', '--reason', 'INC-43');
      expect(full.code).toBe(1);
      expect(full.error).toContain(`another runbook may change shop right now: ${first}`);
      await cli.holdfast('reject', first, '--plan', 'digest-25');
      await handleOf(first).result();
    });
  });

  it('shows a failed attempt, the heartbeat of the running one, and connects to the instance', async () => {
    let attempts = 0;
    let finish = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const { ApplicationFailure, heartbeat } = await import('@temporalio/activity');
    const fakes = fakeActivities({
      activities: {
        compareTables: async () => {
          attempts += 1;
          if (attempts === 1)
            throw ApplicationFailure.retryable('the server is starting up', 'ConnectionFailed');
          heartbeat({ phase: 'comparing public.orders', done: 250, total: 1_000, unit: 'rows' });
          await finished;
          return comparisonOf(25);
        },
      },
    });
    await withWorkers(cli.temporal, fakes.activities, async () => {
      const id = (await start(cli.temporal)).workflowId;
      await expect
        .poll(async () => (await handleOf(id).describe()).raw.pendingActivities?.[0]?.attempt, {
          timeout: 20_000,
        })
        .toBe(2);
      await expect
        .poll(async () => (await handleOf(id).describe()).raw.pendingActivities?.[0]?.heartbeatDetails, {
          timeout: 20_000,
        })
        .toBeTruthy();
      const { out, code } = await cli.holdfast('status', id);
      expect(code).toBe(0);
      expect(out).toMatch(/compare +running .*comparing public\.orders: 250 of 1,000 rows \(25%\)/);
      expect(out).toContain(
        'compareTables, attempt 2, running again; the one before failed: the server is starting up',
      );
      const json = (await cli.holdfast('status', id, '--output', 'json')).json() as unknown as RunbookStatus;
      expect(json.steps.find((step) => step.name === 'compare')?.progress).toMatchObject({
        done: 250,
        total: 1_000,
      });
      const url = await cli.holdfast('connect', id, '--print');
      expect(url.out).toBe('postgresql://postgres@/shop?host=/socket');
      const nowhere = await cli.holdfast('connect', id);
      expect(nowhere.error).toMatch(/socket in \/socket is not on this machine\nHINT: .*site/);
      finish();
      await waitFor(handleOf(id), 'waiting-for-decision');
      await handleOf(id).terminate('test');
    });
  });

  it('resumes a parked runbook, and refuses to where there is nothing to resume', async () => {
    let mended = false;
    const { ApplicationFailure } = await import('@temporalio/activity');
    const fakes = fakeActivities({
      activities: {
        restoreInstance: async () => {
          if (!mended) throw ApplicationFailure.nonRetryable('the disk is full', 'NotEnoughSpace');
        },
      },
    });
    await withWorkers(cli.temporal, fakes.activities, async () => {
      const id = (await start(cli.temporal)).workflowId;
      await waitFor(handleOf(id), 'parked');
      const parked = await cli.holdfast('status', id);
      expect(parked.out).toMatch(/PARKED[\s\S]*the disk is full[\s\S]*holdfast resume/);
      mended = true;
      expect((await cli.holdfast('resume', id)).out).toContain('at step restore');
      await waitFor(handleOf(id), 'waiting-for-decision');
      const nothing = await cli.holdfast('resume', id);
      expect(nothing.code).toBe(2);
      expect(nothing.error).toContain('nothing to resume: it is waiting-for-decision');
      await handleOf(id).terminate('test');
    });
  });

  it('never shows a terminated runbook as waiting, and lists what ran', async () => {
    await withWorkers(cli.temporal, fakeActivities().activities, async () => {
      const id = (await start(cli.temporal)).workflowId;
      await waitFor(handleOf(id), 'waiting-for-decision');
      await handleOf(id).terminate('test');
      const status = await cli.holdfast('status', id, '--output', 'json');
      expect(status.code).toBe(4);
      expect(status.json()).toMatchObject({ outcome: 'cancelled', waitingFor: null, instance: null });
      await expect
        .poll(async () => (await cli.holdfast('list', '--database', 'shop', '--output', 'json')).out, {
          timeout: 20_000,
        })
        .toMatch(new RegExp(`"workflowId": "${id}"[^}]*"outcome": "cancelled"`));
      const running = await cli.holdfast('list', '--running');
      expect(running.out).not.toContain(id);
    });
  });
});

describe('a backup from the command line', () => {
  it('waits for it, and prints what it has made', async () => {
    const activities = {
      describeProtection: async () => ({ engine: 'postgres', host: 'local', noWorkerAfterMs: 30_000 }),
      takePhysicalBackup: async ({ kind }: { kind: string }) => ({
        id: '20260131-020000F',
        kind,
        sizeBytes: 3e9,
      }),
    };
    await withWorkers(cli.temporal, activities, async () => {
      const answer = await cli.holdfast('backup', 'shop', '--tier', 'physical', '--wait');
      expect(answer.code).toBe(0);
      expect(answer.out).toMatch(/COMPLETED {2}backup\/physical\/shop\//);
      expect(answer.out).toMatch(/id +20260131-020000F\n +kind +full\n +sizeBytes +2\.8 GiB/);
    });
  });

  it('fails with the reason and its hint', async () => {
    const { ApplicationFailure } = await import('@temporalio/activity');
    const activities = {
      describeProtection: async () => ({ engine: 'postgres', host: 'local', noWorkerAfterMs: 30_000 }),
      abandonLogicalBackup: async () => {},
      takeLogicalBackup: async () => {
        throw ApplicationFailure.create({
          type: 'AuthenticationFailed',
          message: 'PostgreSQL refused user holdfast',
          nonRetryable: true,
          details: ['correct the secret'],
        });
      },
    };
    await withWorkers(cli.temporal, activities, async () => {
      const answer = await cli.holdfast('backup', 'shop', '--tier', 'logical', '--wait', '--output', 'json');
      expect(answer.code).toBe(1);
      expect(answer.json()).toMatchObject({
        outcome: 'failed',
        message: 'PostgreSQL refused user holdfast\nHINT: correct the secret',
      });
    });
  });
});

describe('without what a run needs', () => {
  it('tells of an unknown run, whatever the command', async () => {
    for (const command of [['status'], ['resume'], ['connect'], ['approve', '--yes']]) {
      const [verb, ...rest] = command as [string, ...string[]];
      const answer = await cli.holdfast(verb, 'pitr/shop/20000101T000000Z', ...rest);
      expect(answer.code).toBe(2);
      expect(answer.error).toMatch(/there is no .*workflow pitr\/shop\/20000101T000000Z\nHINT: /);
    }
  });

  it('answers for a run whose worker is gone from what the server knows', async () => {
    const handle = await start(cli.temporal);
    const { out, code, error } = await cli.holdfast('status', handle.workflowId);
    expect(error).toBe('');
    expect(code).toBe(0);
    expect(out).toContain('RUNNING');
    expect(out).toContain('no worker answers');
    const decision = await cli.holdfast('approve', handle.workflowId, '--plan', 'digest-25');
    expect(decision.code).toBe(1);
    await handle.terminate('test');
  });
});
