import { formatDuration } from '../../model/duration.ts';
import type { Plan } from '../../model/plan.ts';
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
  const lines = [`## ${status.runbook} of ${status.database}: ${status.outcome}`, '', status.reason, ''];
  if (status.message !== null) lines.push(...status.message.split('\n').map((line) => `> ${line}`), '');
  lines.push('| | step | took | |', '|---|---|---|---|');
  for (const step of status.steps) {
    lines.push(`| ${MARKS[step.state]} | ${step.name} | ${took(step)} | ${cell(step.detail ?? '')} |`);
  }
  if (status.plan !== null) lines.push('', ...planLines(status.plan));
  if (status.waitingFor !== null && status.plan !== null) {
    lines.push(
      '',
      `**Waiting for the decision "${status.waitingFor}".** Approve exactly this plan:`,
      '',
      `\`holdfast approve ${status.workflowId} --plan ${status.plan.digest}\``,
      '',
      `or send the signal \`approve\` with \`{"by": "<you>", "plan": "${status.plan.digest}"}\``,
    );
  }
  for (const decision of status.decisions) {
    const refused = decision.refused === undefined ? '' : `, did not count: ${decision.refused}`;
    lines.push('', `- ${decision.at} ${decision.by}: ${decision.action} ${decision.plan}${refused}`);
  }
  return lines.join('\n');
}

function planLines(plan: Plan): string[] {
  const lines = [`### Plan \`${plan.digest}\``, '', plan.summary, ''];
  lines.push(`From backup \`${plan.backup}\`${plan.position === null ? '' : `, ${plan.position}`}.`);
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
  for (const notice of plan.notices) lines.push('', `- ${notice}`);
  return lines;
}

function took(step: Step): string {
  if (step.startedAt === null || step.finishedAt === null) return '';
  return formatDuration(Date.parse(step.finishedAt) - Date.parse(step.startedAt));
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
