import { type ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import type { AppliedChange, ImportResult, TableComparison } from '../../engines/contract/change.ts';
import type { Check } from '../../model/evidence.ts';
import { countOf, type Plan, type PlanRule } from '../../model/plan.ts';
import type { Findings } from './evidence.ts';
import { endWith, type Failure, failureOf, textOf } from './failure.ts';
import type { Ending, Runbook } from './runbook.ts';

/** Production may go on moving; but a plan that one of its constraints refused twice will be refused again. */
const MOST_REFUSALS = 10;
const SAME_REFUSALS = 2;

/** What was approved, and by which rule. */
export interface Approved {
  conflict: PlanRule;
  drift: number;
  comparisons: TableComparison[];
  planDigest: string;
  /** of the runbook that changes production */
  workflowId: string;
}

/** A change of production: an import, or its undo. */
export interface Change {
  /** of the decision, and of the step that does it */
  name: 'import' | 'undo';
  /** reads only; the plan's own rule is this one */
  compare(conflict: PlanRule): Promise<{ plan: Plan; comparisons: TableComparison[] }>;
  apply(approved: Approved): Promise<ImportResult>;
  verify(approved: Approved): Promise<Check[]>;
}

export const stepsOf = (name: Change['name']): string[] => ['compare', 'decide', name, 'verify'];

/**
 * Compares, shows the plan, waits for the decision on exactly that plan, changes production, and looks again.
 * Where production has moved beyond the plan meanwhile, nothing is changed, the approval is void and a new plan is
 * shown; not for ever: each attempt holds production's tables for a moment.
 */
export async function changeUnderDecision(
  runbook: Runbook,
  asked: PlanRule,
  change: Change,
  findings: Findings,
): Promise<Ending | 'retargeted'> {
  const { name } = change;
  /** digests of the plans that a constraint refused; null: production had drifted */
  const refused: (string | null)[] = [];
  for (let own = asked; ; ) {
    const { plan, comparisons } = await runbook.step(
      'compare',
      () => change.compare(own),
      (found) => found.plan.summary,
    );
    const decided = await runbook.decide('decide', name, plan);
    if (decided.verdict !== 'approved') return decided.verdict;

    const { drift } = decided;
    // Where production moves on, the next plan is for the rule that people wanted.
    own = decided.conflict ?? own;
    findings.chosen = { conflict: own, drift };
    const { workflowId } = workflowInfo();
    const approved = { conflict: own, drift, comparisons, planDigest: plan.digest, workflowId };
    runbook.explain(null);
    try {
      findings.imported = await runbook.step(name, () => change.apply(approved), describeResult);
    } catch (error) {
      const failure = failureOf(error);
      if (failure.type !== 'PlanChanged') throw error;
      const drifted = failure.reason === 'drift';
      // Rows come and go: that a plan is equal to an earlier one says nothing about the next try.
      refused.push(drifted ? null : plan.digest);
      const same = drifted ? 0 : refused.filter((digest) => digest === plan.digest).length;
      if (same === SAME_REFUSALS || refused.length === MOST_REFUSALS) throw refusedForGood(failure);
      runbook.explain(textOf(failure));
      continue;
    }
    const verified = await runbook.step('verify', () => change.verify(approved), describeChecks);
    findings.checks.push(...verified);
    if (failed(verified).length > 0) throw notAsApproved(name, verified);
    return 'completed';
  }
}

function refusedForGood(failure: Failure): ApplicationFailure {
  if (failure.reason === 'drift') {
    return endWith({
      type: 'PlanChanged',
      message: `production changes faster than plans for it are approved: ${failure.message}`,
      hint: 'nothing was changed; start again, and approve with as many rows beyond the plan as change meanwhile (--drift <rows>), or while less is going on',
    });
  }
  return endWith({
    type: 'CheckFailed',
    message: `production refuses the approved rows, and comparing again does not change that: ${failure.message}`,
    hint: 'nothing was changed; look at the constraint that is named, or recover without tables and copy the rows by hand',
  });
}

const failed = (checks: readonly Check[]) => checks.filter(({ verdict }) => verdict === 'fail');

function notAsApproved(name: string, checks: readonly Check[]): ApplicationFailure {
  return endWith({
    type: 'CheckFailed',
    message: `the ${name} is committed, but not all of it is as approved: ${failed(checks)
      .map((check) => `${check.name}: ${check.detail}`)
      .join('; ')}`,
    hint: 'see whether production has changed these rows since; the evidence has every check',
  });
}

function describeChecks(checks: Check[]): string {
  const bad = failed(checks).map(({ name, detail }) => `${name}: ${detail}`);
  return bad.length === 0 ? `${countOf(checks.length, 'check')} passed` : bad.join('; ');
}

function describeResult(result: ImportResult): string {
  const { tables, undo, transaction } = result;
  const sum = (pick: (table: AppliedChange) => number) => tables.reduce((all, table) => all + pick(table), 0);
  const rows = sum(({ inserted, updated, deleted }) => inserted + updated + deleted);
  const parts = [`${countOf(rows, 'row')} in transaction ${transaction}`];
  const [drifted, vanished] = [sum((table) => table.drifted), sum((table) => table.vanished)];
  if (drifted > 0) parts.push(`${countOf(drifted, 'row')} beyond the plan`);
  if (vanished > 0) parts.push(`${countOf(vanished, 'approved row')} needed nothing any more`);
  if (undo !== null) parts.push(`can be taken back until ${undo.expiresAt.slice(0, 10)}`);
  return parts.join('; ');
}
