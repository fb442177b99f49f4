import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { temporal } from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import { describe, expect, inject, it } from 'vitest';
import { quietRuntime } from '../workflow/environment.ts';

const HISTORIES = fileURLToPath(new URL('./histories/', import.meta.url));

// `HOLDFAST_RECORD=1 npm test -- test/workflow` records those that are missing: remove one, to have it anew, only where
// a change of a workflow is meant to leave running runbooks behind.
describe('saved histories of every branch replay on the code of today', async () => {
  quietRuntime();
  const files = (await readdir(HISTORIES)).filter((name) => name.endsWith('.history'));

  it.each(files)('%s', async (file) => {
    const history = temporal.api.history.v1.History.decode(await readFile(`${HISTORIES}${file}`));
    const workflowBundle = { codePath: inject('workflowBundle') as string };
    // What a workflow starts may be called by its own id.
    const workflowId = history.events[0]?.workflowExecutionStartedEventAttributes?.workflowId || file;
    const replays = Worker.runReplayHistories({ workflowBundle }, [{ workflowId, history }]);
    for await (const replay of replays) expect(replay.error).toBeUndefined();
  });

  it('has every branch of the recoveries, the undo and the lock', () => {
    const branches = [
      ...[
        'approved',
        'approved-by-signal',
        'approved-by-policy',
        'policy-cannot',
        'two-people',
        'another-rule',
      ],
      ...['rejected', 'expired', 'cancelled', 'cancelled-while-provisioning', 'failed', 'clean-up-failed'],
      ...['handed-over', 'import-kept', 'database-busy', 'not-as-approved'],
      ...['plan-changed', 'drifted', 'drifted-often', 'refused-for-good'],
      ...['parked', 'import-parked', 'parked-without-worker', 'park-limit'],
      ...['exported', 'exported-rows', 'exported-handed-over'],
      ...['refused', 'parked', 'parked-cancelled'].map((how) => `export-${how}`),
      ...['forward', 'back', 'restored-again', 'failed', 'hand-over'].map((how) => `retarget-${how}`),
      ...['beyond-limit', 'cancelled', 'cancelled-choosing'].map((how) => `retarget-${how}`),
      ...['base-damaged', 'not-reached', 'hand-over-again'].map((how) => `retarget-${how}`),
      ...['undone', 'undo-overwritten', 'undo-plan-changed', 'undo-parked'],
      ...['rejected', 'expired', 'cancelled', 'refused'].map((how) => `undo-${how}`),
      ...['drill', 'drilled', 'drill-failed', 'drill-skipped', 'drill-gave-way', 'drill-cancelled'],
      ...['verified', 'verification-cancelled'],
      ...['damaged', 'missing', 'alert', 'not-removed'].map((how) => `verified-${how}`),
      ...['without-production', 'without-worker'].map((how) => `verified-${how}`),
      ...['approved', 'rejected', 'expired', 'cancelled', 'check-failed'].map((how) => `table-${how}`),
      ...['unknown', 'parked', 'exported', 'exported-rows'].map((how) => `table-${how}`),
      ...['disaster', 'disaster-drill', 'disaster-drilled'],
      ...[
        'by-policy',
        'check-failed',
        'rejected',
        'expired',
        'retargeted',
        'without-switch',
        'thawed',
        'busy',
      ]
        .concat('still-writable', 'fence-failed', 'without-worker', 'not-taken-over', 'unprotected')
        .concat('protected-again', 'unreadable', 'not-set-back', 'switched-again')
        .map((how) => `disaster-${how}`),
      ...['rejected', 'expired', 'changed', 'unverified'].map((how) => `disaster-switch-${how}`),
      ...['deciding', 'takeOverInstance', 'proveArchive', 'keepTopology', 'applySchedules', 'checkNewServer']
        .concat('setEndpoints', 'verifyEndpoints', 'settleProduction', 'stuck')
        .map((how) => `disaster-cancelled-${how}`),
      ...['approved', 'expired', 'parked-failed', 'cancelled'].map((how) => `told-${how}`),
      ...['problem', 'over', 'storm', 'told-already', 'untold'].map((how) => `watchdog-${how}`),
      ...['deliver-alert', 'physical-backup-failed-told', 'production-change'],
      ...['monthly-snapshot', 'monthly-snapshot-skipped', 'monthly-snapshot-failed'],
      ...['table-thawed', 'verified-snapshot'],
    ];
    expect(files).toEqual(expect.arrayContaining(branches.map((branch) => `${branch}.history`)));
  });
});
