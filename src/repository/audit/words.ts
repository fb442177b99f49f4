import type { Severity } from '../../model/alert.ts';
import type { AuditFinding, FindingCode } from '../../model/audit.ts';
import type { Backup } from './backup.ts';
import { dayOf, type Horizon } from './calendar.ts';
import type { AuditedPolicy } from './facts.ts';
import type { Cause } from './fate.ts';

const KINDS = {
  full: 'full',
  diff: 'differential',
  logical: 'logical backup',
  snapshot: 'snapshot',
} as const;

/** `differential 20261122-203400F_20261123-203400D`; what will be made is told by its time. */
export function nameOf({ kind, id, node, startedAt }: Backup): string {
  if (node !== null) return `${KINDS[kind]} ${id}`;
  return `the ${KINDS[kind]} to be made on ${new Date(startedAt).toISOString().slice(0, 16).replace('T', ' ')}`;
}

/** What people make so that logs can be replayed from it, and how it is named. */
export const basesOf = ({
  shippedLockMs,
}: Pick<AuditedPolicy, 'shippedLockMs'>): { named: string; begin: string } =>
  shippedLockMs === undefined
    ? { named: 'full or differential', begin: '--tier physical --kind full' }
    : { named: 'logical', begin: '--tier logical' };

/** `rule old on pgbackrest/backup/ removes`: who does it, and what. */
export function describeCause(cause: Cause): string {
  switch (cause.by) {
    case 'rule': {
      const { rule, after } = cause;
      const where = rule.prefix === '' ? 'the whole bucket' : rule.prefix;
      return `rule ${rule.id} on ${where}${after === undefined ? '' : `, then rule ${after.id},`}`;
    }
    case 'tool':
      return "the tool's own expiry";
    case 'lock':
      return 'the end of the lock under its delete marker';
    case 'past':
      return 'what has happened already';
  }
}

/** What people can do about a cause. */
export function hintOf(cause: Cause): string {
  switch (cause.by) {
    case 'rule':
      return cause.rule.id.startsWith('holdfast-')
        ? 'holdfast repository plan shows the rules that fit; apply replaces them'
        : `rule ${cause.rule.id} is none of Holdfast's: disable it in the bucket or narrow its prefix; holdfast repository plan shows the rules that are enough`;
    case 'tool':
      return 'the tool counts fulls, also damaged ones: a new full now is whole, and the window begins in it; holdfast backup --tier physical --kind full';
    case 'lock':
      return 'holdfast repository repair removes the delete marker';
    case 'past':
      return 'holdfast catalog shows what can be restored';
  }
}

/** Findings of one cause are one: so they are told apart. */
export function keyOf(cause: Cause): string {
  return cause.by === 'rule' ? `rule ${cause.rule.prefix} ${cause.rule.id}` : cause.by;
}

/** `; 1 more does`, `; 3 more do`, or nothing. */
export function more(count: number, one: string, many: string): string {
  return count > 0 ? `; ${count} more ${count === 1 ? one : many}` : '';
}

/** `1 object`, `2 objects`. */
export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** A day to tell; null: it is so now already. */
export const firstDay = (at: number, { now }: Horizon): string | null => (at <= now ? null : dayOf(at));

/** `on 2027-01-14`, `now`. */
export const when = (at: number, { now }: Horizon): string => (at <= now ? 'now' : `on ${dayOf(at)}`);

export function finding(
  severity: Severity,
  code: FindingCode,
  told: Omit<AuditFinding, 'severity' | 'code' | 'firstDay'> & { firstDay?: string | null },
): AuditFinding {
  const { database, what, firstDay: day = null, hint } = told;
  return { severity, code, database, what, firstDay: day, hint };
}

const RANK: Record<Severity, number> = { critical: 0, warning: 1, info: 2 };

/** The worst first, and of these what is so already, then the soonest. */
export function sortFindings(findings: readonly AuditFinding[]): AuditFinding[] {
  const text = (one: AuditFinding) => `${one.firstDay ?? ''} ${one.database ?? ''} ${one.code} ${one.what}`;
  return findings
    .map((one) => ({ one, text: text(one) }))
    .sort((a, b) => RANK[a.one.severity] - RANK[b.one.severity] || (a.text < b.text ? -1 : 1))
    .map(({ one }) => one);
}
