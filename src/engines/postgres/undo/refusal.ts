import type { UndoRule } from '../../../model/plan.ts';
import type { Judged } from './judge.ts';

/** Why a rule cannot be chosen for a table; null: it can. */
export function refusalOf({ table, counts, isUnplaced }: Judged, rule: UndoRule): string | null {
  const { rights, rewrites, enabledTriggers, columns } = table.relation;
  const name = table.data.table;
  const needed = {
    insert: counts.inserts + counts.replaces > 0,
    update: counts.updates > 0,
    delete: counts.deletes + counts.replaces > 0,
  };
  const commands = (['insert', 'update', 'delete'] as const).filter((command) => needed[command]);
  if (commands.length === 0) return null;
  if (table.surplus > 0) {
    return `${name} has no key, and ${table.surplus.toLocaleString('en-US')} more rows look like the import's than it inserted: they cannot be told apart`;
  }
  if (table.unknown > 0 && rule === 'overwrite-changed') {
    return `${name} has no key: of the rows that the import inserted, ${table.unknown.toLocaleString('en-US')} that others have changed or deleted since cannot be told from others`;
  }
  if (isUnplaced) return `${name} has no partition any more for some rows that would come back`;
  const rewritten = commands.find((command) => rewrites[command]);
  if (rewritten !== undefined) return `${name} has a rule that rewrites ${rewritten}s`;
  const lacking = commands.find((command) => !rights[command]);
  if (lacking !== undefined || !rights.lock)
    return `the configured user may not ${lacking ?? 'lock'} in ${name}`;
  const unfillable = columns.find(
    ({ name: column, notNull, generated, hasDefault }) =>
      notNull && !generated && !hasDefault && !table.data.columns.includes(column),
  );
  if (needed.insert && unfillable !== undefined) {
    return `column ${unfillable.name} of ${name} is new since, NOT NULL and without a default: a deleted row has no value for it`;
  }
  return enabledTriggers > 0 && !rights.triggers
    ? `the configured user may not disable the triggers of ${name}: only its owner may`
    : null;
}
