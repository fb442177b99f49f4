import { z } from 'zod';
import { DRILLED } from './drill.ts';
import { durationSchema } from './duration.ts';
import { HoldfastError } from './failure.ts';
import { CONFLICT_RULES } from './plan.ts';
import { targetSchema } from './target.ts';

// The workflow sandbox forbids what zod's compiled parsers want.
z.config({ jitless: true });

const runbook = {
  database: z.string().min(1),
  reason: z.string().min(1).max(1_000),
  requestedBy: z.string().min(1).max(200),
};
/** `<format>:<place>`: format `csv` or `dump`, place `repository` or an absolute path on the site's host. */
const exportSchema = z.string().regex(/^(csv|dump):(repository|\/.+)$/, {
  error: 'must be csv:repository, dump:repository, csv:/a/path or dump:/a/path',
});
const restore = {
  conflict: z.enum(CONFLICT_RULES).optional(),
  export: exportSchema.optional(),
  site: z.string().min(1).optional(),
};
const tables = z.array(z.string().min(1)).min(1).max(100);

/** The inputs of the workflow types: the public contract. A missing or unknown field is refused by name. */
export const INPUTS = {
  pointInTimeRecovery: z.strictObject({
    ...runbook,
    ...restore,
    target: targetSchema,
    tables: tables.optional(),
    keepInstance: durationSchema.optional(),
  }),
  selectiveTableRestore: z.strictObject({
    ...runbook,
    ...restore,
    tables,
    backup: z.string().min(1).optional(),
  }),
  fullDisasterRecovery: z.strictObject({
    ...runbook,
    site: z.string().min(1),
    /** left out: latest */
    target: targetSchema.optional(),
    /** left out: true, where the database has any */
    switchEndpoints: z.boolean().optional(),
  }),
  dailyVerify: z.strictObject({
    ...runbook,
    backup: z.string().min(1).optional(),
    site: z.string().min(1).optional(),
  }),
  restoreDrill: z.strictObject({
    ...runbook,
    runbook: z.enum(DRILLED).optional(),
    site: z.string().min(1).optional(),
  }),
  undoImport: z.strictObject({ ...runbook, workflowId: z.string().min(1) }),
  logicalBackup: z.strictObject({ database: z.string().min(1) }),
  physicalBackup: z.strictObject({ database: z.string().min(1), kind: z.enum(['full', 'diff']) }),
  monthlySnapshot: z.strictObject({ database: z.string().min(1) }),
  repositoryAudit: z.strictObject({}),
  logArchiveWatch: z.strictObject({ host: z.string().min(1) }),
  siteExamination: z.strictObject({ site: z.string().min(1) }),
  instanceReaper: z.strictObject({}),
  watchdog: z.strictObject({}),
} as const;

export type WorkflowType = keyof typeof INPUTS;
export type WorkflowInput<T extends WorkflowType> = z.infer<(typeof INPUTS)[T]>;

/** Reads an input at the border. Throws `InvalidInput` that names every field that is wrong. */
export function parseInput<T extends WorkflowType>(type: T, value: unknown): WorkflowInput<T> {
  const parsed = INPUTS[type].safeParse(value);
  if (parsed.success) return parsed.data as WorkflowInput<T>;
  const fields = Object.keys(INPUTS[type].shape).join(', ');
  throw new HoldfastError(
    'InvalidInput',
    `the input of ${type} is not right: ${describeIssues(parsed.error)}`,
    {
      hint: `the fields are ${fields || 'none: give {}'}`,
    },
  );
}

/** Every issue on one line, each with the path of its field. */
export function describeIssues(error: z.ZodError): string {
  return error.issues
    .map((issue) => {
      const path = issue.path.join('.');
      if (issue.code === 'unrecognized_keys') {
        return `unknown field ${issue.keys.map((key) => [...issue.path, key].join('.')).join(', ')}`;
      }
      if (
        issue.code === 'invalid_type' &&
        issue.input === undefined &&
        /received undefined/.test(issue.message)
      ) {
        return `field ${path} is missing`;
      }
      return path === '' ? issue.message : `${path}: ${issue.message}`;
    })
    .join('; ');
}
