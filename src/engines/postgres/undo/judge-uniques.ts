import type { UniqueIndex } from '../compare/relation.ts';
import { quoteIdentifier } from '../identifier.ts';
import { indexValues, meetIn, refersTo } from '../import/stage-sql.ts';
import { isAwaited, isKnown, leave, type Undoing } from './judge-references.ts';
import { isPlace } from './rows.ts';
import type { UndoneTable } from './undo-table.ts';

/** An identity that only the server gives comes back with a row that is inserted anew, or not at all. */
export async function replaceIdentities(undoing: Undoing, table: UndoneTable): Promise<void> {
  const { relation, fixed } = table;
  for (const column of [...fixed].map(quoteIdentifier)) {
    const differs = `${undoing.actions.updates('s')} AND EXISTS (SELECT FROM ${relation.source} AS t
      WHERE ${isPlace('t', 's')} AND t.${column} IS DISTINCT FROM s.${column})`;
    if (isReplaceable(table))
      await leave(undoing, table, 'r', `${differs} AND ${mayGo(undoing, table, 's')}`);
    await leave(undoing, table, 'o', `${differs} AND s.holdfast_left IS NULL`);
  }
}

/** What a row holds when it is as it was must not be held by another row in the end. */
export async function leaveClashes(undoing: Undoing, table: UndoneTable): Promise<number> {
  const { client, actions } = undoing;
  const { relation, rows } = table;
  let left = 0;
  for (const index of relation.uniques.filter((one) => isJudgeable(table, one))) {
    const met = meeting(undoing, table, index);
    const late = table.deferrable.has(index.name);
    if (!late && isReplaceable(table)) {
      const moved = await client.query(
        `UPDATE ${rows} AS u SET holdfast_left = 'r' FROM (
           SELECT DISTINCT h.holdfast_n FROM ${met} JOIN ${rows} AS h
             ON h.holdfast_part = o.holdfast_part AND h.holdfast_place = o.holdfast_place
           WHERE ${actions.updates('h')} AND h.holdfast_left IS NULL AND ${mayGo(undoing, table, 'h')}) AS m
         WHERE m.holdfast_n = u.holdfast_n`,
      );
      left += moved.rowCount ?? 0;
    }
    const isFreed = `(${actions.deletes('h')} OR (${actions.updates('h')}${late ? '' : ` AND h.holdfast_left = 'r'`}))`;
    left += await leave(
      undoing,
      table,
      'c',
      `s.holdfast_n IN (SELECT s.holdfast_n FROM ${met} WHERE NOT EXISTS (SELECT FROM ${rows} AS h
         WHERE h.holdfast_part = o.holdfast_part AND h.holdfast_place = o.holdfast_place AND ${isFreed}))`,
    );
  }
  return left;
}

/** Where equal keys can be written differently, a row may come whose own key another holds. */
function isJudgeable(table: UndoneTable, index: UniqueIndex): boolean {
  const isOwnKey = index.name === table.key?.name;
  return !(isOwnKey && table.keyIsExact) && isKnown(table, index.reads);
}

/** SQL: rows `s` that come, each joined to the other rows `o` of production that hold a value of it. */
function meeting({ actions }: Undoing, { rows, relation }: UndoneTable, index: UniqueIndex): string {
  const within = index.predicate === null ? 'true' : `(${index.predicate})`;
  const values = indexValues(index);
  const coming = `SELECT r.holdfast_n, r.holdfast_part, r.holdfast_place, ${values} FROM ${rows} AS r
    WHERE ${actions.comes('r')} AND ${within}`;
  const held = `SELECT t.tableoid AS holdfast_part, t.ctid AS holdfast_place, ${values} FROM ${relation.source} AS t
    WHERE ${within}`;
  return `(${coming}) AS s JOIN (${held}) AS o ON ${meetIn(index, 'o', 's')}
    AND (o.holdfast_part, o.holdfast_place) IS DISTINCT FROM (s.holdfast_part, s.holdfast_place)`;
}

/** Nothing of a row is lost when it is deleted and inserted anew. */
function isReplaceable({ relation, types }: UndoneTable): boolean {
  return relation.columns.every(({ name, generated }) => generated || types.has(name));
}

/** SQL: to delete a row for a moment acts on no row that refers to it. */
function mayGo(undoing: Undoing, table: UndoneTable, row: string): string {
  const { relation } = table;
  const acting = relation.referencedBy.filter(
    ({ oid, onDelete }) => onDelete !== 'a' && !undoing.dropped.has(oid),
  );
  const referred = acting.map(
    (reference) => `NOT EXISTS (SELECT FROM ${relation.source} AS t WHERE ${isPlace('t', row)} AND (
      EXISTS (SELECT FROM ${reference.source} AS c WHERE ${refersTo(reference, 'c', 't')})
      OR ${isAwaited(undoing, table, reference)}))`,
  );
  return ['true', ...referred].join(' AND ');
}
