import type pg from 'pg';
import type { Run } from '../../../model/progress.ts';
import type { UndoPlanInput } from '../../engine.ts';
import { columnOf } from '../compare/describe.ts';
import { keyLine } from '../compare/keys-file.ts';
import {
  BATCH_ROWS,
  keyCondition,
  preferIndexes,
  transpose,
  unnest,
  type Values,
} from '../compare/lookup.ts';
import type { ForeignKey, Reference, Relation, UniqueIndex } from '../compare/relation.ts';
import { quoteIdentifier } from '../identifier.ts';
import { fieldsOf, type UndoLine, undoLines } from './undo-lines.ts';
import { identity, keyValues, STATES, type UndoneTable } from './undo-table.ts';

/** A row that a lookup found: for which of the values, and its identity. Null: of a table outside the undo. */
export interface Hit {
  position: number;
  id: string | null;
}

/** Finds out what has become of every row of the import, by its key; `transaction` as xmin shows it. */
export async function classify(
  client: pg.Client,
  table: UndoneTable,
  transaction: string,
  read: UndoPlanInput['read'],
  run: Run,
): Promise<void> {
  const { counts } = table.data;
  if (table.key === null) await findInserted(client, table, transaction);
  const total = counts.inserted + counts.updated + counts.deleted;
  await preferIndexes(client, true);
  for await (const lines of undoLines(table.data, read, run.signal, BATCH_ROWS)) {
    for (const { kind } of lines) {
      table.kinds.push(kind);
      table.states.push(STATES.absent);
    }
    if (table.key !== null) {
      const keys = transpose(
        lines.map((line) => keyValues(table, line)),
        table.key.parts.length,
      );
      const { rows } = await client.query<[string, string, ...string[]]>({
        text: `SELECT holdfast_n, t.xmin::pg_catalog.text, ${identity(table, 't').join(', ')}
          FROM ${unnest(keys.length)} JOIN ${table.relation.source} AS t ON ${keyCondition(table.key, 't', table.relation)}`,
        values: keys,
        rowMode: 'array',
      });
      for (const [position, writer, ...id] of rows) {
        const ordinal = (lines[Number(position) - 1]?.ordinal as number) + table.placed;
        const isOurs = writer === transaction;
        table.states[ordinal] = isOurs ? STATES.ours : STATES.changed;
        if (!isOurs) table.writers.set(ordinal, writer);
        table.ordinals.set(keyLine(id), ordinal);
      }
      await markSame(client, table, lines, keys);
    }
    run.progress({ phase: `looking at ${table.data.table}`, done: table.kinds.length, total, unit: 'rows' });
  }
  await preferIndexes(client, false);
}

/** Rows that others have put back already as they were are not changed: there is nothing to do to them. */
async function markSame(
  client: pg.Client,
  table: UndoneTable,
  lines: readonly UndoLine[],
  keys: Values,
): Promise<void> {
  const { key, data, relation, states, placed } = table;
  const isAsked = (line: UndoLine) => line.kind !== 'i' && states[line.ordinal + placed] === STATES.changed;
  const asked = lines.flatMap((line, index) => (isAsked(line) ? [{ line, index }] : []));
  if (key === null || asked.length === 0) return;
  const columns = data.columns.map((name) => outputOf(`t.${quoteIdentifier(name)}`));
  const { rows } = await client.query<[string, ...(string | null)[]]>({
    text: `SELECT holdfast_n, ${columns.join(', ')}
      FROM ${unnest(keys.length)} JOIN ${relation.source} AS t ON ${keyCondition(key, 't', relation)}`,
    values: keys.map((column) => asked.map(({ index }) => column[index])),
    rowMode: 'array',
  });
  for (const [position, ...values] of rows) {
    const line = asked[Number(position) - 1]?.line as UndoLine;
    const before = fieldsOf(line.text);
    if (!values.every((value, index) => value === before[index])) continue;
    states[line.ordinal + placed] = STATES.same;
    table.writers.delete(line.ordinal + placed);
  }
}

/** A value as COPY writes it, which a cast to text does not do for every type. */
const outputOf = (value: string) =>
  `CASE WHEN pg_catalog.num_nulls(${value}) = 0 THEN pg_catalog.concat(${value}) END`;

/** Without a key only the transaction that wrote them tells the import's rows. */
async function findInserted(client: pg.Client, table: UndoneTable, transaction: string): Promise<void> {
  const { rows } = await client.query<string[]>({
    text: `SELECT ${identity(table, 't').join(', ')} FROM ${table.relation.source} AS t
      WHERE t.xmin = $1::pg_catalog.xid ORDER BY t.tableoid, t.ctid`,
    values: [transaction],
    rowMode: 'array',
  });
  for (const id of rows) {
    table.ordinals.set(keyLine(id), table.kinds.length);
    table.kinds.push('i');
    table.states.push(STATES.ours);
  }
  table.placed = rows.length;
  table.unknown = Math.max(0, table.data.counts.inserted - rows.length);
}

async function hits(client: pg.Client, sql: string, values: Values): Promise<Hit[]> {
  const { rows } = await client.query<[string, ...string[]]>({
    text: sql,
    values: [...values],
    rowMode: 'array',
  });
  return rows.map(([position, ...id]) => ({
    position: Number(position) - 1,
    id: id.length === 0 ? null : keyLine(id),
  }));
}

/** SQL that joins the rows of a table to their identities in `unnest`, as parameters from `first`. */
export function identityCondition(table: UndoneTable, alias: string): string {
  if (table.key !== null) return keyCondition(table.key, alias, table.relation);
  return `${alias}.tableoid = holdfast.holdfast_1::pg_catalog.oid AND ${alias}.ctid = holdfast.holdfast_2::pg_catalog.tid`;
}

/**
 * The rows that refer to these rows of a table, by identity. With `becoming` (per row the texts of the referenced
 * columns that it will have) only of rows whose referenced values change.
 */
export function referring(
  client: pg.Client,
  table: UndoneTable,
  reference: Reference,
  child: UndoneTable | undefined,
  rows: { ids: readonly (readonly string[])[]; becoming: readonly (readonly (string | null)[])[] | null },
): Promise<Hit[]> {
  const width = identity(table, 't').length;
  const ids = transpose(rows.ids, width);
  const becoming = rows.becoming === null ? [] : transpose(rows.becoming, reference.parentColumns.length);
  const refers = reference.columns.map(
    (column, index) =>
      `t.${quoteIdentifier(reference.parentColumns[index] as string)} ${reference.equals[index]} c.${quoteIdentifier(column)}`,
  );
  const changes = becoming.map(
    (_, index) =>
      `${outputOf(`t.${quoteIdentifier(reference.parentColumns[index] as string)}`)} IS DISTINCT FROM holdfast.holdfast_${width + index + 1}`,
  );
  const found = child === undefined ? [] : identity(child, 'c');
  return hits(
    client,
    `SELECT DISTINCT ${['holdfast_n', ...found].join(', ')} FROM ${unnest(width + becoming.length)}
     JOIN ${table.relation.source} AS t ON ${identityCondition(table, 't')}
     JOIN ${reference.source} AS c ON ${refers.join(' AND ')}
     ${changes.length === 0 ? '' : `WHERE ${changes.join(' OR ')}`}`,
    [...ids, ...becoming],
  );
}

/** The parents in production that have these values. */
export function parents(
  client: pg.Client,
  key: ForeignKey,
  parent: UndoneTable | undefined,
  values: Values,
): Promise<Hit[]> {
  const condition = key.parentColumns.map(
    (column, index) =>
      `p.${quoteIdentifier(column)} ${key.equals[index]} holdfast.holdfast_${index + 1}::${key.types[index]}`,
  );
  const found = parent === undefined ? [] : identity(parent, 'p');
  return hits(
    client,
    `SELECT DISTINCT ${['holdfast_n', ...found].join(', ')} FROM ${unnest(values.length)}
     JOIN ${key.parentSource} AS p ON ${condition.join(' AND ')}`,
    values,
  );
}

/** What rows of these column values would hold in a unique index or exclusion constraint: nothing outside its predicate. */
export async function indexedValues(
  client: pg.Client,
  relation: Relation,
  index: UniqueIndex,
  values: Values,
): Promise<{ position: number; values: (string | null)[] }[]> {
  const columns = index.reads.map(
    (name, i) => `holdfast.holdfast_${i + 1}::${columnOf(relation, name)?.type} AS ${quoteIdentifier(name)}`,
  );
  const { rows } = await client.query<[string, ...(string | null)[]]>({
    text: `SELECT holdfast_n, ${index.parts.map((part) => `(${part.expression})::pg_catalog.text`).join(', ')}
      FROM (SELECT holdfast_n, ${columns.join(', ')} FROM ${unnest(values.length)}) AS n
      ${index.predicate === null ? '' : `WHERE ${index.predicate}`}`,
    values: [...values],
    rowMode: 'array',
  });
  return rows.map(([position, ...found]) => ({ position: Number(position) - 1, values: found }));
}

/** The rows of production that hold these values in the index. */
export function holders(
  client: pg.Client,
  table: UndoneTable,
  index: UniqueIndex,
  values: Values,
): Promise<Hit[]> {
  const condition = index.parts.map((part, i) => {
    const value = `holdfast.holdfast_${i + 1}::${part.type}`;
    const equal = `(${part.expression}) ${part.equals} ${value}`;
    return index.nullsDistinct ? equal : `(${equal} OR ((${part.expression}) IS NULL AND ${value} IS NULL))`;
  });
  if (index.predicate !== null) condition.push(`(${index.predicate})`);
  return hits(
    client,
    `SELECT holdfast_n, ${identity(table, 't').join(', ')} FROM ${unnest(values.length)}
     JOIN ${table.relation.source} AS t ON ${condition.join(' AND ')}`,
    values,
  );
}
