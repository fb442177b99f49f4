import type { Severity } from './alert.ts';

/** What kind of thing an audit found. */
export const FINDING_CODES = [
  /** a backup is gone before its retention ends */
  'expires-too-early',
  /** something that another thing needs is gone before it */
  'needed-gone',
  /** the window of so many days is not kept */
  'window-broken',
  /** fewer backups or snapshots than promised */
  'too-few',
  /** a lock ends before the retention, or is not there */
  'lock-short',
  'not-locked',
  /** an object without encryption, or under another key; a key that cannot be used */
  'not-encrypted',
  'wrong-key',
  'key-unusable',
  /** a delete marker or a newer version lies on top of what a backup needs */
  'behind-marker',
  'overwritten',
  /** what a manifest names is not there */
  'missing',
  /** nobody needs it */
  'orphan',
  /** nothing ever removes it */
  'never-expires',
  /** what is read at every step lies in an archive class, or will */
  'archived',
  /** the bucket's own settings are not what they have to be */
  'settings',
  /** it could not be looked at */
  'not-looked-at',
] as const;
export type FindingCode = (typeof FINDING_CODES)[number];

/** The contract of `holdfast repository audit`: one finding. */
export interface AuditFinding {
  severity: Severity;
  code: FindingCode;
  /** null: of the whole repository */
  database: string | null;
  /** one line, in lower case */
  what: string;
  /** the first day (UTC, `2027-01-14`) on which it is so; null: it is so now, or on no certain day */
  firstDay: string | null;
  hint: string;
}

/** How a database stands on some days in a row, both included. */
export interface AuditSpan {
  from: string;
  to: string;
  /** kept: every promise holds. archived: it does, and a recovery has to thaw something first. broken: one does not */
  state: 'kept' | 'archived' | 'broken';
  /** the oldest moment of the window on the first of these days; null: there is none */
  windowFrom: string | null;
  /** what can be restored on the first of these days */
  fulls: number;
  differentials: number;
  logicals: number;
  snapshots: number;
  /** what is wrong, one line each */
  broken: string[];
}

export interface AuditCalendar {
  database: string;
  /** one year from the day of the audit on, without holes */
  spans: AuditSpan[];
  /** what is promised, one line each: `a window of 7d`, `physical backups for 90d` */
  promises: string[];
}

/** The contract of `holdfast repository audit --output json`. */
export interface AuditReport {
  at: string;
  repository: { bucket: string; prefix: string; region: string };
  /** what was looked at: `headed` objects were asked for their lock and key one by one */
  looked: { versions: number; markers: number; bytes: number; headed: number };
  /** the worst first */
  findings: AuditFinding[];
  calendars: AuditCalendar[];
}
