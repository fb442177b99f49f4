import { Command } from 'commander';
import { HoldfastError } from '../../model/failure.ts';
import type { RunbookStatus } from '../../model/runbook.ts';
import { EXIT } from '../exit.ts';
import { observe } from '../observe.ts';
import { action, withGlobalOptions } from '../options.ts';
import { resumeRun } from '../runbook.ts';
import { withSession } from '../session.ts';

export function resumeCommand(): Command {
  const command = new Command('resume')
    .description('let a parked runbook try its step again, or end the hand-over of an instance')
    .argument('<id>', 'workflow id of the runbook')
    .addHelpText('after', '\nExample:\n  holdfast resume pitr/shop/20260131T140500Z');
  return withGlobalOptions(command).action(
    action((id: string, _options: unknown, self: Command) =>
      withSession(self, async (session) => {
        const { status } = await observe(session.client, id);
        const step = resumableStep(status);
        await resumeRun(session.client, id);
        session.print({ workflowId: id, step }, `resumed ${id} at step ${step}`);
        return EXIT.done;
      }),
    ),
  );
}

/** A signal to a run that does not wait for it would be lost without a word. */
function resumableStep(status: RunbookStatus): string {
  const step = status.steps.find(
    ({ state }) => state === 'parked' || (state === 'waiting' && status.waitingFor === null),
  );
  if (step !== undefined) return step.name;
  // No worker answered in time, one that has just died for instance: the server knows no more than that it is parked.
  if (status.outcome === 'parked') return 'that it is parked at';
  const decides = status.waitingFor !== null;
  throw new HoldfastError(
    'InvalidInput',
    `${status.workflowId} has nothing to resume: it is ${status.outcome}`,
    { hint: `${decides ? 'decide on its plan' : 'see what it does'}: holdfast status ${status.workflowId}` },
  );
}
