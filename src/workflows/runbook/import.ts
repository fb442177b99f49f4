import { type ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import type { ComparisonInput } from '../../activities/recovery-types.ts';
import type { ExportedTable, ImportResult } from '../../engines/engine.ts';
import type { Check, Evidence } from '../../model/evidence.ts';
import { type ConflictRule, countOf } from '../../model/plan.ts';
import type { onHost } from '../proxies.ts';
import { endWith, type Failure, failureOf, textOf } from './failure.ts';
import type { Ending, Runbook } from './runbook.ts';

/** Production may go on moving; a plan that it refused twice as it is will be refused again. */
const MOST_REFUSALS = 10;
const SAME_REFUSALS = 2;

export const IMPORT_STEPS = ['compare', 'decide', 'import', 'verify'] as const;

/** What the evidence says of a recovery; filled in as it happens, since what comes after may fail or be cancelled. */
export interface Findings {
  imported: ImportResult | null;
  exported: ExportedTable[] | null;
  /** what the last approval chose */
  chosen: Evidence['chosen'];
  checks: Check[];
}

/**
 * Compares, shows the plan, waits for the decision on exactly that plan, imports, and looks again. Where
 * production has moved beyond the plan meanwhile, nothing is changed, the approval is void and a new plan is
 * shown; not for ever: each attempt holds production's tables for a moment. `keep` says until when the instance
 * has to stay from now on.
 */
export async function importUnderDecision(
  runbook: Runbook,
  host: ReturnType<typeof onHost>,
  comparison: ComparisonInput,
  findings: Findings,
  keep: () => string,
): Promise<Ending | 'retargeted'> {
  const doubts = findings.checks.filter((check) => check.verdict !== 'pass');
  const refused: string[] = [];
  let { conflict } = comparison;
  for (;;) {
    const asked = { ...comparison, conflict };
    const { plan, comparisons } = await runbook.step(
      'compare',
      () => host.compareTables({ ...asked, doubts, expiresAt: keep() }),
      (found) => found.plan.summary,
    );
    const decided = await runbook.decide('decide', 'import', plan);
    if (decided.verdict !== 'approved') return decided.verdict;

    const { drift } = decided;
    // Where production moves on, the next plan is for the rule that people wanted.
    conflict = decided.conflict as ConflictRule;
    findings.chosen = { conflict, drift };
    const { workflowId } = workflowInfo();
    const approved = { ...asked, conflict, comparisons, drift, planDigest: plan.digest, workflowId };
    runbook.explain(null);
    try {
      findings.imported = await runbook.step('import', () => host.importTables(approved), describeImport);
    } catch (error) {
      const failure = failureOf(error);
      if (failure.type !== 'PlanChanged') throw error;
      refused.push(plan.digest);
      const same = refused.filter((digest) => digest === plan.digest).length;
      if (same === SAME_REFUSALS || refused.length === MOST_REFUSALS) throw refusedForGood(failure);
      runbook.explain(textOf(failure));
      continue;
    }
    const verified = await runbook.step('verify', () => host.verifyImport(approved), describeChecks);
    findings.checks.push(...verified);
    if (failed(verified).length > 0) throw notAsApproved(verified);
    return 'completed';
  }
}

function refusedForGood(failure: Failure): ApplicationFailure {
  return endWith({
    type: 'CheckFailed',
    message: `production refuses the approved rows, and comparing again does not change that: ${failure.message}`,
    hint: 'nothing was changed; look at the constraint that is named, or recover without tables and copy the rows by hand',
  });
}

const failed = (checks: readonly Check[]) => checks.filter(({ verdict }) => verdict === 'fail');

function notAsApproved(checks: readonly Check[]): ApplicationFailure {
  return endWith({
    type: 'CheckFailed',
    message: `the import is committed, but not all of it is as approved: ${failed(checks)
      .map(({ name, detail }) => `${name}: ${detail}`)
      .join('; ')}`,
    hint: 'see whether production has removed these rows since; the evidence has every check',
  });
}

function describeChecks(checks: Check[]): string {
  const bad = failed(checks).map(({ name, detail }) => `${name}: ${detail}`);
  return bad.length === 0 ? `${countOf(checks.length, 'check')} passed` : bad.join('; ');
}

function describeImport(result: ImportResult): string {
  const rows = result.tables.reduce((sum, table) => sum + table.inserted + table.updated + table.deleted, 0);
  return `${countOf(rows, 'row')} in transaction ${result.transaction}`;
}
