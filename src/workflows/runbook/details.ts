import { ruleRefusal } from '../../model/decision.ts';
import { formatDuration } from '../../model/duration.ts';
import { CONFLICT_RULES, countOf, type Plan, type TableChange } from '../../model/plan.ts';
import type { RunbookStatus, Step } from '../../model/runbook.ts';

const MARKS: Record<Step['state'], string> = {
  pending: '◦',
  running: '▶',
  done: '✔',
  failed: '✖',
  skipped: '–',
  waiting: '?',
  parked: '!',
};

/** The runbook as Markdown, for the Temporal UI's current details. */
export function detailsOf(status: RunbookStatus): string {
  const { runbook, database, outcome, reason, message } = status;
  const lines = [`## ${runbook} of ${database}: ${outcome}`, '', plain(reason), ''];
  if (message !== null) lines.push(`> ${plain(message).replaceAll('\n', '\n> ')}`, '');
  lines.push('| | step | took | |', '|---|---|---|---|');
  for (const step of status.steps) {
    lines.push(`| ${MARKS[step.state]} | ${step.name} | ${took(step)} | ${cell(step.detail ?? '')} |`);
  }
  if (status.plan !== null) lines.push('', ...planLines(status.plan));
  if (status.instance?.url != null) lines.push('', connectLine(status.workflowId, status.instance));
  if (status.waitingFor !== null && status.plan !== null) lines.push('', ...decideLines(status, status.plan));
  for (const decision of status.decisions) {
    const refused = decision.refused === undefined ? '' : `, did not count: ${decision.refused}`;
    const rule = decision.conflict === undefined ? '' : ` with ${decision.conflict}`;
    const drift = decision.drift ? `, up to ${countOf(decision.drift, 'row')} beyond the plan` : '';
    const what = `${decision.action} ${decision.name}, plan ${decision.plan}${rule}${drift}${refused}`;
    lines.push('', `- ${decision.at} ${decision.by}: ${what}`);
  }
  return lines.join('\n');
}

const connectLine = (workflowId: string, { id, expiresAt }: NonNullable<RunbookStatus['instance']>): string =>
  `Its server is ${id}, until ${expiresAt}: \`holdfast connect ${workflowId}\``;

/** How to decide, ready to be copied: for the plan's own rule, or where that is impossible for each of the others. */
function decideLines({ workflowId, waitingFor }: RunbookStatus, plan: Plan): string[] {
  const possible = plan.rules.filter(({ refusal }) => refusal === null).map(({ conflict }) => conflict);
  const choices = ruleRefusal(plan, {}) === null ? [null] : possible;
  const how = choices.length === 0 ? 'No rule of it can be chosen: reject it.' : 'Approve exactly this plan:';
  const lines = [`**Waiting for the decision "${waitingFor}".** ${how}`];
  for (const conflict of choices) {
    const option = conflict === null ? '' : ` --conflict ${conflict}`;
    const field = conflict === null ? '' : `, "conflict": "${conflict}"`;
    lines.push(
      ...['', `\`holdfast approve ${workflowId} --plan ${plan.digest}${option}\``],
      ...['', `or send the signal \`approve\` with \`{"by": "<you>", "plan": "${plan.digest}"${field}}\``],
    );
  }
  if (plan.rules.length > 1) {
    lines.push(
      '',
      'Another rule of the table: `--conflict <rule>`, or `"conflict": "<rule>"` in the signal.',
    );
  }
  if (possible.some((conflict) => CONFLICT_RULES.some((rule) => rule === conflict))) {
    lines.push(
      '',
      'Rows beyond the plan, where production goes on: `--drift <rows>`, or `"drift": <rows>` in the signal.',
    );
  }
  return lines;
}

function planLines(plan: Plan): string[] {
  const lines = [`### Plan \`${plan.digest}\``, '', plain(plan.summary), ''];
  const from = [plan.backup === null ? null : `backup \`${plan.backup}\``, plan.position];
  lines.push(`From ${from.filter((part) => part !== null).join(', ')}.`);
  if (plan.changes.length > 0) {
    lines.push(
      '',
      '| table | inserts | updates | deletes | orphans | unique clashes |',
      '|---|--:|--:|--:|--:|--:|',
    );
    for (const change of plan.changes) {
      const counts = [change.inserts, change.updates, change.deletes, change.orphans, change.uniqueClashes];
      lines.push(`| ${cell(change.table)} | ${counts.join(' | ')} |`);
    }
  }
  if (plan.endpoints !== undefined) {
    lines.push('', '| endpoint | now | to |', '|---|---|---|');
    for (const { name, from, to } of plan.endpoints) {
      lines.push(`| ${cell(name)} | ${from ?? 'nothing'} | ${to} |`);
    }
  }
  for (const notice of plan.notices) lines.push('', `- ${plain(notice)}`);
  if (plan.rules.length > 1) lines.push('', ...ruleLines(plan));
  return lines;
}

/** What each rule would do, all tables together: the choice of who decides. */
function ruleLines({ rules, conflict }: Plan): string[] {
  const lines = [
    '| rule | inserts | updates | deletes | orphans | unique clashes | cannot be chosen |',
    '|---|--:|--:|--:|--:|--:|---|',
  ];
  const notices: string[] = [];
  for (const rule of rules) {
    const name = rule.conflict === conflict ? `**${rule.conflict}** (this plan)` : rule.conflict;
    const sum = (pick: (change: TableChange) => number) =>
      rule.changes.reduce((total, change) => total + pick(change), 0);
    const counts = [
      sum(({ inserts }) => inserts),
      sum(({ updates }) => updates),
      sum(({ deletes }) => deletes),
      sum(({ orphans }) => orphans),
      sum(({ uniqueClashes }) => uniqueClashes),
    ];
    const cells = rule.refusal === null ? counts : counts.map(() => '');
    lines.push(`| ${name} | ${cells.join(' | ')} | ${cell(rule.refusal ?? '')} |`);
    if (rule.conflict === conflict) continue;
    notices.push(...rule.notices.map((notice) => `- ${rule.conflict}: ${notice}`));
  }
  return [...lines, ...notices.flatMap((notice) => ['', notice])];
}

function took(step: Step): string {
  if (step.startedAt === null || step.finishedAt === null) return '';
  return formatDuration(Date.parse(step.finishedAt) - Date.parse(step.startedAt));
}

/** A name in it may look like a tag, which would not be shown. */
const plain = (text: string): string => text.replaceAll('<', '\\<');

function cell(text: string): string {
  return plain(text).replaceAll('|', '\\|').replaceAll('\n', ' ');
}
