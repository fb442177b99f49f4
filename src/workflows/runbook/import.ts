import type { ComparisonInput } from '../../activities/recovery-types.ts';
import type { ConflictRule } from '../../model/plan.ts';
import type { onHost } from '../proxies.ts';
import { type Approved, type Change, changeUnderDecision, stepsOf } from './decided-change.ts';
import type { Findings } from './evidence.ts';
import type { Ending, Runbook } from './runbook.ts';

export const IMPORT_STEPS = stepsOf('import');

/**
 * Brings the rows of the restored copy back into production, by a plan that people have approved. `keep` says until
 * when the instance has to stay from now on.
 */
export async function importUnderDecision(
  runbook: Runbook,
  host: ReturnType<typeof onHost>,
  comparison: ComparisonInput,
  findings: Findings,
  keep: () => string,
): Promise<Ending | 'retargeted'> {
  const doubts = findings.checks.filter((check) => check.verdict !== 'pass');
  const approvedInput = (approved: Approved) => ({
    ...comparison,
    ...approved,
    conflict: approved.conflict as ConflictRule,
  });
  const change: Change = {
    name: 'import',
    compare: (conflict) =>
      host.compareTables({
        ...comparison,
        conflict: conflict as ConflictRule,
        doubts,
        expiresAt: keep(),
      }),
    apply: (approved) => host.importTables(approvedInput(approved)),
    verify: (approved) => host.verifyImport(approvedInput(approved)),
  };
  return changeUnderDecision(runbook, comparison.conflict, change, findings);
}
