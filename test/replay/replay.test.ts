import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { temporal } from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import { describe, expect, inject, it } from 'vitest';
import { quietRuntime } from '../workflow/environment.ts';

const HISTORIES = fileURLToPath(new URL('./histories/', import.meta.url));

// Recorded by `HOLDFAST_RECORD=1 npm test -- test/workflow`: anew only where a change of a workflow is meant to
// leave running runbooks behind.
describe('saved histories of every branch replay on the code of today', async () => {
  quietRuntime();
  const files = (await readdir(HISTORIES)).filter((name) => name.endsWith('.history'));

  it.each(files)('%s', async (file) => {
    const history = temporal.api.history.v1.History.decode(await readFile(`${HISTORIES}${file}`));
    const workflowBundle = { codePath: inject('workflowBundle') as string };
    const replays = Worker.runReplayHistories({ workflowBundle }, [{ workflowId: file, history }]);
    for await (const replay of replays) expect(replay.error).toBeUndefined();
  });

  it('has every branch of the point-in-time recovery and the undo', () => {
    const branches = ['approved', 'approved-by-signal', 'handed-over', 'two-people', 'rejected', 'expired'];
    branches.push(
      'plan-changed',
      'failed',
      'parked',
      'cancelled',
      'another-rule',
      'drifted',
      'exported',
      'exported-rows',
    );
    branches.push(
      ...['forward', 'back', 'restored-again', 'failed', 'hand-over'].map((how) => `retarget-${how}`),
    );
    branches.push('undone', 'undo-rejected', 'undo-parked');
    expect(files).toEqual(expect.arrayContaining(branches.map((branch) => `${branch}.history`)));
  });
});
