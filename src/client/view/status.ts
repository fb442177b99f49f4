import type { PlanRule } from '../../model/plan.ts';
import type { DecisionRecord, Outcome, RunbookStatus, Step, StepState } from '../../model/runbook.ts';
import { formatAge, formatBytes, formatParagraph, formatTable, formatTime, style } from '../output.ts';
import type { PendingActivity, Speed } from '../progress.ts';
import { formatSpan, formatTook } from './duration.ts';
import { formatNext } from './next.ts';
import { formatChoice, formatPlan } from './plan.ts';
import { formatProgress } from './progress.ts';

export interface StatusView {
  status: RunbookStatus;
  activities: readonly PendingActivity[];
  speed: Speed | null;
  now: Date;
  width: number | null;
  /** arguments that every command shown has to repeat, such as `--config x.yaml` */
  options?: readonly string[];
  /** what a job that has no plan returned: shown as names and values */
  result?: unknown;
}

/** Everything about one run on a screen: steps, plan, decisions, and what a person has to do next. */
export function formatStatus(view: StatusView): string {
  const { status, width } = view;
  const parts = [formatHead(view), formatSteps(view)];
  if (status.plan !== null) parts.push(formatPlan(status.plan, width, approvedRule(status)));
  if (status.decisions.length > 0) parts.push(formatDecisions(status.decisions, width));
  if (status.message !== null) parts.push(formatMessage(status, width));
  if (view.result !== undefined && status.plan === null) parts.push(formatResult(view.result));
  const next = formatNext(view);
  if (next !== '') parts.push(next);
  return parts.filter((part) => part !== '').join('\n\n');
}

const OUTCOME_STYLE = {
  running: 'cyan',
  'waiting-for-decision': 'yellow',
  parked: 'yellow',
  completed: 'green',
  failed: 'red',
  rejected: 'red',
  expired: 'red',
  cancelled: 'red',
} as const satisfies Record<Outcome, string>;

/** `COMPLETED`, `WAITING FOR DECISION`: the words of the contract, in capitals, so that no colour is needed. */
export function formatOutcome(outcome: Outcome): string {
  return styleOutcome(outcome, outcome.replaceAll('-', ' ').toUpperCase());
}

/** A text in the colour of an outcome. */
export function styleOutcome(outcome: Outcome, text: string): string {
  return style(['bold', OUTCOME_STYLE[outcome]], text);
}

function formatHead({ status, now, width }: StatusView): string {
  const started = status.steps.find((step) => step.startedAt !== null)?.startedAt ?? null;
  const what = `${status.runbook} of ${status.database}`;
  const lines = [
    `${formatOutcome(status.outcome)}  ${style('bold', status.workflowId)}`,
    formatParagraph(what, '  ', width),
  ];
  // A job's summary says no more than that.
  if (status.reason !== '' && status.reason !== what)
    lines.push(formatParagraph(`for: ${status.reason}`, '  ', width));
  const by = status.requestedBy === '' ? '' : ` by ${status.requestedBy}`;
  if (started !== null) {
    lines.push(
      formatParagraph(`started ${formatTime(started)} (${formatAge(started, now)})${by}`, '  ', width),
    );
  } else if (by !== '') lines.push(`  requested${by}`);
  return lines.join('\n');
}

const MARKS: Record<StepState, [mark: string, style: Parameters<typeof style>[0]]> = {
  done: ['✔', 'green'],
  running: ['▶', 'cyan'],
  waiting: ['?', 'yellow'],
  parked: ['!', 'yellow'],
  failed: ['✘', 'red'],
  pending: ['·', 'dim'],
  skipped: ['-', 'dim'],
};

function formatSteps(view: StatusView): string {
  const { status, now, width } = view;
  const rows = status.steps.map((step) => {
    const [mark, look] = MARKS[step.state];
    return [
      `${style(look, mark)} ${step.name}`,
      style(look, step.state),
      step.startedAt === null ? '' : formatTime(step.startedAt).slice(11),
      formatTook(step.startedAt, step.finishedAt, now),
      detailOf(step, view),
    ];
  });
  const table = formatTable(
    [{ head: 'step' }, { head: '' }, { head: 'started' }, { head: 'took', align: 'right' }, { head: '' }],
    rows,
    { indent: '  ', width, head: false },
  );
  const troubles = view.activities
    .map((activity) => describeTrouble(activity, now))
    .filter((text) => text !== '');
  return [table, ...troubles.map((text) => style('yellow', formatParagraph(text, '    ', width)))]
    .filter((part) => part !== '')
    .join('\n');
}

function detailOf(step: Step, view: StatusView): string {
  if (step.progress !== undefined) return formatProgress(step.progress, view.speed);
  return step.detail ?? '';
}

/** An activity that does not simply run: nobody takes it, or it has failed and will be tried again. */
export function describeTrouble(activity: PendingActivity, now: Date): string {
  const { type, attempt, lastFailure, retryAt, queue } = activity;
  if (lastFailure !== null) {
    const due = retryAt === null ? null : new Date(retryAt).getTime() - now.getTime();
    const next = due === null ? 'running again' : due > 0 ? `again in ${formatSpan(due)}` : 'again now';
    return `${type}, attempt ${attempt}, ${next}; the one before failed: ${lastFailure}`;
  }
  if (activity.state === 'cancelling') return `${type} is being cancelled`;
  if (activity.state === 'running') return '';
  return `${type} waits for a worker${queue === null ? '' : ` on queue ${queue}`}`;
}

/** The rule that was approved, once no more approvals are waited for. */
function approvedRule({ plan, waitingFor, decisions }: RunbookStatus): PlanRule | null {
  if (waitingFor !== null) return null;
  const counted = decisions.find(
    (record) => record.action === 'approve' && record.refused === undefined && record.plan === plan?.digest,
  );
  return counted?.conflict ?? null;
}

function formatDecisions(decisions: readonly DecisionRecord[], width: number | null): string {
  const lines = decisions.map((record) => {
    const verb = record.action === 'approve' ? 'approved' : 'rejected';
    const what = `${formatTime(record.at)}  ${record.by} ${verb} ${record.name}, plan ${record.plan}${formatChoice(record)}`;
    const comment = record.comment === undefined ? '' : `: ${record.comment}`;
    const refused =
      record.refused === undefined ? '' : style('yellow', ` (does not count: ${record.refused})`);
    return formatParagraph(what + comment + refused, '  ', width);
  });
  return [style('bold', 'DECISIONS'), ...lines].join('\n');
}

function formatMessage(status: RunbookStatus, width: number | null): string {
  const bad = OUTCOME_STYLE[status.outcome];
  return style(bad === 'cyan' ? 'yellow' : bad, formatParagraph(status.message ?? '', '', width));
}

/** The plain values of a result, in the order of the workflow: `sizeBytes  1.4 GiB`. */
function formatResult(result: unknown): string {
  if (typeof result !== 'object' || result === null || 'steps' in result) return '';
  const rows = Object.entries(result)
    .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
    .map(([name, value]) => [name, /Bytes$/.test(name) ? formatBytes(Number(value)) : String(value)]);
  return formatTable([{ head: '' }, { head: '' }], rows, { indent: '  ', head: false });
}
