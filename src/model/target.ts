import { z } from 'zod';

const OFFSET_TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d(?::?\d\d)?)$/;

const timeSchema = z
  .string()
  .regex(
    OFFSET_TIME,
    'must be ISO 8601 with an offset, such as 2026-01-31T14:05:00Z or 2026-01-31T14:05:00+01:00 (a time without an offset is read differently by each machine)',
  )
  .refine((text) => !Number.isNaN(Date.parse(text.replace(' ', 'T'))), 'must be a time that exists');

const position = { exclusive: z.boolean().optional(), timeline: z.number().int().positive().optional() };

const kinds = {
  time: z.strictObject({ time: timeSchema, ...position }),
  lsn: z.strictObject({
    // PostgreSQL's, or a file and a position in it, which is how MySQL and MariaDB name a place in their logs.
    lsn: z
      .string()
      .regex(
        /^(?:[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}|[^\s:/]+\.\d+:\d+)$/,
        'must be an LSN such as 0/3000148, or of MySQL a position such as binlog.000004:1234',
      ),
    ...position,
  }),
  xid: z.strictObject({ xid: z.string().regex(/^\d+$/, 'must be a transaction id in digits'), ...position }),
  name: z.strictObject({ name: z.string().min(1).max(63), ...position }),
  gtid: z.strictObject({ gtid: z.string().min(1), ...position }),
  optime: z.strictObject({ optime: z.string().min(1), ...position }),
  latest: z.strictObject({ latest: z.literal(true), ...position }),
  backup: z.strictObject({ backup: z.string().min(1), ...position }),
};

export type TargetKind = keyof typeof kinds;
export const TARGET_KINDS = Object.keys(kinds) as TargetKind[];

/** Where to recover to: exactly one of time, lsn, xid, name, gtid, optime, latest, backup. */
export type Target = z.infer<(typeof kinds)[TargetKind]>;

export const targetSchema: z.ZodType<Target> = z.unknown().transform((value, context): Target => {
  const given =
    typeof value === 'object' && value !== null ? TARGET_KINDS.filter((kind) => kind in value) : [];
  const kind = given[0];
  if (kind === undefined || given.length > 1) {
    context.addIssue({ code: 'custom', message: `must have exactly one of ${TARGET_KINDS.join(', ')}` });
    return z.NEVER;
  }
  const parsed = kinds[kind].safeParse(value);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    context.addIssue({ code: 'custom', message: issue.message, path: [...issue.path] });
  }
  return z.NEVER;
});

export function targetKind(target: Target): TargetKind {
  return TARGET_KINDS.find((kind) => kind in target) as TargetKind;
}

/** Whether recovery stops just before the target. By default so for a transaction: it is the accident. */
export function isExclusive(target: Target): boolean {
  return target.exclusive ?? ('xid' in target || 'gtid' in target);
}

/** For people: `time 2026-01-31T14:05:00Z`, `just before transaction 4711`, `latest`. */
export function describeTarget(target: Target): string {
  const kind = targetKind(target);
  const stop = isExclusive(target) ? 'just before ' : '';
  if (kind === 'latest') return 'latest';
  const value = String((target as Record<string, unknown>)[kind]);
  // A file and a place in it are no LSN to people.
  const lsn = value.includes(':') ? 'position' : 'LSN';
  const noun = { xid: 'transaction', name: 'restore point', lsn, gtid: 'GTID' } as Record<string, string>;
  return `${stop}${noun[kind] ?? kind} ${value}`;
}
