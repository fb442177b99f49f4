import type pg from 'pg';
import type { ServerAccess } from '../../model/access.ts';
import type { TableFingerprint } from '../../model/backup.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { formatNameParts, parseNameParts } from '../../model/table.ts';
import { connect, connectionError, withConnection } from './connection.ts';
import { quoteLiteral, quoteQualified } from './identifier.ts';
import { parseRowHash, type RowHash, readHashColumns, rowHashExpression } from './row-hash.ts';
import { canonicalSchema } from './schema.ts';

/** A table whose rows are counted: leaf partitions, not their parents. */
export interface CountedTable {
  oid: number;
  schema: string;
  name: string;
  /** bytes of its main file and its toast */
  bytes: number;
  partitioned: boolean;
  unlogged: boolean;
}

/** Sessions that count beside a dump: two keep a small host's cores busy without taking more than a dump does. */
const SESSIONS = 2;

/** The tables that a dump holds rows of; those of extensions are the extensions' own. */
export async function listTables(client: pg.ClientBase): Promise<CountedTable[]> {
  const { rows } = await client.query<{
    oid: number;
    schema: string;
    name: string;
    bytes: string;
    kind: string;
    unlogged: boolean;
  }>(
    `SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relpersistence = 'u' AS unlogged,
            CASE c.relkind WHEN 'r' THEN pg_catalog.pg_table_size(c.oid) ELSE 0 END AS bytes
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
        AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
             WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
      ORDER BY 2, 3`,
  );
  return rows.map(({ oid, schema, name, bytes, kind, unlogged }) => ({
    ...{ oid: Number(oid), schema, name, partitioned: kind === 'p', unlogged },
    bytes: Number(bytes ?? 0),
  }));
}

/**
 * Row counts and order-independent checksums. With a snapshot (of `pg_export_snapshot()`) all sessions see
 * exactly what its owner sees. Largest first, so that the sessions end together. Sorted by name.
 */
export async function fingerprintTables(
  input: { access: ServerAccess; tables: readonly CountedTable[]; hash: RowHash; snapshot: string | null },
  run: Run,
): Promise<TableFingerprint[]> {
  const queue = [...input.tables].sort((a, b) => b.bytes - a.bytes);
  const total = queue.length;
  const found: TableFingerprint[] = [];
  // One session's failure ends the others.
  const stop = new AbortController();
  const signal = AbortSignal.any([run.signal, stop.signal]);
  const count = async () => {
    const client = await connect(input.access, { signal, applicationName: 'fingerprint', readOnly: true });
    try {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      if (input.snapshot !== null)
        await client.query(`SET TRANSACTION SNAPSHOT ${quoteLiteral(input.snapshot)}`);
      for (let table = queue.shift(); table !== undefined; table = queue.shift()) {
        signal.throwIfAborted();
        found.push(await fingerprintTable(client, table, input.hash));
        run.progress({ phase: 'counting rows', done: found.length, total, unit: 'tables' });
      }
    } finally {
      await client.end().catch(() => {});
    }
  };
  const sessions = Array.from({ length: Math.min(SESSIONS, total) }, () =>
    count().catch((error: unknown) => {
      stop.abort(error);
      throw error;
    }),
  );
  const failed = (await Promise.allSettled(sessions)).some((session) => session.status === 'rejected');
  run.signal.throwIfAborted();
  if (failed) throw fingerprintError(stop.signal.reason, input.access);
  return found.sort((a, b) => (a.table < b.table ? -1 : 1));
}

async function fingerprintTable(
  client: pg.ClientBase,
  table: CountedTable,
  hash: RowHash,
): Promise<TableFingerprint> {
  const expression = rowHashExpression(await readHashColumns(client, table.oid), hash);
  const { rows } = await client.query<{ rows: string; checksum: string }>(
    `SELECT pg_catalog.count(*)::text AS rows, coalesce(pg_catalog.sum(${expression}), 0)::text AS checksum
       FROM ${table.partitioned ? '' : 'ONLY '}${quoteQualified([table.schema, table.name])}`,
  );
  const [row] = rows as [{ rows: string; checksum: string }];
  return {
    table: formatNameParts([table.schema, table.name]),
    rows: Number(row.rows),
    checksum: row.checksum,
  };
}

function fingerprintError(error: unknown, access: ServerAccess): unknown {
  const code = (error as { code?: string } | null)?.code;
  if (code === '42P01' || code === '42703' || code === '3F000') {
    return new HoldfastError('BackupFailed', 'a table was changed or dropped while its rows were counted', {
      hint: 'it is tried again; keep migrations out of the backup window',
      cause: error,
    });
  }
  return connectionError(error, access);
}

/** Engine.fingerprint: the same counts on a restored or any other server, in one snapshot. Reads only. */
export async function fingerprint(
  access: ServerAccess,
  options: { hash: string; tables: string[] | null },
  run: Run,
): Promise<{ schema: string; schemaSha256: string; tables: TableFingerprint[] }> {
  const hash = parseRowHash(options.hash);
  const session = { signal: run.signal, applicationName: 'fingerprint', readOnly: true };
  return withConnection(access, session, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const snapshot = await exportSnapshot(client);
    const all = await listTables(client);
    const tables =
      options.tables === null ? all.filter((table) => !table.partitioned) : named(all, options.tables);
    const { text, sha256 } = await canonicalSchema(client);
    return {
      ...{ schema: text, schemaSha256: sha256 },
      tables: await fingerprintTables({ access, tables, hash, snapshot }, run),
    };
  });
}

/** Null where the server cannot share one: then nothing else may write to it. */
async function exportSnapshot(client: pg.ClientBase): Promise<string | null> {
  const { rows } = await client.query<{ id: string }>('SELECT pg_catalog.pg_export_snapshot() AS id');
  return rows[0]?.id ?? null;
}

function named(all: readonly CountedTable[], names: readonly string[]): CountedTable[] {
  return names.map((name) => {
    const [table, schema] = parseNameParts(name).reverse();
    const found = all.find((one) => one.name === table && one.schema === schema);
    if (found !== undefined) return found;
    throw new HoldfastError('UnknownTable', `there is no table ${name} on the server that is looked at`);
  });
}
