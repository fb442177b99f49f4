import type pg from 'pg';
import type { Actions } from '../../undo-actions.ts';
import type { ForeignKey, Reference } from '../compare/relation.ts';
import { quoteIdentifier } from '../identifier.ts';
import { isParent, refersTo } from '../import/stage-sql.ts';
import { imagesDiffer, isPlace } from './rows.ts';
import type { UndoneTable } from './undo-table.ts';

/** An undo that is being judged under one rule. */
export interface Undoing {
  client: pg.Client;
  actions: Actions;
  /** the tables of the undo */
  byOid: ReadonlyMap<number, UndoneTable>;
  /** tables that the import made and that go */
  dropped: ReadonlySet<number>;
}

/** Leaves alone, or has replaced, the rows `s` that satisfy the condition; how many. */
export async function leave(
  { client }: Undoing,
  { rows }: UndoneTable,
  why: 'o' | 'c' | 'r',
  condition: string,
): Promise<number> {
  const left = await client.query(`UPDATE ${rows} AS s SET holdfast_left = '${why}' WHERE ${condition}`);
  return left.rowCount ?? 0;
}

/** The values of these columns are known of every row that comes. */
export function isKnown({ types, data }: UndoneTable, columns: readonly string[]): boolean {
  return data.replaced !== null && columns.every((column) => types.has(column));
}

/** No row may go, or lose a value, to which rows refer that stay. */
export async function leaveReferred(undoing: Undoing, table: UndoneTable): Promise<number> {
  const { actions } = undoing;
  const { relation, keyIsExact, data } = table;
  let left = 0;
  for (const reference of relation.referencedBy) {
    if (undoing.dropped.has(reference.oid)) continue;
    const columns = reference.parentColumns;
    const known = isKnown(table, columns);
    const found = `EXISTS (SELECT FROM ${relation.source} AS t JOIN ${reference.source} AS c ON ${refersTo(reference, 'c', 't')}
      WHERE ${isPlace('t', 's')} AND ${stays(undoing, reference)}`;
    // Without an action the reference is looked at in the end: it may be to another row that comes.
    const isFree = reference.onDelete === 'a' && known;
    const other = isFree ? ` AND NOT ${isGivenAnew(undoing, table, reference)}` : '';
    left += await leave(undoing, table, 'o', `${actions.deletes('s')} AND ${found}${other})`);
    const awaited = `EXISTS (SELECT FROM ${relation.source} AS t
      WHERE ${isPlace('t', 's')} AND ${isAwaited(undoing, table, reference)}`;
    if (reference.onDelete !== 'a') {
      left += await leave(undoing, table, 'o', `${actions.deletes('s')} AND ${awaited})`);
    }
    const isWithinKey = columns.every((column) => data.key?.includes(column) === true);
    if (!known || (isWithinKey && keyIsExact)) continue;
    // What acts on its own does so as soon as the value is written differently.
    const loses =
      reference.onUpdate === 'a'
        ? `(${refersTo(reference, 'c', 's')}) IS NOT TRUE AND NOT ${isGivenAnew(undoing, table, reference)}`
        : imagesDiffer(table, columns, 't', 's');
    left += await leave(undoing, table, 'o', `${actions.updates('s')} AND ${found} AND ${loses})`);
    if (reference.onUpdate !== 'a') {
      left += await leave(undoing, table, 'o', `${actions.updates('s')} AND ${awaited} AND ${loses})`);
    }
  }
  return left;
}

/** SQL: row `c` refers in the end to what it refers to now. */
function stays({ byOid, actions }: Undoing, reference: Reference): string {
  const child = byOid.get(reference.oid);
  if (child === undefined) return 'true';
  // One whose own reference is not known keeps it.
  const goes = isKnown(child, reference.columns) ? actions.acts('k') : actions.deletes('k');
  return `NOT EXISTS (SELECT FROM ${child.rows} AS k WHERE ${isPlace('c', 'k')} AND ${goes})`;
}

/** SQL: a row that comes has what row `c` refers to. */
function isGivenAnew({ actions }: Undoing, { rows }: UndoneTable, reference: Reference): string {
  return `EXISTS (SELECT FROM ${rows} AS n WHERE ${actions.comes('n')} AND ${refersTo(reference, 'c', 'n')})`;
}

/**
 * SQL: a row that comes refers to what row `t` holds and another row takes over. All of it happens in one statement:
 * what the foreign key does when `t` goes, it does to the row that comes, too.
 */
export function isAwaited({ byOid, actions }: Undoing, table: UndoneTable, reference: Reference): string {
  const child = byOid.get(reference.oid);
  if (child === undefined || !isKnown(child, reference.columns) || !isKnown(table, reference.parentColumns)) {
    return 'false';
  }
  return `EXISTS (SELECT FROM ${child.rows} AS k JOIN ${table.rows} AS n ON ${refersTo(reference, 'k', 'n')}
    WHERE ${actions.comes('k')} AND ${actions.comes('n')} AND ${refersTo(reference, 'k', 't')})`;
}

/** What a row refers to when it is as it was has to be there in the end. */
export async function leaveReferring(undoing: Undoing, table: UndoneTable): Promise<number> {
  const { actions } = undoing;
  let left = 0;
  for (const key of table.relation.foreignKeys) {
    if (!isKnown(table, key.columns)) continue;
    // MATCH SIMPLE: a row with a null in its reference refers to nothing.
    const refers = key.columns.map((column) => `pg_catalog.num_nulls(s.${quoteIdentifier(column)}) = 0`);
    left += await leave(
      undoing,
      table,
      'o',
      `${actions.comes('s')} AND ${refers.join(' AND ')} AND ${noParent(undoing, key)}`,
    );
  }
  return left;
}

function noParent({ byOid, actions }: Undoing, key: ForeignKey): string {
  const parent = byOid.get(key.parentOid);
  const there = `FROM ${key.parentSource} AS p WHERE ${isParent(key, 'p', 's')}`;
  if (parent === undefined) return `NOT EXISTS (SELECT ${there})`;
  const known = isKnown(parent, key.parentColumns);
  const goes = known ? actions.acts('k') : `(${actions.deletes('k')} OR k.holdfast_left = 'r')`;
  const staying = `NOT EXISTS (SELECT FROM ${parent.rows} AS k WHERE ${isPlace('p', 'k')} AND ${goes})`;
  const coming = `EXISTS (SELECT FROM ${parent.rows} AS k WHERE ${actions.comes('k')} AND ${isParent(key, 'k', 's')})`;
  return `NOT EXISTS (SELECT ${there} AND ${staying})${known ? ` AND NOT ${coming}` : ''}`;
}
