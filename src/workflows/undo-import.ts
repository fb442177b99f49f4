import { workflowInfo } from '@temporalio/workflow';
import { parseInput } from '../model/input.ts';
import { countOf } from '../model/plan.ts';
import type { RunbookStatus } from '../model/runbook.ts';
import { control, onHost } from './proxies.ts';
import { holdChange } from './runbook/change.ts';
import { type Change, changeUnderDecision, stepsOf } from './runbook/decided-change.ts';
import { begin, leaveEvidence, noFindings } from './runbook/evidence.ts';
import { orEnd } from './runbook/failure.ts';
import { type Ending, Runbook } from './runbook/runbook.ts';

/**
 * Takes back what the import of another runbook changed, after a person approved exactly that. Rows that others
 * have changed since are left alone unless the decision says `overwrite-changed`.
 */
export async function undoImport(given: unknown): Promise<RunbookStatus> {
  const input = orEnd(() => parseInput('undoImport', given));
  const { database } = input;
  const runbook = new Runbook({
    runbook: 'undoImport',
    database,
    reason: input.reason,
    requestedBy: input.requestedBy,
    steps: ['read undo', ...stepsOf('undo')],
    // It has no instance; what would be lost is the approval.
    parks: 'always',
  });
  const findings = noFindings();

  const work = async (): Promise<Ending> => {
    const settings = await control.describeChange({ database });
    begin(runbook, findings, settings, true);
    await holdChange(runbook, database);
    const undone = { database, import: input.workflowId, workflowId: workflowInfo().workflowId };
    await runbook.step(
      'read undo',
      () => control.readUndo(undone),
      ({ transaction, tables, expiresAt }) =>
        `transaction ${transaction}, ${countOf(tables.length, 'table')}; can be taken back until ${expiresAt}`,
    );
    const host = onHost(settings.host, settings);
    const change: Change = {
      name: 'undo',
      compare: (conflict) => host.planUndo({ ...undone, conflict }),
      apply: (approved) => host.undoImport({ ...undone, ...approved }),
      verify: (approved) => host.verifyUndo({ ...undone, ...approved }),
    };
    const ending = await changeUnderDecision(runbook, 'keep-changed', change, findings);
    if (ending === 'retargeted') throw new Error('an undo has no target');
    return ending;
  };

  return runbook.run(work, () => leaveEvidence(runbook, input, findings));
}
