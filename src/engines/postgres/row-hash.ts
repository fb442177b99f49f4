import type pg from 'pg';
import { HoldfastError } from '../../model/failure.ts';
import { quoteIdentifier } from './identifier.ts';

/** Names of the row hashes, as fingerprints carry them. Sums of different hashes mean nothing to each other. */
export const ROW_HASHES = ['hash_record_extended+sum', 'hashtextextended+sum'] as const;
export type RowHash = (typeof ROW_HASHES)[number];

/** A column as {@link rowHashExpression} needs it. */
export interface HashColumn {
  name: string;
  /** `pg_attribute.atttypid`; every type outside a short list is hashed as text */
  typeOid: number;
}

/**
 * Types whose own hash depends on nothing but the value: not on OIDs (enums), versions of libraries (collations)
 * or notions of equality that call different values equal (intervals, citext, arrays of other shape).
 */
const STABLE = new Set([
  16, 17, 18, 19, 20, 21, 23, 25, 26, 650, 700, 701, 774, 829, 869, 1042, 1043, 1082, 1083, 1114, 1184, 1266,
  1700, 2950, 3802,
]);
const COLLATED = new Set([19, 25, 1042, 1043]);

/** The best hash a server knows: `hash_record_extended` came with PostgreSQL 14. */
export function rowHashOf(serverMajor: number): RowHash {
  return serverMajor >= 14 ? 'hash_record_extended+sum' : 'hashtextextended+sum';
}

export function parseRowHash(name: string): RowHash {
  const found = ROW_HASHES.find((hash) => hash === name);
  if (found !== undefined) return found;
  throw new HoldfastError('NotSupported', `the row hash ${name} is not known here`, {
    hint: 'the backup was made by a newer Holdfast: use that one to verify it',
  });
}

/**
 * SQL for the 64-bit hash of a row's columns, equal wherever the row was dumped, restored or replayed to, as
 * long as the session's text settings are those of connection.ts. `alias` is the table's, as it stands in FROM.
 */
export function rowHashExpression(columns: readonly HashColumn[], hash: RowHash, alias?: string): string {
  const values = columns.map((column) => {
    const reference = `${alias === undefined ? '' : `${quoteIdentifier(alias)}.`}${quoteIdentifier(column.name)}`;
    if (hash === 'hashtextextended+sum') return reference;
    if (COLLATED.has(column.typeOid)) return `${reference} COLLATE pg_catalog."C"`;
    return STABLE.has(column.typeOid) ? reference : `${reference}::pg_catalog.text COLLATE pg_catalog."C"`;
  });
  const row = `ROW(${values.join(', ')})`;
  return hash === 'hash_record_extended+sum'
    ? `pg_catalog.hash_record_extended(${row}, 0)`
    : `pg_catalog.hashtextextended(${row}::pg_catalog.text COLLATE pg_catalog."C", 0)`;
}

/** The columns of a relation in their order, dropped ones left out. */
export async function readHashColumns(client: pg.ClientBase, relationOid: number): Promise<HashColumn[]> {
  const { rows } = await client.query<{ name: string; type: number }>(
    `SELECT attname AS name, atttypid AS type FROM pg_catalog.pg_attribute
      WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [relationOid],
  );
  return rows.map((row) => ({ name: row.name, typeOid: Number(row.type) }));
}
