import { z } from 'zod';
import { THAW_TIERS } from '../../model/archive.ts';
import { durationSchema } from '../../model/duration.ts';
import { credentialsSchema, secretReferenceSchema } from './primitives.ts';

/** How what lies in an archive class of S3 (GLACIER, DEEP_ARCHIVE) is brought back before a restore. */
export const thawSchema = z.strictObject({
  /** the faster, the dearer; what the deep archives cannot bring back expedited comes back with Standard */
  tier: z.enum(THAW_TIERS).default('Standard'),
  /** how long the copies can be read: whole days */
  keep: durationSchema.default('7d'),
  lookEvery: durationSchema.default('10m'),
  timeLimit: durationSchema.default('72h'),
});

/** The bucket, and who may do what to it. */
export const repositorySchema = z.strictObject({
  /** left out: AWS itself */
  endpoint: z.url({ protocol: /^https$/, error: 'must be an https URL' }).optional(),
  region: z.string().min(1),
  bucket: z.string().min(3).max(63),
  prefix: z
    .string()
    .regex(/^([a-zA-Z0-9._-]+\/)*$/, 'must be empty or end with a slash')
    .default(''),
  pathStyle: z.boolean().default(false),
  caFile: z.string().optional(),
  /** left out: the AWS default chain (instance role, SSO, variables) */
  credentials: credentialsSchema.optional(),
  /** read-only; instances and restores use these. Left out: `credentials` are used, and plans say so */
  restoreCredentials: credentialsSchema.optional(),
  /** may change the bucket's own settings; only `holdfast repository` reads them. Left out: `credentials` are used */
  adminCredentials: credentialsSchema.optional(),
  kmsKeyId: z.string().min(1).optional(),
  /** passphrase of pgBackRest's own encryption of everything under pgbackrest/ */
  cipher: secretReferenceSchema.optional(),
  /** why a database may lie in the repository's own region: without a reason that is refused */
  allowSameRegion: z.string().min(1).optional(),
  /** whether the store has S3's storage classes. Left out: AWS itself has, another endpoint has not */
  storageClasses: z.boolean().optional(),
  lock: z.strictObject({ mode: z.enum(['COMPLIANCE', 'GOVERNANCE']) }).optional(),
  thaw: thawSchema.optional(),
});
