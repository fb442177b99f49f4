import { ApplicationFailure } from '@temporalio/activity';
import type { WorkflowFailedError, WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Check } from '../../src/model/evidence.ts';
import type { Verdict, Verification } from '../../src/model/verification.ts';
import { createTestEnvironment } from './environment.ts';
import { type Fakes, fakeActivities, fakeBase, type RunbookActivities } from './fakes.ts';
import { record, start, statusOf, withWorkers } from './run.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await createTestEnvironment();
});
afterAll(async () => {
  await environment?.teardown();
});

const INPUT = { database: 'shop', reason: 'daily', requestedBy: 'ana' };
const check = (name: string, verdict: Verdict = 'pass', detail = 'as it was'): Check => ({
  ...{ name, verdict, detail },
});
const failure = (type: string, message: string) =>
  ApplicationFailure.create({ type, message, nonRetryable: true, details: ['mend it'] });
const LOGICAL = { tier: 'logical', backup: 'dump', startedAt: '2026-01-31T02:00:00Z', newest: true } as const;
const PHYSICAL = {
  tier: 'physical',
  backup: '20260131-020000F',
  startedAt: '2026-01-31T01:00:00Z',
  newest: true,
} as const;

/** Two whole backups, and what a test makes of them. */
function verifying(
  activities: Partial<RunbookActivities> = {},
  settings: NonNullable<Parameters<typeof fakeActivities>[0]>['settings'] = {},
): Fakes {
  const restored = { ...fakeActivities().replayed, named: null, tables: ['public.orders'], notices: [] };
  return fakeActivities({
    settings,
    activities: {
      chooseForVerification: async () => ({
        candidates: [LOGICAL, PHYSICAL],
        missing: [],
        checks: [check('logical: age'), check('physical: age')],
      }),
      chooseLogicalBackup: async () => ({ ...fakeBase(null), backup: 'dump' }),
      checkObjects: async () => [check('objects')],
      restoreTables: async () => restored,
      checkRestoredTables: async () => [check('rows'), check('definitions')],
      checkInstance: async () => [check('integrity')],
      countProduction: async () => ({ counts: { tables: [], recent: [] }, problem: null }),
      checkCounts: async () => [check('counts')],
      checkHeartbeat: async () => [check('heartbeat')],
      checkHealth: async () => [],
      recordVerification: async () => ({ before: null }),
      ...activities,
    },
  });
}

async function run(
  fakes: Fakes,
  look: (found: Verification, handle: WorkflowHandle) => void | Promise<void>,
  queues?: string[],
): Promise<void> {
  await withWorkers(
    environment,
    fakes.activities,
    async () => {
      const handle = await start(environment, INPUT, 'dailyVerify');
      await look((await handle.result()) as Verification, handle);
    },
    queues,
  );
}

const verdicts = (fakes: Fakes) =>
  fakes.inputsOf('recordVerification').map(({ tier, backup, verdict }) => `${tier} ${backup} ${verdict}`);
const removed = ({ calls }: Fakes) => calls.filter((name) => name === 'removeInstance').length;

describe('dailyVerify', () => {
  it('passes what passes every check, keeps a verdict by backup, and removes each instance before the next', async () => {
    const fakes = verifying();
    await run(fakes, async (found, handle) => {
      expect(found).toMatchObject({ verdict: 'pass', reasons: [], backup: 'dump, 20260131-020000F' });
      expect(verdicts(fakes)).toEqual(['logical dump pass', 'physical 20260131-020000F pass']);
      const made = fakes.calls.filter((name) => /^(?:provision|remove)Instance$/.test(name));
      expect(made).toEqual(['provisionInstance', 'removeInstance', 'provisionInstance', 'removeInstance']);
      expect(fakes.evidence()?.checks.map(({ name }) => name)).toEqual(found.checks.map(({ name }) => name));
      expect((await statusOf(handle)).outcome).toBe('completed');
      await record('verified', handle);
    });
  });

  it('says fail of a damaged backup, and still looks at the other', async () => {
    const fakes = verifying({
      restoreTables: async () => {
        throw failure('BackupUnusable', 'the dump of backup dump is damaged');
      },
    });
    await run(fakes, async (found, handle) => {
      expect(found.verdict).toBe('fail');
      expect(found.reasons).toEqual(['logical: restore is fail: the dump of backup dump is damaged']);
      expect(verdicts(fakes)).toEqual(['logical dump fail', 'physical 20260131-020000F pass']);
      expect(removed(fakes)).toBe(2);
      // A run that came to a verdict has not failed.
      expect(await statusOf(handle)).toMatchObject({ outcome: 'completed', message: found.reasons[0] });
      await record('verified-damaged', handle);
    });
  });

  it('replays a dump that leads on to the end of its logs, on the same instance', async () => {
    const onward = { ...fakeBase(null), backup: 'dump', logs: 3 };
    const dumped = { logs: { lineage: 'server.1', firstLog: 'binlog.000004' } };
    const fakes = verifying({
      chooseForVerification: async () => ({
        ...{ candidates: [{ ...LOGICAL, leadsOn: true as const }], missing: [], checks: [] },
      }),
      chooseBase: async () => ({ ...onward, dumped }),
    });
    await run(fakes, async (found, handle) => {
      expect(found.verdict).toBe('pass');
      expect(fakes.inputsOf('chooseBase')).toMatchObject([{ target: { latest: true }, preferred: 'dump' }]);
      expect(fakes.inputsOf('replayInstance')).toMatchObject([
        { target: { latest: true }, base: { dumped } },
      ]);
      expect(found.checks.map(({ name }) => name)).toEqual([
        ...['logical: objects', 'logical: rows', 'logical: definitions', 'logical: counts'],
        ...['logical: heartbeat', 'logical: counts'],
      ]);
      expect(removed(fakes)).toBe(1);
      await record('verified-with-logs', handle);
    });
  });

  it('says fail where the logs cannot be replayed, and what the dump holds all the same', async () => {
    const fakes = verifying({
      chooseForVerification: async () => ({
        ...{ candidates: [{ ...LOGICAL, leadsOn: true as const }], missing: [], checks: [] },
      }),
      chooseBase: async () => {
        throw failure('LogGap', 'latest cannot be reached: 1 log missing in the repository');
      },
    });
    await run(fakes, async (found, handle) => {
      expect(found.verdict).toBe('fail');
      expect(found.reasons).toEqual([
        'logical: logs is fail: latest cannot be reached: 1 log missing in the repository',
      ]);
      expect(found.checks).toContainEqual(
        expect.objectContaining({ name: 'logical: rows', verdict: 'pass' }),
      );
      await record('verified-without-logs', handle);
    });
  });

  it('restores a snapshot as what it is a copy of, and thaws none', async () => {
    const snapshot = (backup: string, copyOf: 'logical' | 'physical') => ({
      ...{ tier: 'snapshot' as const, copyOf, backup, startedAt: LOGICAL.startedAt, newest: false },
    });
    const archived = { storageClass: 'DEEP_ARCHIVE', objects: 2, bytes: 1e9, hours: 12 };
    const fakes = verifying({
      chooseForVerification: async () => ({
        candidates: [
          snapshot('of-dump', 'logical'),
          snapshot('of-base', 'physical'),
          snapshot('deep', 'logical'),
        ],
        ...{ missing: [], checks: [] },
      }),
      chooseBase: async () => ({ ...fakeBase(null), backup: 'of-base' }),
      chooseLogicalBackup: async ({ backup }) => ({
        ...fakeBase(null),
        ...(backup === 'deep' ? { backup, archived } : { backup: 'of-dump' }),
      }),
    });
    await run(fakes, async (found, handle) => {
      expect(verdicts(fakes)).toEqual([
        ...['snapshot of-dump pass', 'snapshot of-base pass', 'snapshot deep inconclusive'],
      ]);
      expect(found.reasons).toEqual([
        'snapshot: base is inconclusive: what it needs is in DEEP_ARCHIVE, and a verification thaws nothing',
      ]);
      expect(fakes.calls).toEqual(expect.arrayContaining(['restoreTables', 'restoreInstance']));
      expect(fakes.calls).not.toContain('requestThaw');
      expect(removed(fakes)).toBe(2);
      await record('verified-snapshot', handle);
    });
  });

  it('keeps the fail of a tier without a backup, which no earlier pass stands for', async () => {
    const age = check('logical: age', 'fail', 'there is no logical backup');
    const fakes = verifying({
      chooseForVerification: async () => ({ candidates: [], missing: ['logical'], checks: [age] }),
    });
    await run(fakes, async (found, handle) => {
      expect(found).toMatchObject({ verdict: 'fail', backup: '' });
      expect(verdicts(fakes)).toEqual(['logical  fail']);
      await record('verified-missing', handle);
    });
  });

  it('takes no other base than the newest backup for its proof', async () => {
    const fakes = verifying({ chooseBase: async () => ({ ...fakeBase(null), backup: 'older' }) });
    await run(fakes, (found) => {
      expect(found.verdict).toBe('fail');
      expect(found.reasons).toEqual([
        expect.stringMatching(/^physical: base is fail: .* from older, and not/),
      ]);
      expect(verdicts(fakes)[1]).toBe('physical 20260131-020000F fail');
      expect(fakes.calls).not.toContain('restoreInstance');
    });
  });

  it('is inconclusive where production is away, and names it', async () => {
    const away = check('counts', 'inconclusive', 'production was not counted: it cannot be reached');
    const fakes = verifying({
      countProduction: async () => ({ counts: null, problem: 'it cannot be reached' }),
      checkCounts: async () => [away],
    });
    await run(fakes, async (found, handle) => {
      expect(found.verdict).toBe('inconclusive');
      expect(found.reasons).toHaveLength(2);
      expect(found.checks.map(({ name }) => name)).toContain('physical: heartbeat');
      await record('verified-without-production', handle);
    });
  });

  it('is inconclusive where the site has no worker: it waits for nobody, and is never parked', async () => {
    const fakes = verifying({}, { noWorkerAfterMs: 500, siteHosts: [] });
    await run(
      fakes,
      async (found, handle) => {
        expect(found.verdict).toBe('inconclusive');
        expect(found.reasons.join('\n')).toMatch(/logical: restore is inconclusive: no worker answers/);
        expect(verdicts(fakes)).toEqual([
          'logical dump inconclusive',
          'physical 20260131-020000F inconclusive',
        ]);
        await record('verified-without-worker', handle);
      },
      [],
    );
  });

  it('says beside its reasons that a clean-up failed', async () => {
    const fakes = verifying({
      removeInstance: async () => {
        throw failure('PermissionDenied', 'the folder cannot be removed');
      },
      checkHealth: async () => [check('health 1', 'fail', 'the query is false')],
    });
    await run(fakes, async (found, handle) => {
      expect(found.verdict).toBe('fail');
      const { message } = await statusOf(handle);
      expect(message).toMatch(/health 1 is fail: the query is false/);
      expect(message).toMatch(/clean-up failed: the folder cannot be removed/);
      await record('verified-not-removed', handle);
    });
  });

  it('that is cancelled removes its instance, keeps no verdict, and leaves evidence', async () => {
    let reached = () => {};
    const restoring = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const fakes = verifying({
      restoreTables: async () => {
        reached();
        throw ApplicationFailure.retryable('not yet', 'RepositoryUnavailable');
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment, INPUT, 'dailyVerify');
      await restoring;
      await handle.cancel();
      const error = (await handle.result().catch((reason: unknown) => reason)) as WorkflowFailedError;
      expect(error.cause?.name).toBe('CancelledFailure');
      expect(removed(fakes)).toBe(1);
      expect(fakes.calls).not.toContain('recordVerification');
      expect(fakes.evidence()?.status.outcome).toBe('cancelled');
      await record('verification-cancelled', handle);
    });
  });

  it('refuses a backup that is not there as wrong input', async () => {
    const fakes = verifying({
      chooseForVerification: async () => {
        throw failure('UnknownBackup', 'there is no backup x of shop to verify');
      },
    });
    await withWorkers(environment, fakes.activities, async () => {
      const handle = await start(environment, { ...INPUT, backup: 'x' }, 'dailyVerify');
      await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'UnknownBackup' } });
    });
  });
});

describe('people are told', () => {
  const alerts = async (handle: WorkflowHandle) => {
    const { events } = await handle.fetchHistory();
    return (events ?? []).flatMap(({ startChildWorkflowExecutionInitiatedEventAttributes: child }) =>
      child?.workflowId == null ? [] : [child.workflowId.replace(/^.*\/verdict\//, '')],
    );
  };
  const bad = { checkRestoredTables: async () => [check('rows', 'fail', 'other rows')] };

  it.each<[string, Partial<RunbookActivities>, Verdict | null, string[]]>([
    ['of a fail, again each time', bad, 'fail', ['logical']],
    ['of a pass after a fail', {}, 'fail', ['logical', 'physical']],
    ['of nothing where a pass follows a pass', {}, 'pass', []],
    ['of nothing at a first pass', {}, null, []],
  ])('%s', async (what, activities, before, told) => {
    const fakes = verifying(
      {
        ...activities,
        recordVerification: async ({ tier }) => ({
          before: tier === 'physical' && activities === bad ? 'pass' : before,
        }),
      },
      { remindMs: 60_000 },
    );
    const channels = { describeChannels: async () => [] };
    Object.assign(fakes.activities, channels);
    await run(fakes, async (_, handle) => {
      expect(await alerts(handle)).toEqual(told);
      if (what.startsWith('of a fail')) await record('verified-alert', handle);
    });
  });
});
