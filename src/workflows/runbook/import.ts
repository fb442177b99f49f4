import { workflowInfo } from '@temporalio/workflow';
import type { ComparisonInput } from '../../activities/recovery-types.ts';
import type { ImportResult } from '../../engines/engine.ts';
import type { Check } from '../../model/evidence.ts';
import { countOf } from '../../model/plan.ts';
import type { onHost } from '../proxies.ts';
import { failureOf } from './failure.ts';
import type { Ending, Runbook } from './runbook.ts';

export const IMPORT_STEPS = ['compare', 'decide', 'import', 'verify'] as const;

/** What the evidence says of a recovery; filled in as it happens, since what comes after may fail or be cancelled. */
export interface Findings {
  imported: ImportResult | null;
  checks: Check[];
}

/**
 * Compares, shows the plan, waits for the decision on exactly that plan, imports, and looks again. Where
 * production has moved beyond the plan meanwhile, nothing is changed and a new plan is shown.
 */
export async function importUnderDecision(
  runbook: Runbook,
  host: ReturnType<typeof onHost>,
  comparison: ComparisonInput,
  findings: Findings,
): Promise<Ending> {
  const doubts = findings.checks.filter((check) => check.verdict !== 'pass');
  for (;;) {
    const { plan, comparisons } = await runbook.step(
      'compare',
      () => host.compareTables({ ...comparison, doubts }),
      (found) => found.plan.summary,
    );
    const decided = await runbook.decide('decide', plan);
    if (decided !== 'approved') return decided;

    const { workflowId } = workflowInfo();
    const approved = { ...comparison, comparisons, planDigest: plan.digest, workflowId };
    try {
      findings.imported = await runbook.step('import', () => host.importTables(approved), describeImport);
      const verified = await runbook.step(
        'verify',
        () => host.verifyImport(approved),
        (found) => found.map((check) => `${check.name}: ${check.verdict}`).join(', '),
      );
      findings.checks.push(...verified);
      return 'completed';
    } catch (error) {
      if (failureOf(error).type !== 'PlanChanged') throw error;
    }
  }
}

function describeImport(result: ImportResult): string {
  const rows = result.tables.reduce((sum, table) => sum + table.applied, 0);
  return `${countOf(rows, 'row')} in transaction ${result.transaction}`;
}
