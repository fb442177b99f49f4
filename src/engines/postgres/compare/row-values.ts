import { quoteIdentifier } from '../identifier.ts';
import type { RowHash } from '../row-hash.ts';
import { columnOf } from './describe.ts';
import type { Column, Relation } from './relation.ts';

const NUMERIC = 1700;
const FLOAT4 = 700;
const FLOAT8 = 701;
const BPCHAR = 1042;
const JSONB = 3802;
/** Built-in types whose own hash tells all different values apart. Any other value is hashed by its text. */
const NATIVE = new Set([16, 17, 18, 20, 21, 23, 26, 650, 829, 869, 1082, 1083, 1114, 1184, 1266, 2950]);
const COLLATED = new Set([19, 25, 1043]);

/** What two values of a column have to have in common to be hashed alike. */
export interface ComparedColumns {
  production: Relation;
  restored: Relation;
  /** columns that are compared, by name */
  columns: readonly string[];
  /** whether values of columns that changed their type are converted; otherwise their texts are compared */
  converts: boolean;
}

export type Side = 'production' | 'restored';

/**
 * SQL for the 64-bit hash of a row's compared columns; null where there is nothing to compare. Unlike a
 * fingerprint's hash it tells apart what PostgreSQL calls equal: 1.0 and 1.00, 0 and -0. Expects the text settings
 * of connection.ts.
 */
export function rowHash(compared: ComparedColumns, hash: RowHash, side: Side, alias: string): string | null {
  if (compared.columns.length === 0) return null;
  if (hash === 'hashtextextended+sum') {
    return `pg_catalog.hashtextextended(${rowText(compared, side, alias)} COLLATE pg_catalog."C", 0)`;
  }
  const values = compared.columns.map((name) => hashedValue(compared, name, side, alias));
  return `pg_catalog.hash_record_extended(ROW(${values.join(', ')}), 0)`;
}

/** SQL for the text of a row's compared columns, the same on both sides for the same values. */
export function rowText(compared: ComparedColumns, side: Side, alias: string): string {
  const values = compared.columns.map((name) => comparedValue(compared, name, side, alias).value);
  return `ROW(${values.join(', ')})::pg_catalog.text`;
}

function hashedValue(compared: ComparedColumns, name: string, side: Side, alias: string): string {
  const { value, type } = comparedValue(compared, name, side, alias);
  if (NATIVE.has(type)) return value;
  if (COLLATED.has(type)) return `${value} COLLATE pg_catalog."C"`;
  if (type === NUMERIC) return `pg_catalog.numeric_send(${value})`;
  if (type === FLOAT4) return `pg_catalog.float4send(${value})`;
  if (type === FLOAT8) return `pg_catalog.float8send(${value})`;
  if (type === BPCHAR) return `pg_catalog.bpcharsend(${value})`;
  if (type === JSONB) return `pg_catalog.jsonb_send(${value})`;
  return `${value}::pg_catalog.text COLLATE pg_catalog."C"`;
}

/** A column's value in the type that both sides can have it in: production's, or text. */
function comparedValue(
  { production, restored, converts }: ComparedColumns,
  name: string,
  side: Side,
  alias: string,
): { value: string; type: number } {
  const [now, before] = [columnOf(production, name) as Column, columnOf(restored, name) as Column];
  const value = `${alias}.${quoteIdentifier(name)}`;
  if (now.fullType === before.fullType) return { value, type: now.typeOid };
  const known = NATIVE.has(now.typeOid) || COLLATED.has(now.typeOid) || isHashedByItself(now.typeOid);
  if (!converts || !known) return { value: `${value}::pg_catalog.text`, type: 25 };
  if (side === 'production') return { value, type: now.typeOid };
  return { value: `${value}::pg_catalog.text::${now.fullType}`, type: now.typeOid };
}

function isHashedByItself(type: number): boolean {
  return [NUMERIC, FLOAT4, FLOAT8, BPCHAR, JSONB].includes(type);
}

/** Whether values of a column are converted from another type. */
export function hasChangedTypes({ production, restored, columns }: ComparedColumns): boolean {
  return columns.some((name) => columnOf(production, name)?.fullType !== columnOf(restored, name)?.fullType);
}
