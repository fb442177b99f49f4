import type pg from 'pg';
import { quoteIdentifier } from '../identifier.ts';
import { columnOf } from './describe.ts';
import type { Sides } from './differences.ts';
import { keyLine } from './keys-file.ts';
import { type ForeignKey, isAlike, type Reference, type Relation, type UniqueIndex } from './relation.ts';
import type { Side } from './row-values.ts';
import { keyTexts, rowSource, type TablePair } from './table-pair.ts';

/** Values of some columns for many rows: one array per column. */
export type Values = readonly (readonly (string | null)[])[];

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
 * Every lookup by a key is by a unique index: a scan of the whole table for each batch would be ruinous. JIT goes
 * off with it, since the planner's penalty for a forbidden path alone would switch it on.
 */
export async function preferIndexes(client: pg.Client, on: boolean): Promise<void> {
  const value = on ? 'off' : 'on';
  await client.query(
    `SELECT pg_catalog.set_config(name, '${value}', false), pg_catalog.set_config('jit', 'off', false)
     FROM unnest(ARRAY['enable_hashjoin', 'enable_mergejoin', 'enable_seqscan']) AS name`,
  );
}

/** The same for work that has no index to go by, such as the rows that refer to another. */
async function withScans<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await preferIndexes(client, false);
  const result = await work();
  await preferIndexes(client, true);
  return result;
}

/** Which of these rows (0-based positions) satisfy the query, whose one column is `holdfast_n`. */
async function positions(client: pg.Client, sql: string, values: Values): Promise<Set<number>> {
  const { rows } = await client.query<[string]>({ text: sql, values: [...values], rowMode: 'array' });
  return new Set(rows.map(([position]) => Number(position) - 1));
}

/** A row that a lookup found: which of the values asked for it, and what was asked of it. */
export interface Found {
  position: number;
  /** the line of its key */
  line: string;
  values: (string | null)[];
}

/** The key's columns as text, as a key file has them. */
function keyColumns(pair: TablePair, side: Side): string[] {
  return keyTexts(pair, side, 't').map(({ text }) => `(${text})::pg_catalog.text`);
}

async function find(
  client: pg.Client,
  pair: TablePair,
  side: Side,
  query: { condition: string; expressions: readonly string[]; values: Values; width: number },
): Promise<Found[]> {
  if (side === 'production' && pair.gone) return [];
  const keys = keyColumns(pair, side);
  const text = `SELECT holdfast_n, ${[...keys, ...query.expressions.map(asText)].join(', ')}
    FROM ${unnest(query.width)} JOIN ${rowSource(pair, side, 't')} ON ${query.condition}`;
  const { rows } = await client.query<[string, ...(string | null)[]]>({
    text,
    values: [...query.values],
    rowMode: 'array',
  });
  return rows.map(([position, ...fields]) => ({
    position: Number(position) - 1,
    line: keyLine(fields.slice(0, keys.length) as string[]),
    values: fields.slice(keys.length),
  }));
}

const asText = (expression: string) => `(${expression})::pg_catalog.text`;

/**
 * Expressions over the rows of these keys as text, for those whose row satisfies the condition. That may read
 * further values that stand beside each key, as `holdfast_<n>` behind the key's own.
 */
export function rowsByKey(
  sides: Sides,
  pair: TablePair,
  side: Side,
  keys: Values,
  expressions: readonly string[],
  condition: string | null = null,
  beside: Values = [],
): Promise<Found[]> {
  const client = sides[side];
  const query = {
    condition: [
      keyCondition(pair.key, 't', pair[side]),
      // Where unequal texts can be equal keys, the row of the very key is meant.
      ...(pair.keyIsExact
        ? []
        : keyColumns(pair, side).map(
            (text, index) => `${text} = holdfast.holdfast_${index + 1} COLLATE pg_catalog."C"`,
          )),
      ...(condition === null ? [] : [`(${condition})`]),
    ].join(' AND '),
    expressions,
    values: [...keys, ...beside],
    width: pair.key.parts.length + beside.length,
  };
  return pair.keyless
    ? withScans(client, () => find(client, pair, side, query))
    : find(client, pair, side, query);
}

/** The rows of a side that hold these values in a unique index or exclusion constraint of production. */
export async function rowsByIndex(
  sides: Sides,
  pair: TablePair,
  side: Side,
  index: UniqueIndex,
  values: Values,
): Promise<Found[]> {
  if (pair.gone && side === 'production') return [];
  const client = sides[side];
  const predicate = index.predicate === null ? '' : ` AND (${index.predicate})`;
  const condition = `${indexCondition(index)}${predicate}`;
  const query = { condition, expressions: [], values, width: index.parts.length };
  if (!pair.keyless) {
    const hasIndex = side === 'production' || pair.restored.uniques.some((other) => isAlike(other, index));
    return hasIndex
      ? find(client, pair, side, query)
      : withScans(client, () => find(client, pair, side, query));
  }
  // The row's identity takes a scan of the whole table: only where there is a row at all.
  const held = await positions(
    client,
    `SELECT holdfast_n FROM ${unnest(index.parts.length)}
     WHERE EXISTS (SELECT FROM ${pair[side].source} AS t WHERE ${condition})`,
    values,
  );
  if (held.size === 0) return [];
  return withScans(client, () => find(client, pair, side, query));
}

function indexCondition(index: UniqueIndex): string {
  return index.parts
    .map((part, i) => {
      const value = `holdfast.holdfast_${i + 1}::${part.type}`;
      const equal = `(${part.expression}) ${part.equals} ${value}`;
      return index.nullsDistinct
        ? equal
        : `(${equal} OR ((${part.expression}) IS NULL AND ${value} IS NULL))`;
    })
    .join(' AND ');
}

/** `p."id" = holdfast.holdfast_1::bigint AND …` of a parent's row for values of its child. */
function parentCondition(key: ForeignKey, alias: string): string {
  return key.parentColumns
    .map(
      (column, index) =>
        `${alias}.${quoteIdentifier(column)} ${key.equals[index]} holdfast.holdfast_${index + 1}::${key.types[index]}`,
    )
    .join(' AND ');
}

/** Positions of the foreign key values that no row of the parent in production has. */
export function absentParents(client: pg.Client, key: ForeignKey, values: Values): Promise<Set<number>> {
  return positions(
    client,
    `SELECT holdfast_n FROM ${unnest(values.length)} WHERE NOT EXISTS (SELECT FROM ${key.parentSource} AS p
     WHERE ${parentCondition(key, 'p')})`,
    values,
  );
}

/** The rows of the parent on a side that have these foreign key values. */
export function parentRows(
  sides: Sides,
  parent: TablePair,
  side: Side,
  key: ForeignKey,
  values: Values,
): Promise<Found[]> {
  const client = sides[side];
  const query = {
    condition: parentCondition(key, 't'),
    expressions: [],
    values,
    width: key.parentColumns.length,
  };
  return parent.keyless
    ? withScans(client, () => find(client, parent, side, query))
    : find(client, parent, side, query);
}

/** Whether row `t` of the child refers to the values from `holdfast_<first>` on. */
export function referenceCondition(reference: Reference, first = 1): string {
  return reference.columns
    .map(
      (column, index) =>
        `holdfast.holdfast_${index + first}::${reference.types[index]} ${reference.equals[index]} t.${quoteIdentifier(column)}`,
    )
    .join(' AND ');
}

/** Positions of the values to which a row of this table in production refers. */
export function referredPositions(
  client: pg.Client,
  reference: Reference,
  values: Values,
): Promise<Set<number>> {
  return withScans(client, () =>
    positions(
      client,
      `SELECT holdfast_n FROM ${unnest(values.length)} WHERE EXISTS (SELECT FROM ${reference.source} AS t
       WHERE ${referenceCondition(reference)})`,
      values,
    ),
  );
}

let cursors = 0;

/**
 * The rows of a table of the change that refer to these values, with their references, some at a time: a row may
 * have any number of them.
 */
export async function* referringRows(
  sides: Sides,
  child: TablePair,
  side: Side,
  reference: Reference,
  values: Values,
): AsyncGenerator<Found[]> {
  if (side === 'production' && child.gone) return;
  const client = sides[side];
  const keys = keyColumns(child, side);
  const expressions = reference.columns.map((column) => asText(`t.${quoteIdentifier(column)}`));
  cursors += 1;
  const cursor = `holdfast_cursor_${cursors}`;
  await withScans(client, () =>
    client.query(
      `DECLARE ${cursor} NO SCROLL CURSOR FOR SELECT holdfast_n, ${[...keys, ...expressions].join(', ')}
       FROM ${unnest(values.length)} JOIN ${rowSource(child, side, 't')} ON ${referenceCondition(reference)}`,
      [...values],
    ),
  );
  try {
    while (true) {
      const { rows } = await client.query<[string, ...(string | null)[]]>({
        text: `FETCH ${BATCH_ROWS} FROM ${cursor}`,
        rowMode: 'array',
      });
      if (rows.length === 0) return;
      yield rows.map(([position, ...fields]) => ({
        position: Number(position) - 1,
        line: keyLine(fields.slice(0, keys.length) as string[]),
        values: fields.slice(keys.length),
      }));
    }
  } finally {
    await client.query(`CLOSE ${cursor}`);
  }
}

export function transpose<T>(rows: readonly (readonly T[])[], width: number): T[][] {
  return Array.from({ length: width }, (_, column) => rows.map((row) => row[column] as T));
}
