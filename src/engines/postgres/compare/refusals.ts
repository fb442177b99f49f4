import { HoldfastError } from '../../../model/failure.ts';
import type { ConflictRule } from '../../../model/plan.ts';
import type { Relation } from './relation.ts';

/** Throws where one of the two sides cannot be read whole. */
export function refuseUnreadable(table: string, production: Relation, restored: Relation): void {
  const denied = (what: string, hint: string): never => {
    throw new HoldfastError('PermissionDenied', `${what} ${table}`, { hint });
  };
  if (production.rowSecurityActive || restored.rowSecurityActive) {
    denied(
      'row security hides rows from the configured user in',
      'connect as the owner of the table (without FORCE ROW LEVEL SECURITY) or as a role with BYPASSRLS',
    );
  }
  if (!production.rights.select || !restored.rights.select) {
    denied('the configured user may not read', 'grant SELECT on it (or the role pg_read_all_data)');
  }
}

type Command = 'insert' | 'update' | 'delete';

const COMMANDS: Record<'insert-missing' | 'restore-changed' | 'replace', readonly Command[]> = {
  'insert-missing': ['insert'],
  'restore-changed': ['insert', 'update'],
  replace: ['insert', 'update', 'delete'],
};

/** What production lets the configured user do to the table itself; a copy beside it needs its own place only. */
export function refuseCommands(
  table: string,
  { rewrites, rights, enabledTriggers, schema, referencedBy }: Relation,
  key: readonly string[],
  unfillable: HoldfastError | null,
): Partial<Record<ConflictRule, HoldfastError>> {
  const denied = (what: string, hint: string) =>
    new HoldfastError('PermissionDenied', `${what} ${table}`, { hint });
  const refusal = (commands: readonly Command[]): HoldfastError | null => {
    const rewritten = commands.find((command) => rewrites[command]);
    if (rewritten !== undefined) {
      return new HoldfastError('NotSupported', `${table} has a rule that rewrites ${rewritten}s`, {
        hint: 'recover with export, and write where the rule cannot act',
      });
    }
    if (!commands.every((command) => rights[command]) || !rights.lock) {
      return denied(
        `the configured user may not ${commands.join(', ')} and lock`,
        `grant SELECT, ${[...new Set([...commands, 'update'])].join(', ').toUpperCase()} on it${
          commands.length === 1 ? ' (UPDATE for the lock only: nothing is updated)' : ''
        }`,
      );
    }
    const hidden = referencedBy.find(
      ({ readable, parentColumns }) =>
        !readable &&
        (commands.includes('delete') ||
          (commands.includes('update') && !parentColumns.every((column) => key.includes(column)))),
    );
    if (hidden !== undefined) {
      return denied(
        `the configured user may not read ${hidden.table}, whose rows refer to`,
        `grant SELECT on ${hidden.table}: rows to which others refer are left alone`,
      );
    }
    if (enabledTriggers > 0 && !rights.triggers) {
      return denied(
        'the configured user may not disable the triggers of',
        'connect as its owner, or as a superuser (up to PostgreSQL 14 where a partition has a trigger of its parent): triggers must not fire for rows that come back',
      );
    }
    return unfillable;
  };
  const refusals: Partial<Record<ConflictRule, HoldfastError>> = {};
  for (const [rule, commands] of Object.entries(COMMANDS) as [keyof typeof COMMANDS, readonly Command[]][]) {
    const refused = refusal(commands);
    if (refused !== null) refusals[rule] = refused;
  }
  if (!rights.create) {
    refusals['side-by-side'] = denied(
      `the configured user may not create a table in schema ${schema}, beside`,
      'grant CREATE on the schema',
    );
  }
  return refusals;
}

/** The rules that write into the table itself. */
export function refuseAll(refusal: HoldfastError): Partial<Record<ConflictRule, HoldfastError>> {
  return Object.fromEntries(Object.keys(COMMANDS).map((rule) => [rule, refusal]));
}

export function nothingShared(table: string): HoldfastError {
  return new HoldfastError('NotSupported', `${table} has no column that the restored copy has too`, {
    hint: 'choose side-by-side',
  });
}

export function refuseUnfillable(
  table: string,
  production: Relation,
  columns: readonly string[],
): HoldfastError | null {
  const unfillable = production.columns.find(
    (column) => column.notNull && !column.generated && !column.hasDefault && !columns.includes(column.name),
  );
  if (unfillable === undefined) return null;
  return new HoldfastError(
    'NotSupported',
    `column ${unfillable.name} of ${table} is new since, NOT NULL and without a default: a row that comes back has no value for it`,
    { hint: 'give the column a default, or choose side-by-side' },
  );
}
