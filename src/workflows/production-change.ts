import { condition, defineSignal, setHandler } from '@temporalio/workflow';

export const releaseSignal = defineSignal('release');

/**
 * Runs as `change/<database>` for as long as a runbook may change that production database: the id is what
 * keeps a second one out. A child of the runbook, so that it ends with it even when the runbook is terminated.
 */
export async function productionChange(): Promise<void> {
  let released = false;
  setHandler(releaseSignal, () => {
    released = true;
  });
  await condition(() => released);
}
