import fc from 'fast-check';
import { quoteIdentifier } from '../../../src/engines/postgres/identifier.ts';
import {
  quoted,
  type RandomColumn,
  type RandomReference,
  type RandomSchema,
  type RandomTable,
  valuesOf,
} from './schema.ts';

/** A statement before it knows its schema, so that both shrink by themselves. */
interface Drawn {
  table: number;
  what: 'insert' | 'update' | 'delete' | 'clear' | 'swap';
  /** which row, in the order of their texts */
  row: number;
  column: number;
  cells: number[];
}

const drawn: fc.Arbitrary<Drawn> = fc.record({
  table: fc.nat(2),
  what: fc.oneof(
    { weight: 80, arbitrary: fc.constant('insert' as const) },
    { weight: 24, arbitrary: fc.constant('update' as const) },
    { weight: 12, arbitrary: fc.constant('delete' as const) },
    { weight: 1, arbitrary: fc.constant('clear' as const) },
    { weight: 6, arbitrary: fc.constant('swap' as const) },
  ),
  row: fc.nat(5),
  column: fc.nat(7),
  cells: fc.array(fc.nat(59), { minLength: 9, maxLength: 9 }),
});

/** As many statements as not: most of them are refused by a constraint, and an empty table shows nothing. */
export const randomHistory = (maxLength: number): fc.Arbitrary<Drawn[]> =>
  fc.noBias(fc.array(drawn, { maxLength, size: 'max' }));
export type History = Drawn[];

/** One block that runs all of it; statements that a constraint refuses change nothing. */
export function blockOf(schema: RandomSchema, history: History): string {
  const statements = history.flatMap((one) => statementOf(schema, one) ?? []);
  const blocks = statements.map(
    (sql) => `BEGIN ${sql}; EXCEPTION WHEN integrity_constraint_violation THEN NULL; END;`,
  );
  return `DO $history$ DECLARE o1 oid; o2 oid; c1 tid; c2 tid; v1 text; v2 text; BEGIN ${blocks.join('\n')} END $history$`;
}

function statementOf(schema: RandomSchema, { table: index, what, row, column, cells }: Drawn): string | null {
  const table = schema[index % schema.length] as RandomTable;
  if (what === 'clear') return `DELETE FROM ${table.name}`;
  if (what === 'delete') return `DELETE FROM ${table.name} AS t WHERE ${nth(table, row)}`;
  if (what === 'insert') return insertOf(table, cells);
  if (what === 'swap') return swapOf(table, row);
  const settable = table.columns.filter(
    ({ role, generation }) => role !== 'computed' && generation !== 'GENERATED ALWAYS AS IDENTITY',
  );
  const chosen = settable[column % settable.length];
  if (chosen === undefined) return null;
  return `UPDATE ${table.name} AS t SET ${quoteIdentifier(chosen.name)} = ${value(chosen, cells[0])} WHERE ${nth(table, row)}`;
}

function insertOf({ name, columns, references }: RandomTable, cells: readonly number[]): string {
  const given = columns.filter(
    // Every second time a number comes from its sequence.
    ({ role, generation }) =>
      role !== 'computed' && !(role === 'key' && generation !== '' && (cells[8] ?? 0) % 2 === 0),
  );
  if (given.length === 0) return `INSERT INTO ${name} DEFAULT VALUES`;
  const values = given.map(
    (column, index) => parentOf(references, column, cells[index]) ?? value(column, cells[index]),
  );
  return `INSERT INTO ${name} (${quoted(given.map((column) => column.name))}) OVERRIDING SYSTEM VALUE VALUES (${values.join(', ')})`;
}

/** Two times in three what a row of the parent holds: else hardly any row would refer to another. */
function parentOf(references: readonly RandomReference[], column: RandomColumn, cell = 0): string | null {
  const reference = references.find(({ columns }) => columns.length === 1 && columns[0] === column.name);
  if (reference === undefined || cell % 3 === 0) return null;
  const [parentColumn] = reference.parentColumns;
  return `(SELECT p.${quoteIdentifier(parentColumn as string)} FROM ${reference.parent} AS p ORDER BY p::text COLLATE "C" OFFSET ${cell % 5} LIMIT 1)`;
}

/** Exchanges the values that two rows have in a unique column. */
function swapOf({ name, columns, ...table }: RandomTable, row: number): string | null {
  const unique = columns.find((column) => column.unique && !column.notNull);
  if (unique === undefined) return null;
  const column = quoteIdentifier(unique.name);
  const pick = (n: 1 | 2, offset: number) =>
    `SELECT t.tableoid, t.ctid, ${column}::text INTO o${n}, c${n}, v${n} FROM ${name} AS t WHERE ${nth({ name, columns, ...table }, offset)}`;
  const set = (n: 1 | 2, what: string) =>
    `UPDATE ${name} AS t SET ${column} = ${what} WHERE t.tableoid = o${n} AND t.ctid = c${n} RETURNING t.ctid INTO c${n}`;
  const type = unique.type;
  return [pick(1, row), pick(2, row + 1), set(1, 'NULL'), set(2, `v1::${type}`), set(1, `v2::${type}`)].join(
    '; ',
  );
}

const value = (column: RandomColumn, cell = 0): string => {
  const values = valuesOf(column);
  return values[cell % values.length] as string;
};

function nth({ name }: RandomTable, row: number): string {
  return `(t.tableoid, t.ctid) = (SELECT n.tableoid, n.ctid FROM ${name} AS n ORDER BY n::text COLLATE "C", n.tableoid, n.ctid
    OFFSET (SELECT ${row} % greatest(count(*), 1) FROM ${name}) LIMIT 1)`;
}

/** How a table may have changed its form since. */
export const randomAlteration = fc.option(
  fc.record({
    table: fc.nat(2),
    what: fc.constantFrom('add', 'drop', 'rename', 'retype'),
    column: fc.nat(2),
  }),
  { freq: 4 },
);
export type Alteration = { table: number; what: string; column: number } | null;

/** The statement, and what the columns are called then that came through it; null where it does not fit. */
export function alterationOf(
  schema: RandomSchema,
  alteration: Alteration,
): { table: RandomTable; sql: string; lost: string | null } | null {
  if (alteration === null) return null;
  const table = schema[alteration.table % schema.length] as RandomTable;
  const alter = `ALTER TABLE ${table.name}`;
  if (alteration.what === 'add') {
    return { table, sql: `${alter} ADD fresh int NOT NULL DEFAULT 7`, lost: null };
  }
  const computedFrom = table.columns.some(({ role }) => role === 'computed');
  const data = table.columns.filter(({ role, unique }) => role === 'data' && !unique);
  const column = data[alteration.column % Math.max(1, data.length)];
  if (column === undefined || computedFrom) return null;
  const name = quoteIdentifier(column.name);
  if (alteration.what === 'drop') return { table, sql: `${alter} DROP ${name}`, lost: column.name };
  if (alteration.what === 'rename') {
    return { table, sql: `${alter} RENAME ${name} TO renamed`, lost: column.name };
  }
  if (column.type !== 'int') return null;
  return { table, sql: `${alter} ALTER ${name} TYPE bigint`, lost: null };
}
