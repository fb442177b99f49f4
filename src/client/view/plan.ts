import type { Plan } from '../../model/plan.ts';
import { describeTarget } from '../../model/target.ts';
import { formatCount, formatParagraph, formatTable, style } from '../output.ts';
import { formatSpan } from './duration.ts';

/** The plan as a person has to see it before saying yes: what, from where, row by row, and what to know. */
export function formatPlan(plan: Plan, width: number | null): string {
  const from = [`backup ${plan.backup}`, describeTarget(plan.target)];
  if (plan.position !== null) from.push(`stopped ${plan.position}`);
  const how = plan.conflict === null ? [] : [`rule ${plan.conflict}`];
  how.push(`about ${formatSpan(plan.estimateSeconds * 1_000)}`);
  const lines = [
    `${style('bold', 'PLAN')} ${style('dim', plan.digest)}`,
    formatParagraph(style('bold', plan.summary), '  ', width),
    formatParagraph(`from ${from.join(', ')}`, '  ', width),
    formatParagraph(how.join(', '), '  ', width),
  ];
  if (plan.changes.length > 0) lines.push('', formatChanges(plan));
  if (plan.notices.length > 0) {
    lines.push('', ...plan.notices.map((notice) => formatNotice(notice, width)));
  }
  return lines.join('\n');
}

const COUNTS = [
  ['insert', 'inserts'],
  ['update', 'updates'],
  ['delete', 'deletes'],
  ['orphans', 'orphans'],
  ['clashes', 'uniqueClashes'],
] as const;

function formatChanges(plan: Plan): string {
  const rows = plan.changes.map((change) => [
    change.table,
    ...COUNTS.map(([, field]) => emphasize(field, change[field])),
  ]);
  if (plan.changes.length > 1) {
    const sum = (field: (typeof COUNTS)[number][1]) =>
      plan.changes.reduce((total, change) => total + change[field], 0);
    rows.push(['all', ...COUNTS.map(([, field]) => emphasize(field, sum(field)))]);
  }
  return formatTable(
    [{ head: 'table' }, ...COUNTS.map(([head]) => ({ head, align: 'right' as const }))],
    rows,
    { indent: '  ' },
  );
}

/** Zero is quiet; rows that go away or cannot come back are not. */
function emphasize(field: string, amount: number): string {
  if (amount === 0) return style('dim', '0');
  const text = formatCount(amount);
  if (field === 'deletes') return style('red', text);
  return field === 'orphans' || field === 'uniqueClashes' ? style('yellow', text) : text;
}

function formatNotice(notice: string, width: number | null): string {
  const [first = '', ...rest] = formatParagraph(notice, '    ', width).split('\n');
  return [`  ${style('yellow', '!')} ${first.trimStart()}`, ...rest].join('\n');
}
