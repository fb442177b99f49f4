import type { AuditFinding } from '../../model/audit.ts';

const RIGHTS =
  'the policy for restores that `holdfast repository plan --policies <folder>` writes allows all that an audit reads';

/** What an audit could not look at: whatever it says, it does not say that this is well. */
export const unlooked = {
  settings: (why: string): AuditFinding =>
    finding(
      null,
      `the settings of the bucket cannot be read, nobody knows what its lifecycle will remove: ${why}`,
      RIGHTS,
    ),
  database: (database: string, why: string): AuditFinding =>
    finding(database, `what the repository holds of ${database} cannot be read: ${why}`, RIGHTS),
  prefix: ({ prefix, why }: { prefix: string; why: string }): AuditFinding => ({
    ...finding(null, `${prefix} cannot be listed: ${why}`, RIGHTS),
    severity: 'warning',
  }),
  manifest: (database: string, backup: string): AuditFinding => ({
    ...finding(
      database,
      `the manifest of ${backup} of ${database} cannot be understood: the backup is out of the catalog`,
      'a newer version of Holdfast wrote it, or it was overwritten: holdfast repository repair',
    ),
    code: 'missing',
  }),
  objects: (count: number, first: { key: string; why: string }): AuditFinding => ({
    ...finding(
      null,
      `the locks and keys of ${count} objects cannot be read, of ${first.key} first: ${first.why}`,
      RIGHTS,
    ),
    severity: 'warning',
  }),
  key: (name: string): AuditFinding => ({
    ...finding(
      null,
      `nobody says whether key ${name} can be used: KMS does not answer these credentials, and nothing is there to try it with`,
      'let the credentials of restores call kms:DescribeKey',
    ),
    severity: 'warning',
  }),
};

function finding(database: string | null, what: string, hint: string): AuditFinding {
  return { severity: 'critical', code: 'not-looked-at', database, what, firstDay: null, hint };
}
