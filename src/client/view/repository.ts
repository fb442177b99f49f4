import type { BucketDifference, LackingSetting, SettingChange } from '../../repository/bucket/difference.ts';
import { formatParagraph, formatTable, style } from '../output.ts';

/** What `repository plan` shows: a bucket as it is, and as the configuration wants it. */
export interface BucketPlan extends BucketDifference {
  bucket: string;
  /** the arithmetic of the lifecycle and the minimum charges */
  lines: string[];
  /** documents for the roles of those who write and of those who restore */
  policies: { writer: object; restore: object };
}

export function formatBucketPlan(plan: BucketPlan, width: number | null): string {
  const { changes, kept, lacking, lines } = plan;
  return [
    `${style('bold', 'bucket')} ${plan.bucket}`,
    ...(changes.length === 0 ? [] : [formatChanges(changes, width)]),
    ...(kept.length === 0
      ? []
      : [
          section(
            'not of Holdfast, and kept',
            kept,
            ({ aspect, item, what }) => `${aspect} ${item}: ${what}`,
            width,
          ),
        ]),
    ...(lacking.length === 0 ? [] : [section('what this store lacks', lacking, formatLacking, width)]),
    section('how long everything is kept', lines, (line) => line, width),
    changes.length === 0
      ? 'nothing to do: the bucket is as the configuration wants it'
      : `${changes.length} to change: holdfast repository apply`,
  ].join('\n\n');
}

/** What was done, by the same lines as the plan's. */
export function formatApplied({ bucket, changes }: Pick<BucketPlan, 'bucket' | 'changes'>): string {
  if (changes.length === 0) return `nothing to do: ${bucket} is as the configuration wants it`;
  const settings = changes.length === 1 ? '1 setting' : `${changes.length} settings`;
  return `applied ${settings} to ${bucket}, and read back`;
}

function formatChanges(changes: readonly SettingChange[], width: number | null): string {
  return formatTable(
    [{ head: 'setting' }, { head: 'is' }, { head: 'will be' }],
    changes.map(({ aspect, item, is, willBe }) => [item ?? aspect, is, willBe]),
    { indent: '  ', width },
  );
}

function formatLacking({ what, required }: LackingSetting): string {
  return required ? style('red', `${what}; the configuration requires it`) : what;
}

function section<T>(
  title: string,
  items: readonly T[],
  format: (item: T) => string,
  width: number | null,
): string {
  const lines = items.map((item) => formatParagraph(`- ${format(item)}`, '  ', width));
  return [`${title}:`, ...lines].join('\n');
}
