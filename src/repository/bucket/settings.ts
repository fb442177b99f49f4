import type { LifecycleRule } from '../../model/lifecycle.ts';

export type LockMode = 'COMPLIANCE' | 'GOVERNANCE';

/** What a bucket says of itself. */
export interface BucketSettings {
  /** null: the store does not say */
  region: string | null;
  versioning: 'enabled' | 'suspended' | 'off';
  /** null: the bucket was made without Object Lock. `retention` is the default of new objects */
  objectLock: { retention: { mode: LockMode; days: number } | null } | null;
  /** null: objects are stored as they are */
  encryption: {
    algorithm: 'aws:kms' | 'AES256' | string;
    kmsKeyId: string | null;
    /** whether one request to KMS serves many objects; left out: the store does not say */
    bucketKey?: boolean;
  } | null;
  publicAccessBlocked: boolean;
  /** the bucket policy; null: there is none */
  policy: object | null;
  rules: LifecycleRule[];
  /** what this store has no such thing of; the values above are its defaults there */
  lacking: BucketAspect[];
}

export const BUCKET_ASPECTS = [
  'versioning',
  'object-lock',
  'encryption',
  'public-access-block',
  'policy',
  'lifecycle',
  'transitions',
  /** rules that abort unfinished uploads */
  'uploads',
] as const;
export type BucketAspect = (typeof BUCKET_ASPECTS)[number];
