import type { Severity } from '../../model/alert.ts';
import type { AuditFinding } from '../../model/audit.ts';
import { difference, type SettingChange } from '../bucket/difference.ts';
import type { BucketAspect, BucketSettings } from '../bucket/settings.ts';
import { finding } from './words.ts';

/** What the bucket itself is not as the configuration wants it; what its rules do, the calendar tells. */
export function findingsOfSettings(bucket: BucketSettings, desired: BucketSettings): AuditFinding[] {
  const { changes, lacking } = difference(bucket, desired);
  return [
    ...[...Map.groupBy(changes, ({ aspect }) => aspect)].map(([aspect, ofAspect]) =>
      tellChange(aspect, ofAspect, bucket),
    ),
    ...lacking
      .filter(({ required }) => required)
      .map(({ what }) =>
        finding('critical', 'settings', {
          database: null,
          what: `this store has ${what}`,
          hint: 'use a store that has it: without it nothing keeps backups from being deleted',
        }),
      ),
  ];
}

function tellChange(
  aspect: BucketAspect,
  changes: readonly SettingChange[],
  bucket: BucketSettings,
): AuditFinding {
  const [{ item, is, willBe }] = changes as [SettingChange];
  const others = changes.length > 1 ? `; ${changes.length - 1} more differ` : '';
  return finding(severityOf(aspect, bucket), 'settings', {
    database: null,
    what: `${NAMES[aspect]}${item === null ? '' : ` ${item}`}: is ${is}, should be ${willBe}${others}`,
    hint: 'holdfast repository plan shows every setting; apply makes them what they should be',
  });
}

const NAMES: Record<BucketAspect, string> = {
  versioning: 'versioning',
  'object-lock': 'Object Lock',
  encryption: 'encryption by default',
  'public-access-block': 'public access',
  policy: 'bucket policy, statement',
  lifecycle: 'lifecycle rule',
  uploads: 'unfinished uploads',
  transitions: 'storage classes',
};

/** Without versions and locks whoever has the writer's credentials can delete every backup. */
function severityOf(aspect: BucketAspect, bucket: BucketSettings): Severity {
  if (aspect === 'versioning') return 'critical';
  if (aspect === 'object-lock') return bucket.objectLock === null ? 'critical' : 'warning';
  return aspect === 'lifecycle' || aspect === 'uploads' ? 'info' : 'warning';
}
