import type pg from 'pg';
import { quoteIdentifier } from '../identifier.ts';
import { columnOf } from './describe.ts';
import { keyExpression } from './key-order.ts';
import type { Column, ForeignKey, Relation, UniqueIndex } from './relation.ts';
import type { TablePair } from './table-pair.ts';

/** Values of some columns for many rows: one array per column. */
export type Values = readonly (readonly string[])[];

/** How many keys go into one statement. */
export const BATCH_ROWS = 10_000;

/**
 * `unnest($1::text[], …) WITH ORDINALITY AS holdfast(holdfast_1, …, holdfast_n)`. Names that no table's own
 * column is likely to have: index expressions stand unqualified beside them.
 */
export function unnest(width: number, first = 1): string {
  const arrays = Array.from({ length: width }, (_, index) => `$${index + first}::pg_catalog.text[]`);
  const names = Array.from({ length: width }, (_, index) => `holdfast_${index + 1}`);
  return `unnest(${arrays.join(', ')}) WITH ORDINALITY AS holdfast(${[...names, 'holdfast_n'].join(', ')})`;
}

/** `t."id" OPERATOR(pg_catalog.=) holdfast.holdfast_1::bigint AND …`, with the operator of the index. */
export function keyCondition(key: UniqueIndex, alias: string, relation: Relation): string {
  return key.parts
    .map((part, index) => {
      const type = columnOf(relation, part.column as string)?.type ?? part.type;
      return `${alias}.${quoteIdentifier(part.column as string)} ${part.equals} holdfast.holdfast_${index + 1}::${type}`;
    })
    .join(' AND ');
}

/**
 * Every lookup here is by a unique index: a scan of the whole table for each batch would be ruinous. JIT goes
 * off with it, since the planner's penalty for a forbidden path alone would switch it on.
 */
export async function preferIndexes(client: pg.Client, on: boolean): Promise<void> {
  const value = on ? 'off' : 'on';
  await client.query(
    `SELECT pg_catalog.set_config(name, '${value}', false)
     FROM unnest(ARRAY['enable_hashjoin', 'enable_mergejoin', 'enable_seqscan', 'jit']) AS name`,
  );
}

/** Which of these rows (0-based positions) satisfy the query, whose one column is `holdfast_n`. */
async function positions(client: pg.Client, sql: string, values: Values): Promise<Set<number>> {
  const { rows } = await client.query<[string]>({ text: sql, values: [...values], rowMode: 'array' });
  return new Set(rows.map(([position]) => Number(position) - 1));
}

/** Positions of the keys that production does not have. */
export function absentKeys(client: pg.Client, pair: TablePair, keys: Values): Promise<Set<number>> {
  return positions(
    client,
    `SELECT holdfast_n FROM ${unnest(keys.length)} WHERE NOT EXISTS (SELECT FROM ${pair.production.source} AS t
     WHERE ${keyCondition(pair.key, 't', pair.production)})`,
    keys,
  );
}

/** Positions of the foreign key values that no row of the parent in production has. */
export function absentParents(client: pg.Client, key: ForeignKey, values: Values): Promise<Set<number>> {
  return positions(
    client,
    `SELECT holdfast_n FROM ${unnest(values.length)} WHERE NOT EXISTS (SELECT FROM ${key.parentSource} AS p
     WHERE ${parentCondition(key)})`,
    values,
  );
}

function parentCondition(key: ForeignKey): string {
  return key.parentColumns
    .map(
      (column, index) =>
        `p.${quoteIdentifier(column)} ${key.equals[index]} holdfast.holdfast_${index + 1}::${key.types[index]}`,
    )
    .join(' AND ');
}

/** The key lines of the parents in the restored copy that have these values; null where there is none. */
export async function restoredParentKeys(
  client: pg.Client,
  key: ForeignKey,
  parent: TablePair,
  values: Values,
): Promise<(string[] | null)[]> {
  const columns = parent.key.parts.map((part) => columnOf(parent.restored, part.column as string) as Column);
  const { rows } = await client.query<[string, ...string[]]>({
    text: `SELECT holdfast_n, ${columns.map((column) => `(${keyExpression(column, 'p').text})::pg_catalog.text`).join(', ')}
      FROM ${unnest(values.length)} JOIN ${parent.restored.source} AS p ON ${parentCondition(key)}`,
    values: [...values],
    rowMode: 'array',
  });
  const found: (string[] | null)[] = Array.from({ length: values[0]?.length ?? 0 }, () => null);
  for (const [position, ...parts] of rows) found[Number(position) - 1] = parts;
  return found;
}

/** Expressions over rows of the restored copy as text, for those of the keys whose row satisfies the condition. */
export async function restoredValues(
  client: pg.Client,
  pair: TablePair,
  keys: Values,
  expressions: readonly string[],
  condition: string | null,
): Promise<{ position: number; values: (string | null)[] }[]> {
  const { rows } = await client.query<[string, ...(string | null)[]]>({
    text: `SELECT holdfast_n, ${expressions.map((expression) => `(${expression})::pg_catalog.text`).join(', ')}
      FROM ${unnest(keys.length)} JOIN ${pair.restored.source} AS t ON ${keyCondition(pair.key, 't', pair.restored)}
      ${condition === null ? '' : `WHERE ${condition}`}`,
    values: [...keys],
    rowMode: 'array',
  });
  return rows.map(([position, ...values]) => ({ position: Number(position) - 1, values }));
}

/** Positions of the values that a row in production already holds in this unique index. */
export function heldValues(
  client: pg.Client,
  relation: Relation,
  index: UniqueIndex,
  values: readonly (readonly (string | null)[])[],
): Promise<Set<number>> {
  const condition = index.parts
    .map((part, i) => {
      const value = `holdfast.holdfast_${i + 1}::${part.type}`;
      const equal = `(${part.expression}) ${part.equals} ${value}`;
      return index.nullsDistinct
        ? equal
        : `(${equal} OR ((${part.expression}) IS NULL AND ${value} IS NULL))`;
    })
    .join(' AND ');
  const predicate = index.predicate === null ? '' : ` AND (${index.predicate})`;
  return positions(
    client,
    `SELECT holdfast_n FROM ${unnest(index.parts.length)}
     WHERE EXISTS (SELECT FROM ${relation.source} AS t WHERE ${condition}${predicate})`,
    values as Values,
  );
}

export function transpose<T>(rows: readonly (readonly T[])[], width: number): T[][] {
  return Array.from({ length: width }, (_, column) => rows.map((row) => row[column] as T));
}
