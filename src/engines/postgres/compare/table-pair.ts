import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import type { ConflictRule } from '../../../model/plan.ts';
import { formatNameParts } from '../../../model/table.ts';
import { lackingTable } from '../../named-table.ts';
import { type RowHash, rowHashOf } from '../row-hash.ts';
import { columnOf, describeIfThere } from './describe.ts';
import { asGone, goneNotices, readSurroundings, refuseGone, type Surroundings } from './gone.ts';
import { isExact, type KeyOrder, keyExpression, keyOrder } from './key-order.ts';
import type { NewConstraint } from './new-constraints.ts';
import { describeDifferences, largeObjectNotices } from './pair-notices.ts';
import { nothingShared, refuseAll, refuseCommands, refuseUnfillable, refuseUnreadable } from './refusals.ts';
import { type Column, isKey, type Relation, type UniqueIndex } from './relation.ts';
import { rowText, type Side } from './row-values.ts';
import { eventTriggerNotices } from './triggers.ts';

/** One table on both sides, and what makes them comparable. */
export interface TablePair {
  /** as the input named it */
  table: string;
  /** of a table that is gone: the restored copy's description, since it will be made like that */
  production: Relation;
  restored: Relation;
  /** production has no such table any more */
  gone: boolean;
  /** of a table that is gone: tables to which it refers, or of which it is a part, and that are gone too */
  goneParents: string[];
  /**
   * production's unique index that identifies rows; both sides have these columns unique and NOT NULL. Without
   * one (`keyless`) the columns of {@link rowSource}: `holdfast_row`, `holdfast_number`
   */
  key: UniqueIndex;
  keyless: boolean;
  /** equal keys are always written alike */
  keyIsExact: boolean;
  /** per key column, how its text sorts */
  orders: KeyOrder[];
  /** columns that come back: on both sides, and not computed by production */
  columns: string[];
  /** those of them that a row's hash covers: what the key's text does not say */
  hashed: string[];
  hash: RowHash;
  /** columns that changed their type are compared in production's; otherwise by their texts */
  converts: boolean;
  /** what production refuses of a row since; known to a comparison only */
  newConstraints: NewConstraint[];
  /** why a rule cannot be chosen for this table */
  refusals: Partial<Record<ConflictRule, HoldfastError>>;
  notices: string[];
}

/** Reads both sides. Throws UnknownTable, NotSupported, PermissionDenied where nothing can be compared at all. */
export async function describePair(
  production: pg.Client,
  restored: pg.Client,
  table: string,
): Promise<TablePair> {
  const [live, copy, liveMajor, copyMajor] = await Promise.all([
    describeIfThere(production, table),
    describeIfThere(restored, table),
    majorOf(production),
    majorOf(restored),
  ]);
  if (copy === null) {
    throw lackingTable(table, live !== null, 'name it as schema.table, exactly as the catalog spells it');
  }
  const hash = rowHashOf(Math.min(liveMajor, copyMajor));
  const pair =
    live === null
      ? pairGone(table, copy, await readSurroundings(production, copy), hash)
      : pairRelations(table, live, copy, hash);
  return {
    ...pair,
    notices: [...pair.notices, ...(await eventTriggerNotices(production, table, pair.gone))],
  };
}

async function majorOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ version: string }>(
    "SELECT pg_catalog.current_setting('server_version_num') AS version",
  );
  return Math.trunc(Number(rows[0]?.version) / 10_000);
}

/** The pure part of {@link describePair}. */
export function pairRelations(
  table: string,
  production: Relation,
  restored: Relation,
  hash: RowHash,
): TablePair {
  refuseUnreadable(table, production, restored);
  const columns = production.columns
    .filter((column) => !column.generated && columnOf(restored, column.name) !== undefined)
    .map((column) => column.name);
  const chosen = chooseKey(table, production, restored);
  const keyless = chosen instanceof HoldfastError;
  const key = keyless ? ROW_KEY : chosen;
  const keyColumns = keyless ? [] : keyColumnsOf(key, production);
  return {
    table,
    production,
    restored,
    gone: false,
    goneParents: [],
    key,
    keyless,
    keyIsExact: keyColumns.every(isExact),
    orders: keyless ? ['bytes', 'integer'] : keyColumns.map(keyOrder),
    columns,
    hashed: columns.filter((name) => !keyColumns.some((column) => column.name === name && saysAll(column))),
    hash,
    converts: true,
    newConstraints: [],
    refusals: {
      ...(keyless ? { 'insert-missing': chosen, 'restore-changed': chosen } : {}),
      ...refuseCommands(
        table,
        production,
        keyColumns.map((column) => column.name),
        refuseUnfillable(table, production, columns),
      ),
      ...(columns.length === 0 ? refuseAll(nothingShared(table)) : {}),
    },
    notices: [
      ...(keyless ? [`${chosen.message}; equal rows are counted`] : []),
      ...describeDifferences(table, production, restored, columns),
      ...largeObjectNotices(table, restored),
    ],
  };
}

/** A table that production has no more: it will be made as it was, so it is described as the restored copy has it. */
function pairGone(table: string, restored: Relation, surroundings: Surroundings, hash: RowHash): TablePair {
  const pair = pairRelations(table, asGone(restored, surroundings), restored, hash);
  return {
    ...pair,
    gone: true,
    goneParents: [...restored.parents, ...restored.foreignKeys.map(({ parent }) => parent)].filter(
      (parent) => !surroundings.there.has(parent),
    ),
    // All rules do the same, and what is there already needs no key to be told apart from.
    refusals: refuseGone(table, restored, surroundings),
    notices: [...goneNotices(table, restored, surroundings), ...largeObjectNotices(table, restored)],
  };
}

/** `schema.table` in the form of model/table.ts, as foreign keys name it. */
export function nameOf({ production }: TablePair): string {
  return formatNameParts([production.schema, production.name]);
}

/** Rows of a table without a key are told apart by what is in them, and equal ones by a running number. */
const ROW_KEY: UniqueIndex = {
  name: '',
  primary: false,
  parts: [
    {
      expression: 'holdfast_row',
      column: 'holdfast_row',
      type: 'pg_catalog.text',
      equals: 'OPERATOR(pg_catalog.=)',
    },
    {
      expression: 'holdfast_number',
      column: 'holdfast_number',
      type: 'bigint',
      equals: 'OPERATOR(pg_catalog.=)',
    },
  ],
  predicate: null,
  nullsDistinct: true,
  exclusion: false,
  deferrable: false,
  reads: [],
};

/**
 * The table of one side as it stands after FROM, with the key's columns. Without a key it is a subquery that reads
 * the whole table, with `holdfast_row` (sha256 of the row's text), `holdfast_number` (among equal rows, from 1),
 * `holdfast_ctid`, `holdfast_tableoid` and `holdfast_xmin` behind the table's own columns.
 */
export function rowSource(pair: TablePair, side: Side, alias: string): string {
  const { source } = pair[side];
  if (!pair.keyless) return `${source} AS ${alias}`;
  const row = `pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(${rowText(pair, side, 'u')}, 'UTF8')), 'hex')`;
  return `(SELECT v.*, pg_catalog.row_number() OVER (PARTITION BY v.holdfast_row COLLATE pg_catalog."C"
      ORDER BY v.holdfast_tableoid, v.holdfast_ctid) AS holdfast_number
    FROM (SELECT u.*, u.ctid AS holdfast_ctid, u.tableoid AS holdfast_tableoid,
        u.xmin AS holdfast_xmin, ${row} AS holdfast_row
      FROM ${source} AS u OFFSET 0) AS v) AS ${alias}`;
}

/** Per key column the SQL that a stream of keys selects, and what it orders by. */
export function keyTexts(pair: TablePair, side: Side, alias: string): { text: string; order: string }[] {
  if (pair.keyless) {
    return [
      { text: `${alias}.holdfast_row`, order: `${alias}.holdfast_row COLLATE pg_catalog."C"` },
      { text: `${alias}.holdfast_number`, order: `${alias}.holdfast_number` },
    ];
  }
  return keyColumnsOf(pair.key, pair[side]).map((column) => keyExpression(column, alias));
}

export function keyNames(pair: TablePair): string[] {
  return pair.key.parts.map((part) => part.column as string);
}

export function keyColumnsOf(key: UniqueIndex, relation: Relation): Column[] {
  return key.parts.map((part) => columnOf(relation, part.column as string) as Column);
}

/** Throws why this rule cannot be chosen for the table. */
export function requireRule(pair: TablePair, rule: ConflictRule): void {
  const refusal = pair.refusals[rule];
  if (refusal !== undefined) throw refusal;
}

/** Whether two equal texts of this key column are always the same value: not so for the scale of a number. */
function saysAll(column: Column): boolean {
  return isExact(column) && column.baseType !== 'numeric' && column.baseType !== 'bpchar';
}

/** The key that both sides share, or why there is none. */
function chooseKey(table: string, production: Relation, restored: Relation): UniqueIndex | HoldfastError {
  const names = (index: UniqueIndex) =>
    index.parts
      .map((part) => part.column)
      .sort()
      .join('\0');
  const there = new Set(restored.uniques.filter((index) => isKey(restored, index)).map(names));
  const candidates = production.uniques.filter((index) => isKey(production, index));
  const shared = candidates.filter((index) => there.has(names(index)));
  const order = (index: UniqueIndex, relation: Relation) =>
    keyColumnsOf(index, relation).map(keyOrder).join();
  const key = shared.find((index) => order(index, production) === order(index, restored));
  if (key !== undefined) return key;
  return new HoldfastError(
    'NotSupported',
    candidates.length === 0
      ? `${table} has no primary key and no unique index over NOT NULL columns: its rows cannot be told apart without a key`
      : shared.length === 0
        ? `${table} has no key that production and the restored copy share: the rows of the two cannot be matched`
        : `a key column of ${table} has changed its type since: the rows of the two cannot be matched`,
    { hint: 'replace and side-by-side need no key' },
  );
}
