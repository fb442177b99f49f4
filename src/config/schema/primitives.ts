import { z } from 'zod';
import { parseCron } from '../../model/cron.ts';

/** A secret is only ever named: an environment variable or a file, read where and when it is used. */
export const secretReferenceSchema = z.union(
  [z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })],
  { error: 'must be {env: NAME} or {file: path}: a secret is never written here itself' },
);
export type SecretReference = z.infer<typeof secretReferenceSchema>;

export const credentialsSchema = z.strictObject({
  accessKeyId: secretReferenceSchema,
  secretAccessKey: secretReferenceSchema,
  sessionToken: secretReferenceSchema.optional(),
});

/** A name that becomes a part of keys, ids and queues. */
export const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower case letters, digits and dashes, at most 63');

export const cron = z.string().superRefine((text, context) => {
  try {
    parseCron(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: `${(error as Error).message} (five fields, in UTC)` });
  }
});

/** A program and its arguments: never a shell's command line. */
export const program = z.array(z.string().min(1)).min(1);
export const port = z.number().int().min(1).max(65_535);
