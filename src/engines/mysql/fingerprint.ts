import type { ServerAccess } from '../../model/access.ts';
import type { TableFingerprint } from '../../model/backup.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { formatNameParts, parseNameParts } from '../../model/table.ts';
import { type Connection, withConnection } from './connection.ts';
import { refusalOf, serverError } from './error.ts';
import { quoteLiteral, quoteTable } from './identifier.ts';
import { hashSumSql, parseHashSum, parseRowHash, readColumns, rowHashSql } from './row-hash.ts';
import { canonicalSchema } from './schema.ts';

/** A table that holds rows; a partitioned one is one table. */
export interface CountedTable {
  db: string;
  name: string;
  /** of its rows, as the engine estimates them */
  bytes: number;
  /** null: the server cannot open it */
  engine: string | null;
}

/** The tables with rows of these dbs, by name. Sequences and views have none of their own. */
export async function listTables(connection: Connection, dbs: readonly string[]): Promise<CountedTable[]> {
  if (dbs.length === 0) return [];
  const rows = await connection.query<{ db: string; name: string; bytes: string; engine: string | null }>(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name, ENGINE AS engine, CAST(COALESCE(DATA_LENGTH, 0) AS CHAR) AS bytes
       FROM information_schema.TABLES
      WHERE TABLE_SCHEMA IN (${dbs.map(quoteLiteral).join(', ')}) AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')
      ORDER BY TABLE_SCHEMA, TABLE_NAME`,
  );
  return rows.map((row) => ({ ...row, bytes: Number(row.bytes) }));
}

/** What other sessions did or do to a definition: gone, or not readable in an older snapshot. */
const CHANGED = [1049, 1051, 1054, 1146, 1412];

/**
 * Row counts and order-independent checksums by these sessions, each in a transaction whose snapshot is as old as the
 * others'. Largest first, so that the sessions end together. Sorted by name. The lock on a definition is
 * given back behind every table: an ALTER TABLE would wait for the whole count, and every query for that. (MariaDB keeps it
 * all the same while it writes binlogs; its own mysqldump does so too, measured on 10.11.)
 */
export async function fingerprintTables(
  input: { sessions: readonly Connection[]; tables: readonly CountedTable[]; access: ServerAccess },
  run: Run,
): Promise<TableFingerprint[]> {
  const queue = [...input.tables].sort((a, b) => b.bytes - a.bytes);
  const total = queue.length;
  const found: TableFingerprint[] = [];
  let failure: { error: unknown } | null = null;
  const count = async (session: Connection) => {
    for (let table = queue.shift(); table !== undefined; table = queue.shift()) {
      run.signal.throwIfAborted();
      await session.query('SAVEPOINT counted');
      found.push(await fingerprintTable(session, table));
      await session.query('ROLLBACK TO SAVEPOINT counted');
      run.progress({ phase: 'counting rows', done: found.length, total, unit: 'tables' });
    }
  };
  await Promise.all(
    input.sessions.map((session) =>
      count(session).catch((error: unknown) => {
        failure ??= { error };
        // One session's failure ends the others, in the middle of a table too.
        queue.length = 0;
        return Promise.all(input.sessions.map((one) => one.close()));
      }),
    ),
  );
  run.signal.throwIfAborted();
  if (failure !== null) throw countError((failure as { error: unknown }).error, input.access);
  return found.sort((a, b) => (a.table < b.table ? -1 : 1));
}

async function fingerprintTable(session: Connection, { db, name }: CountedTable): Promise<TableFingerprint> {
  const table = formatNameParts([db, name]);
  const hash = rowHashSql(await readColumns(session, db, name));
  const [row] = await session.query<{ counted: string; checksum: string }>(
    `SELECT COUNT(*) AS counted, ${hashSumSql(hash)} AS checksum FROM ${quoteTable([db, name])}`,
  );
  const { counted, checksum } = row as { counted: string; checksum: string };
  return { table, rows: Number(counted), checksum: parseHashSum(checksum, table) };
}

function countError(error: unknown, access: ServerAccess): unknown {
  const gone = error instanceof HoldfastError && error.type === 'UnknownTable';
  if (!gone && !CHANGED.includes(refusalOf(error) ?? 0)) return serverError(error, access);
  return new HoldfastError('BackupFailed', 'a table was changed or dropped while its rows were counted', {
    hint: 'it is tried again; keep migrations out of the backup window',
    cause: error,
  });
}

/** Begins the transaction in which a session sees the same rows until its end. */
export async function takeSnapshot(session: Connection): Promise<void> {
  await session.query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
}

/**
 * Engine.fingerprint: the same counts on a restored or any other server, of the connected db or of the named tables, in
 * one snapshot. Reads only.
 */
export async function fingerprint(
  access: ServerAccess,
  options: { hash: string; tables: string[] | null },
  run: Run,
): Promise<{ schema: string; schemaSha256: string; tables: TableFingerprint[] }> {
  parseRowHash(options.hash);
  const session = { applicationName: 'fingerprint', readOnly: true };
  const schema = await withConnection(
    access,
    run,
    (connection) => canonicalSchema(connection, access.database),
    session,
  );
  return withConnection(
    access,
    run,
    async (connection) => {
      const tables = await wantedTables(connection, access.database, options.tables);
      await takeSnapshot(connection);
      const counted = await fingerprintTables({ sessions: [connection], tables, access }, run);
      return { schema: schema.text, schemaSha256: schema.sha256, tables: counted };
    },
    session,
  );
}

async function wantedTables(
  connection: Connection,
  db: string,
  names: readonly string[] | null,
): Promise<CountedTable[]> {
  if (names === null) return listTables(connection, [db]);
  const parts = names.map((name) => parseNameParts(name).reverse());
  const all = await listTables(connection, [...new Set(parts.map(([, named = db]) => named))]);
  return parts.map(([table, named = db], index) => {
    const found = all.find((one) => one.name === table && one.db === named);
    if (found !== undefined) return found;
    throw new HoldfastError(
      'UnknownTable',
      `there is no table ${names[index]} on the server that is looked at`,
    );
  });
}
