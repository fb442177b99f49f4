import type { AuditFinding } from '../../model/audit.ts';
import type { BucketDifference, LackingSetting, SettingChange } from '../../repository/bucket/difference.ts';
import type { Foreseen } from '../../repository/bucket/foresee.ts';
import { BUCKET_ASPECTS } from '../../repository/bucket/settings.ts';
import { formatParagraph, formatTable, style } from '../output.ts';

/** What `repository plan` shows: a bucket as it is, and as the configuration wants it. */
export interface BucketPlan extends BucketDifference {
  bucket: string;
  /** the arithmetic of the lifecycle and the minimum charges */
  lines: string[];
  /** documents for the roles of those who write and of those who restore */
  policies: { writer: object; restore: object };
  /** what the year ahead loses and gains by it; null: nobody asked */
  foreseen: Foreseen | null;
}

/** The whole plan: every setting, what stays, what cannot be had, and the arithmetic of the lifecycle. */
export function formatBucketPlan(plan: BucketPlan, width: number | null): string {
  const { changes, lines, foreseen } = plan;
  return [
    formatSettings(plan, width),
    ...section('how long everything is kept', lines, width),
    ...(foreseen === null ? [] : formatForeseen(foreseen, width)),
    changes.length === 0
      ? 'nothing to do: the bucket is as the configuration wants it'
      : `${changes.length} to change: holdfast repository apply`,
  ].join('\n\n');
}

/** As much of it as a person has to see before it is applied. */
export function formatSettings(plan: BucketPlan, width: number | null): string {
  const { changes, right, kept, lacking } = plan;
  const rows = [
    ...changes.map((change) => ({ ...change, result: style('yellow', change.willBe) })),
    ...right.map((setting) => ({ ...setting, result: style('green', 'as it is') })),
  ]
    .filter(({ item }) => item === null)
    .sort((a, b) => BUCKET_ASPECTS.indexOf(a.aspect) - BUCKET_ASPECTS.indexOf(b.aspect));
  const items = changes.filter(({ item }) => item !== null);
  const rightItems = right.filter(({ item }) => item !== null).length;
  return [
    `${style('bold', 'bucket')} ${plan.bucket}`,
    formatTable(
      [{ head: 'setting' }, { head: 'is' }, { head: 'will be' }],
      rows.map(({ aspect, is, result }) => [aspect, is, result]),
      { indent: '  ', width },
    ),
    ...section('rules of the lifecycle and statements of the policy', items.map(formatItem), width),
    ...(rightItems === 0 ? [] : [`rules and statements that are right: ${rightItems}`]),
    ...section(
      'not of Holdfast, and kept',
      kept.map(({ aspect, item, what }) => `${aspect} ${item}: ${what}`),
      width,
    ),
    ...section('what this store lacks', lacking.map(formatLacking), width),
  ].join('\n\n');
}

function formatForeseen({ brings, mends }: Foreseen, width: number | null): string[] {
  if (brings.length + mends.length === 0) return ['a year played forward: the plan changes nothing in it'];
  return [
    ...section('a year played forward: what the plan brings', brings.map(formatFinding), width),
    ...section('a year played forward: what the plan mends', mends.map(formatFinding), width),
  ];
}

function formatFinding({ severity, database, what, firstDay }: AuditFinding): string {
  const since = firstDay === null ? '' : `from ${firstDay}: `;
  return `${severity}, ${database ?? 'repository'}: ${since}${what}`;
}

function formatItem({ item, is, willBe }: SettingChange): string {
  if (is === 'none') return `+ ${item}: ${willBe}`;
  return willBe === 'none' ? `- ${item}: ${is}` : `~ ${item}: ${is} -> ${willBe}`;
}

/** What was done: the plan has been shown. */
export function formatApplied({ bucket, changes }: Pick<BucketPlan, 'bucket' | 'changes'>): string {
  if (changes.length === 0) return `nothing to do: ${bucket} is as the configuration wants it`;
  const settings = changes.length === 1 ? '1 setting' : `${changes.length} settings`;
  return `applied ${settings} to ${bucket}, and read back`;
}

function formatLacking({ what, required }: LackingSetting): string {
  return required ? style('red', `${what}; the configuration requires it`) : what;
}

function section(title: string, items: readonly string[], width: number | null): string[] {
  if (items.length === 0) return [];
  const lines = items.map((item) => `  ${formatParagraph(item, '    ', width).trimStart()}`);
  return [[`${title}:`, ...lines].join('\n')];
}
