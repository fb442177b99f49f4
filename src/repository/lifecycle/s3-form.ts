import type { LifecycleRule as S3Rule, TransitionStorageClass } from '@aws-sdk/client-s3';
import type { Due, LifecycleRule } from '../../model/lifecycle.ts';

/** Rules as S3 takes them. Always with a filter: rules of the old form, by prefix, may not overlap. */
export function toS3Rules(rules: readonly LifecycleRule[]): S3Rule[] {
  return rules.map((rule) => ({
    ID: rule.id,
    Status: rule.enabled ? 'Enabled' : 'Disabled',
    Filter: filterOf(rule),
    ...(rule.expire === null && !rule.removeLoneMarkers
      ? {}
      : {
          Expiration: rule.expire === null ? { ExpiredObjectDeleteMarker: true } : s3Due(rule.expire),
        }),
    ...(rule.transitions.length === 0
      ? {}
      : {
          Transitions: rule.transitions.map(({ due, storageClass }) => ({
            ...s3Due(due),
            StorageClass: storageClass as TransitionStorageClass,
          })),
        }),
    ...(rule.expireNoncurrent === null
      ? {}
      : {
          NoncurrentVersionExpiration: {
            NoncurrentDays: rule.expireNoncurrent.days,
            ...(rule.expireNoncurrent.keepNewer === 0
              ? {}
              : { NewerNoncurrentVersions: rule.expireNoncurrent.keepNewer }),
          },
        }),
    ...(rule.noncurrentTransitions.length === 0
      ? {}
      : {
          NoncurrentVersionTransitions: rule.noncurrentTransitions.map(({ days, storageClass }) => ({
            NoncurrentDays: days,
            StorageClass: storageClass as TransitionStorageClass,
          })),
        }),
    ...(rule.abortUploadsAfterDays === null
      ? {}
      : { AbortIncompleteMultipartUpload: { DaysAfterInitiation: rule.abortUploadsAfterDays } }),
  }));
}

/** Rules as a bucket has them, those of the old form and of other people too. */
export function fromS3Rules(rules: readonly S3Rule[]): LifecycleRule[] {
  return rules.map((rule) => {
    const { Expiration, NoncurrentVersionExpiration: noncurrent } = rule;
    const filter = { ...rule.Filter, ...rule.Filter?.And };
    const tags = [...(rule.Filter?.Tag === undefined ? [] : [rule.Filter.Tag]), ...(filter.Tags ?? [])];
    return {
      id: rule.ID ?? '',
      enabled: rule.Status === 'Enabled',
      prefix: filter.Prefix ?? rule.Prefix ?? '',
      largerThanBytes: filter.ObjectSizeGreaterThan ?? null,
      smallerThanBytes: filter.ObjectSizeLessThan ?? null,
      tags: Object.fromEntries(tags.map(({ Key, Value }) => [Key ?? '', Value ?? ''])),
      expire: Expiration === undefined ? null : dueOf(Expiration),
      transitions: (rule.Transitions ?? []).map((transition) => ({
        due: dueOf(transition) ?? { days: 0 },
        storageClass: transition.StorageClass ?? '',
      })),
      expireNoncurrent:
        noncurrent === undefined
          ? null
          : { days: noncurrent.NoncurrentDays ?? 0, keepNewer: noncurrent.NewerNoncurrentVersions ?? 0 },
      noncurrentTransitions: (rule.NoncurrentVersionTransitions ?? []).map((transition) => ({
        days: transition.NoncurrentDays ?? 0,
        storageClass: transition.StorageClass ?? '',
      })),
      removeLoneMarkers: Expiration?.ExpiredObjectDeleteMarker ?? false,
      abortUploadsAfterDays: rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation ?? null,
    };
  });
}

/** One condition stands alone, two or more stand in an And: S3 refuses the other way round. */
function filterOf(rule: LifecycleRule): NonNullable<S3Rule['Filter']> {
  const { prefix, largerThanBytes, smallerThanBytes } = rule;
  const tags = Object.entries(rule.tags).map(([Key, Value]) => ({ Key, Value }));
  const conditions = {
    ...(prefix === '' ? {} : { Prefix: prefix }),
    ...(largerThanBytes === null ? {} : { ObjectSizeGreaterThan: largerThanBytes }),
    ...(smallerThanBytes === null ? {} : { ObjectSizeLessThan: smallerThanBytes }),
  };
  const [only] = tags;
  const count = Object.keys(conditions).length + tags.length;
  if (count === 0) return { Prefix: '' };
  if (count > 1) return { And: { ...conditions, ...(only === undefined ? {} : { Tags: tags }) } };
  return only === undefined ? conditions : { Tag: only };
}

function s3Due(due: Due): { Days: number } | { Date: Date } {
  return 'days' in due ? { Days: due.days } : { Date: new Date(due.date) };
}

function dueOf({ Days, Date: date }: { Days?: number | undefined; Date?: Date | undefined }): Due | null {
  if (Days !== undefined) return { days: Days };
  return date === undefined ? null : { date: date.toISOString() };
}
