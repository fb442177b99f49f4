import type pg from 'pg';
import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { formatNameParts, parseNameParts } from '../../model/table.ts';
import type { CountInput, Counts } from '../contract/read.ts';
import { withConnection } from './connection.ts';
import { listTables } from './fingerprint.ts';
import { quoteIdentifier, quoteQualified } from './identifier.ts';

const LARGEST = 10;
const TIMED_OUT = '57014';
/** of an unlogged table that is read on a standby */
const UNLOGGED = '0A000';

/**
 * Engine.countRows: how many rows tables have, and how many of them are of a span of time. A count that takes longer
 * than the patience allows is the planner's own estimate instead. Reads only.
 */
export async function countRows(access: ServerAccess, input: CountInput, run: Run): Promise<Counts> {
  const session = {
    ...{ signal: run.signal, applicationName: 'count', readOnly: true },
    statementTimeoutMs: input.patienceMs,
  };
  return withConnection(access, session, async (client) => {
    const named = input.tables ?? (await largest(client));
    const tables: Counts['tables'] = [];
    for (const table of named) {
      run.progress({ phase: 'counting rows', detail: table, done: tables.length, total: named.length });
      tables.push({ table, ...(await countOne(client, table)) });
    }
    const recent: Counts['recent'] = [];
    for (const { table, column, from, to } of input.recent) {
      run.progress({ phase: 'counting recent rows', detail: table });
      const sql = `SELECT count(*)::pg_catalog.float8 AS rows FROM ${sourceOf(table)} WHERE ${quoteIdentifier(column)} > $1::pg_catalog.timestamptz AND ${quoteIdentifier(column)} <= $2::pg_catalog.timestamptz`;
      recent.push({ table, rows: await counted(client, { text: sql, values: [from, to] }, table) });
    }
    return { tables, recent };
  });
}

async function largest(client: pg.ClientBase): Promise<string[]> {
  // What is unlogged is not in the logs: a copy that was replayed has none of it, and cannot read it.
  const all = (await listTables(client)).filter(({ partitioned, unlogged }) => !partitioned && !unlogged);
  return all
    .toSorted((a, b) => b.bytes - a.bytes)
    .slice(0, LARGEST)
    .map(({ schema, name }) => formatNameParts([schema, name]));
}

/** By itself, without inheriting tables: as dumps and fingerprints count. */
const sourceOf = (table: string): string => {
  const [name = '', schema = 'public'] = parseNameParts(table).reverse();
  return quoteQualified([schema, name]);
};

async function countOne(
  client: pg.ClientBase,
  table: string,
): Promise<{ rows: number | null; exact: boolean }> {
  const exact = await counted(
    client,
    { text: `SELECT count(*)::pg_catalog.float8 AS rows FROM ONLY ${sourceOf(table)}` },
    table,
  );
  if (exact !== null) return { rows: exact, exact: true };
  const estimate = await counted(
    client,
    {
      text: 'SELECT c.reltuples::pg_catalog.float8 AS rows FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)',
      values: [sourceOf(table)],
    },
    table,
  );
  return { rows: estimate === null || estimate < 0 ? null : estimate, exact: false };
}

/** Null where it takes too long, or there is no such table to be read. */
async function counted(
  client: pg.ClientBase,
  query: { text: string; values?: unknown[] },
  table: string,
): Promise<number | null> {
  try {
    const { rows } = await client.query<{ rows: number }>(query);
    return rows[0]?.rows ?? null;
  } catch (error) {
    const code = (error as { code?: string }).code ?? '';
    if (code === TIMED_OUT || code === '42P01' || code === UNLOGGED) return null;
    if (code !== '42703' && code !== '42883') throw error;
    throw new HoldfastError(
      'InvalidConfiguration',
      `verify.highValue of ${table} names no column of a time`,
      {
        hint: 'recent has to be a timestamp column of that table',
      },
    );
  }
}
