import type { RunbookStatus } from '../../model/runbook.ts';
import { formatTime } from '../output.ts';
import { formatTook } from './duration.ts';
import { formatChoice } from './plan.ts';
import { formatOutcome } from './status.ts';

/**
 * What has changed between two looks at a run, one line each, for logs and pipes: `2026-01-31T14:05:04Z  restore
 * done in 40s: …`. The first look tells of every step that has begun.
 */
export function formatEvents(before: RunbookStatus | null, after: RunbookStatus, now: Date): string[] {
  const lines: string[] = [];
  for (const [index, step] of after.steps.entries()) {
    const was = before?.steps[index];
    if (step.state === 'pending' || (was?.state === step.state && was.startedAt === step.startedAt)) continue;
    const at = formatTime(step.finishedAt ?? step.startedAt ?? now);
    const took = step.finishedAt === null ? '' : ` in ${formatTook(step.startedAt, step.finishedAt, now)}`;
    const detail = step.detail === null ? '' : `: ${step.detail.replaceAll('\n', ' ')}`;
    lines.push(`${at}  ${step.name} ${step.state}${took}${detail}`);
  }
  for (const record of after.decisions.slice(before?.decisions.length ?? 0)) {
    const refused = record.refused === undefined ? '' : ` (does not count: ${record.refused})`;
    lines.push(
      `${formatTime(record.at)}  ${record.by}: ${record.action} ${record.plan}${formatChoice(record)}${refused}`,
    );
  }
  if (before !== null && before.outcome !== after.outcome) {
    lines.push(`${formatTime(now)}  ${formatOutcome(after.outcome)}`);
  }
  return lines;
}
