import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import { columnOf, describeRelation } from './describe.ts';
import { isExact, keyOrder } from './key-order.ts';
import { type Column, isKey, type Relation, type UniqueIndex } from './relation.ts';

/** One table on both sides, and what makes them comparable. */
export interface TablePair {
  /** as the input named it */
  table: string;
  production: Relation;
  restored: Relation;
  /** production's unique index that identifies rows; both sides have these columns unique and NOT NULL */
  key: UniqueIndex;
  /** equal keys are always written alike */
  keyIsExact: boolean;
  /** columns that come back: on both sides, and not computed by production */
  columns: string[];
  notices: string[];
}

/** Reads both sides. Throws UnknownTable, NotSupported, PermissionDenied: what would stop the import is said now. */
export async function describePair(
  production: pg.Client,
  restored: pg.Client,
  table: string,
): Promise<TablePair> {
  const [live, copy] = await Promise.all([
    describeRelation(production, table),
    describeRelation(restored, table).catch((error: unknown) => {
      if (!(error instanceof HoldfastError) || error.type !== 'UnknownTable') throw error;
      throw new HoldfastError('UnknownTable', `the restored copy has no table ${table}`, {
        hint: 'at the target it did not exist yet, or was called otherwise: choose another target',
      });
    }),
  ]);
  return pairRelations(table, live, copy);
}

/** The pure part of {@link describePair}. */
export function pairRelations(table: string, production: Relation, restored: Relation): TablePair {
  refuseWithoutRights(table, production, restored);
  if (production.hasInsertRules) {
    throw new HoldfastError('NotSupported', `${table} has a rule that rewrites inserts`, {
      hint: 'recover with export, and insert where the rule cannot act',
    });
  }
  const key = chooseKey(table, production, restored);
  const columns = production.columns
    .filter((column) => !column.generated && columnOf(restored, column.name) !== undefined)
    .map((column) => column.name);
  refuseUnfillable(table, production, columns);
  const keyColumns = keyColumnsOf(key, production);
  return {
    table,
    production,
    restored,
    key,
    keyIsExact: keyColumns.every(isExact),
    columns,
    notices: describeDifferences(table, production, restored, columns),
  };
}

export function keyNames(pair: TablePair): string[] {
  return pair.key.parts.map((part) => part.column as string);
}

export function keyColumnsOf(key: UniqueIndex, relation: Relation): Column[] {
  return key.parts.map((part) => columnOf(relation, part.column as string) as Column);
}

function chooseKey(table: string, production: Relation, restored: Relation): UniqueIndex {
  const names = (index: UniqueIndex) =>
    index.parts
      .map((part) => part.column)
      .sort()
      .join('\0');
  const there = new Set(restored.uniques.filter((index) => isKey(restored, index)).map(names));
  const candidates = production.uniques.filter((index) => isKey(production, index));
  const key = candidates.find((index) => there.has(names(index)));
  if (key === undefined) {
    throw new HoldfastError(
      'NotSupported',
      candidates.length === 0
        ? `${table} has no primary key and no unique index over NOT NULL columns: its rows cannot be told apart without a key`
        : `${table} has no key that production and the restored copy share: the rows of the two cannot be matched`,
      {
        hint: 'insert-missing needs a key; replace and side-by-side, which do not, come with a later version. Until then recover without tables and copy the rows from the instance by hand',
      },
    );
  }
  const order = (relation: Relation) => keyColumnsOf(key, relation).map(keyOrder).join();
  if (order(production) !== order(restored)) {
    throw new HoldfastError('NotSupported', `a key column of ${table} has changed its type since`, {
      hint: 'recover without tables and copy the rows from the instance by hand',
    });
  }
  return key;
}

function refuseWithoutRights(table: string, production: Relation, restored: Relation): void {
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
  if (!production.rights.insert || !production.rights.lock) {
    denied(
      'the configured user may not insert into and lock',
      'grant SELECT, INSERT and UPDATE on it (UPDATE for the lock only: nothing is updated)',
    );
  }
  if (production.enabledTriggers > 0 && !production.rights.owner) {
    denied(
      'the configured user may not disable the triggers of',
      'connect as its owner or a superuser: triggers must not fire for rows that come back',
    );
  }
}

function refuseUnfillable(table: string, production: Relation, columns: readonly string[]): void {
  const unfillable = production.columns.find(
    (column) => column.notNull && !column.generated && !column.hasDefault && !columns.includes(column.name),
  );
  if (unfillable === undefined) return;
  throw new HoldfastError(
    'NotSupported',
    `column ${unfillable.name} of ${table} is new since, NOT NULL and without a default: a row that comes back has no value for it`,
    { hint: 'give the column a default, or recover without tables and copy the rows by hand' },
  );
}

function describeDifferences(
  table: string,
  production: Relation,
  restored: Relation,
  columns: readonly string[],
): string[] {
  const notices: string[] = [];
  for (const column of production.columns) {
    const before = columnOf(restored, column.name);
    if (before === undefined) {
      notices.push(`${table}: column ${column.name} is new since; rows that come back get its default`);
    } else if (before.fullType !== column.fullType && columns.includes(column.name)) {
      notices.push(
        `${table}: column ${column.name} was ${before.fullType} and is ${column.fullType} now; its values are converted by their text`,
      );
    }
  }
  for (const column of restored.columns) {
    if (columnOf(production, column.name) !== undefined || column.generated) continue;
    notices.push(`${table}: column ${column.name} has been dropped since; its values do not come back`);
  }
  if (production.hasInheritors) {
    notices.push(
      `${table}: tables that inherit from it are not included; name them too where they lost rows`,
    );
  }
  if (production.hasExclusions) {
    notices.push(
      `${table}: its exclusion constraint is checked by the import only, which then changes nothing`,
    );
  }
  return notices;
}
