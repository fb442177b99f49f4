import type { Config } from '../../config/schema.ts';
import { defaultRetentionDays } from '../lifecycle/days.ts';
import { lifecycleOf } from '../lifecycle/rules.ts';
import { bucketPolicy } from './policies.ts';
import type { BucketSettings } from './settings.ts';

/** What begins with it is ours: ids of lifecycle rules, sids of statements. */
export const OURS = 'holdfast';

/**
 * What the configuration wants of the bucket. `objectLock` and `encryption` null: nothing is wanted, and what is there
 * stays.
 */
export function desiredSettings(config: Config): BucketSettings {
  const { region, lock, kmsKeyId } = config.repository;
  return {
    region,
    versioning: 'enabled',
    objectLock:
      lock === undefined ? null : { retention: { mode: lock.mode, days: defaultRetentionDays(config) } },
    encryption: kmsKeyId === undefined ? null : { algorithm: 'aws:kms', kmsKeyId, bucketKey: true },
    publicAccessBlocked: true,
    policy: bucketPolicy(config),
    rules: lifecycleOf(config).rules,
    lacking: [],
  };
}
