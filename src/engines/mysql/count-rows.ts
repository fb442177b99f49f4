import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { formatNameParts, parseNameParts } from '../../model/table.ts';
import type { CountInput, Counts } from '../contract/read.ts';
import { type Connection, type Param, withConnection } from './connection.ts';
import { refusalOf } from './error.ts';
import { listTables } from './fingerprint.ts';
import { quoteIdentifier, quoteTable } from './identifier.ts';
import { readFacts } from './inspect.ts';
import { readColumns } from './row-hash.ts';

const LARGEST = 10;
/** Error numbers of a statement that took too long: MySQL's, MariaDB's. */
const TIMED_OUT = [3024, 1969];
const NO_TABLE = [1049, 1146];

/**
 * Engine.countRows: how many rows tables have, and how many of them are of a span of time. A count that takes longer than
 * the patience allows is the engine's own estimate instead. DATETIME columns are taken for UTC. Reads only.
 */
export async function countRows(access: ServerAccess, input: CountInput, run: Run): Promise<Counts> {
  return withConnection(
    access,
    run,
    async (connection) => {
      const named = input.tables ?? (await largest(connection, access.database));
      const tables: Counts['tables'] = [];
      for (const table of named) {
        run.progress({ phase: 'counting rows', detail: table, done: tables.length, total: named.length });
        tables.push({ table, ...(await countOne(connection, placeOf(table, access.database))) });
      }
      const recent: Counts['recent'] = [];
      for (const one of input.recent) {
        run.progress({ phase: 'counting recent rows', detail: one.table });
        recent.push({ table: one.table, rows: await countRecent(connection, access.database, one) });
      }
      return { tables, recent };
    },
    { applicationName: 'count', readOnly: true, statementTimeoutMs: input.patienceMs },
  );
}

/** Of the connected db; of all of them where none is. */
async function largest(connection: Connection, database: string): Promise<string[]> {
  const dbs = database === '' ? (await readFacts(connection)).databases.map(({ name }) => name) : [database];
  const all = await listTables(connection, dbs);
  return all
    .toSorted((a, b) => b.bytes - a.bytes)
    .slice(0, LARGEST)
    .map(({ db, name }) => formatNameParts([db, name]));
}

function placeOf(table: string, database: string): [db: string, name: string] {
  const [name = '', db = database] = parseNameParts(table).reverse();
  return [db, name];
}

async function countOne(
  connection: Connection,
  place: [string, string],
): Promise<{ rows: number | null; exact: boolean }> {
  const exact = await counted(connection, `SELECT COUNT(*) AS n FROM ${quoteTable(place)}`);
  if (exact !== null) return { rows: exact, exact: true };
  const estimate = await counted(
    connection,
    'SELECT TABLE_ROWS AS n FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?',
    place,
  );
  return { rows: estimate, exact: false };
}

async function countRecent(
  connection: Connection,
  database: string,
  { table, column, from, to }: CountInput['recent'][number],
): Promise<number | null> {
  const place = placeOf(table, database);
  const columns = await readColumns(connection, ...place).catch((error: { type?: string }) => {
    if (error.type === 'UnknownTable') return null;
    throw error;
  });
  if (columns === null) return null;
  const type = columns.find(({ name }) => name === column)?.type ?? '';
  if (!['timestamp', 'datetime', 'date'].includes(type)) {
    throw new HoldfastError(
      'InvalidConfiguration',
      `verify.highValue of ${table} names no column of a time`,
      {
        hint: 'recent has to be a TIMESTAMP or DATETIME column of that table',
      },
    );
  }
  const name = quoteIdentifier(column);
  return counted(
    connection,
    `SELECT COUNT(*) AS n FROM ${quoteTable(place)} WHERE ${name} > ? AND ${name} <= ?`,
    [momentOf(from), momentOf(to)],
  );
}

/** As the server writes it; the session is in UTC. */
const momentOf = (iso: string): string => new Date(iso).toISOString().replace('T', ' ').replace('Z', '');

/** Null where it takes too long, or there is no such table to be read. */
async function counted(
  connection: Connection,
  sql: string,
  params: readonly Param[] = [],
): Promise<number | null> {
  try {
    const [row] = await connection.query<{ n: string | number | null }>(sql, params);
    return row === undefined || row.n === null ? null : Number(row.n);
  } catch (error) {
    if ([...TIMED_OUT, ...NO_TABLE].includes(refusalOf(error) ?? 0)) return null;
    throw error;
  }
}
