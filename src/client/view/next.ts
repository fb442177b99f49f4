import { ruleRefusal } from '../../model/decision.ts';
import type { Plan } from '../../model/plan.ts';
import type { Outcome, RunbookStatus } from '../../model/runbook.ts';
import { formatAge, formatTime, shellQuote, style } from '../output.ts';
import { ruleChoices } from './plan.ts';

interface NextView {
  status: RunbookStatus;
  now: Date;
  /** arguments that every command shown has to repeat, such as `--config x.yaml` */
  options?: readonly string[];
}

/** The exact commands that a person can type now. */
export function formatNext({ status, options = [], now }: NextView): string {
  const tail = options.map((option) => ` ${shellQuote(option)}`).join('');
  const command = (...words: string[]) => `  holdfast ${words.map(shellQuote).join(' ')}${tail}`;
  const lines: string[] = [];
  if (status.instance !== null) {
    const { id, expiresAt, url } = status.instance;
    const expiry = `removed by ${formatTime(expiresAt)} (${formatAge(expiresAt, now)})`;
    lines.push(`${style('bold', 'INSTANCE')} ${id}, ${expiry}`);
    if (url !== null) lines.push(command('connect', status.workflowId));
  }
  if (status.waitingFor !== null && status.plan !== null) {
    const decided = [status.workflowId, '--plan', status.plan.digest];
    const approvals = choicesOf(status.plan).map((choice) => command('approve', ...decided, ...choice));
    lines.push(style('bold', 'DECIDE'), ...approvals, command('reject', ...decided));
  }
  if (status.outcome === 'parked') {
    lines.push(`${style('bold', 'RESUME')} once it is mended`, command('resume', status.workflowId));
  }
  if (hasImported(status)) {
    lines.push(
      `${style('bold', 'UNDO')} shows a plan and asks`,
      command('undo', status.workflowId, '--reason', 'why'),
    );
  }
  if (status.evidence !== null) lines.push(`${style('bold', 'EVIDENCE')} ${status.evidence}`);
  return lines.join('\n');
}

/** Options of an approval: none for the plan's own rule; where that cannot be chosen, each of those that can. */
function choicesOf(plan: Plan): string[][] {
  if (ruleRefusal(plan, {}) === null) return [[]];
  return ruleChoices(plan).map(({ value }) => ['--conflict', value]);
}

const GOES_ON: readonly Outcome[] = ['running', 'waiting-for-decision', 'parked'];

/** Whether there is an import that can be taken back, for as long as its undo data is kept: the more so if it failed then. */
function hasImported({ runbook, outcome, steps }: RunbookStatus): boolean {
  const imported = steps.some(({ name, state }) => name === 'import' && state === 'done');
  return runbook !== 'undoImport' && !GOES_ON.includes(outcome) && imported;
}
