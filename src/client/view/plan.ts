import {
  countOf,
  type EndpointChange,
  type Plan,
  type PlanRule,
  type RulePlan,
  type TableChange,
} from '../../model/plan.ts';
import type { DecisionRecord } from '../../model/runbook.ts';
import { describeTarget } from '../../model/target.ts';
import { formatCount, formatParagraph, formatTable, plainWidth, style } from '../output.ts';
import { formatSpan } from './duration.ts';

/**
 * The plan as a person has to see it before saying yes: what, from where, row by row, what else, and what to know.
 * Once it is approved, what the rule that was chosen comes to.
 */
export function formatPlan(plan: Plan, width: number | null, chosen: PlanRule | null = null): string {
  const approved = plan.rules.find((rule) => rule.conflict === chosen);
  const { summary, changes, conflict } = approved ?? plan;
  const from = plan.backup === null ? [] : [`backup ${plan.backup}`];
  const isBackup = plan.target !== null && 'backup' in plan.target && plan.target.backup === plan.backup;
  if (plan.target !== null && !isBackup) from.push(describeTarget(plan.target));
  if (plan.position !== null) from.push(plan.backup === null ? plan.position : `stopped ${plan.position}`);
  const how = conflict === null ? [] : [`rule ${conflict}`];
  how.push(`about ${formatSpan(plan.estimateSeconds * 1_000)}`);
  const lines = [
    `${style('bold', 'PLAN')} ${style('dim', plan.digest)}`,
    formatParagraph(style('bold', summary), '  ', width),
    formatParagraph(`from ${from.join(', ')}`, '  ', width),
    formatParagraph(how.join(', '), '  ', width),
  ];
  if (changes.length > 0) lines.push('', formatChanges(changes, width));
  if (plan.endpoints !== undefined) lines.push('', formatEndpoints(plan.endpoints));
  if (plan.notices.length > 0) lines.push('', ...plan.notices.map((notice) => formatNotice(notice, width)));
  if (plan.rules.length > 1) lines.push('', formatRules(plan, width, approved));
  return lines.join('\n');
}

/** One rule of a plan in full, for whoever is about to choose it. */
export function formatRule(plan: Plan, rule: RulePlan, width: number | null): string {
  const lines = [
    `${style('bold', 'RULE')} ${rule.conflict}`,
    formatParagraph(style('bold', rule.summary), '  ', width),
  ];
  if (rule.refusal !== null) lines.push(refusalLine([rule.conflict], rule.refusal, width));
  else if (rule.changes.length > 0) lines.push('', formatChanges(rule.changes, width));
  const notices = noticesOf(plan, rule);
  if (notices.length > 0) lines.push('', ...notices.map((notice) => formatNotice(notice, width)));
  return lines.join('\n');
}

/** The rules that can be chosen, each with what it comes to. */
export function ruleChoices(plan: Plan): { value: PlanRule; label: string }[] {
  const possible = plan.rules.filter(({ refusal }) => refusal === null);
  return possible.map(({ conflict, summary }) => ({ value: conflict, label: `${conflict}: ${summary}` }));
}

/** `, rule replace, up to 5 rows beyond the plan`; empty where a decision says neither. */
export function formatChoice({ conflict, drift }: Pick<DecisionRecord, 'conflict' | 'drift'>): string {
  const rule = conflict === undefined ? '' : `, rule ${conflict}`;
  return drift === undefined || drift === 0
    ? rule
    : `${rule}, up to ${countOf(drift, 'row')} beyond the plan`;
}

const COUNTS = [
  ['insert', 'inserts'],
  ['update', 'updates'],
  ['delete', 'deletes'],
  ['orphans', 'orphans'],
  ['clashes', 'uniqueClashes'],
] as const;
type Field = (typeof COUNTS)[number][1];

const COUNT_COLUMNS = COUNTS.map(([head]) => ({ head, align: 'right' as const }));

/** Where each finds the database now, and where it will. */
function formatEndpoints(endpoints: readonly EndpointChange[]): string {
  const rows = endpoints.map(({ name, from, to }) => [
    name,
    from ?? style('dim', 'nothing'),
    from === to ? style('dim', 'stays') : to,
  ]);
  return formatTable([{ head: 'endpoint' }, { head: 'now' }, { head: 'to' }], rows, { indent: '  ' });
}

/** The name of a table stands last where the numbers behind it would leave the screen: there it can be read whole. */
function formatChanges(changes: readonly TableChange[], width: number | null): string {
  const rows = changes.map((change) => [
    change.table,
    ...COUNTS.map(([, field]) => emphasize(field, change[field])),
  ]);
  if (changes.length > 1) rows.push(['all', ...sums(changes)]);
  const columns = [{ head: 'table' }, ...COUNT_COLUMNS];
  const text = formatTable(columns, rows, { indent: '  ' });
  if (width === null || plainWidth(text) <= width) return text;
  const turned = rows.map(([table = '', ...counts]) => [...counts, table]);
  return formatTable([...COUNT_COLUMNS, { head: 'table' }], turned, { indent: '  ' });
}

function sums(changes: readonly TableChange[]): string[] {
  return COUNTS.map(([, field]) =>
    emphasize(
      field,
      changes.reduce((total, change) => total + change[field], 0),
    ),
  );
}

/** Every rule with what it comes to, why some cannot be chosen, and what is true of one of them only. */
function formatRules(plan: Plan, width: number | null, approved: RulePlan | undefined): string {
  const marked = approved?.conflict ?? plan.conflict;
  const rows = plan.rules.map((rule) => [
    rule.conflict === marked ? style('bold', `${rule.conflict} *`) : rule.conflict,
    ...(rule.refusal === null ? sums(rule.changes) : COUNTS.map(() => style('dim', '-'))),
  ]);
  const meaning =
    approved === undefined
      ? '(an approval means * unless it names another with --conflict)'
      : '(* was approved)';
  const lines = [
    `${style('bold', 'RULES')} ${style('dim', meaning)}`,
    formatTable([{ head: 'rule' }, ...COUNT_COLUMNS], rows, { indent: '  ' }),
  ];
  // Afterwards nobody chooses any more.
  const choices = approved === undefined ? plan.rules : [approved];
  if (approved === undefined) {
    for (const [refusal, rules] of refusalsOf(plan)) lines.push(refusalLine(rules, refusal, width));
  }
  for (const rule of choices) {
    if (rule.refusal !== null || rule.conflict === plan.conflict) continue;
    const notices = noticesOf(plan, rule).map((notice) => `${rule.conflict}: ${notice}`);
    lines.push(...notices.map((notice) => formatNotice(notice, width)));
  }
  return lines.join('\n');
}

/** The rules that cannot be chosen, by the reason; without what a notice of the plan says already. */
function refusalsOf({ rules, notices }: Plan): Map<string, PlanRule[]> {
  const refusals = new Map<string, PlanRule[]>();
  for (const { conflict, refusal } of rules) {
    if (refusal === null || notices.some((notice) => notice.includes(refusalOf([conflict], refusal))))
      continue;
    refusals.set(refusal, [...(refusals.get(refusal) ?? []), conflict]);
  }
  return refusals;
}

/** What the plan does not say already for every rule. */
function noticesOf(plan: Plan, rule: RulePlan): string[] {
  return rule.notices.filter((notice) => !plan.notices.includes(notice));
}

function refusalLine(rules: readonly PlanRule[], refusal: string, width: number | null): string {
  return formatNotice(refusalOf(rules, refusal), width, '-');
}

function refusalOf(rules: readonly PlanRule[], refusal: string): string {
  return `${rules.join(' and ')} cannot be chosen: ${refusal}`;
}

/** Zero is quiet; rows that go away or cannot come back are not. */
function emphasize(field: Field, amount: number): string {
  if (amount === 0) return style('dim', '0');
  const text = formatCount(amount);
  if (field === 'deletes') return style('red', text);
  return field === 'orphans' || field === 'uniqueClashes' ? style('yellow', text) : text;
}

function formatNotice(notice: string, width: number | null, mark = '!'): string {
  const [first = '', ...rest] = formatParagraph(notice, '    ', width).split('\n');
  return [`  ${style('yellow', mark)} ${first.trimStart()}`, ...rest].join('\n');
}
