import { quoteBytes, quoteIdentifier, quoteLiteral } from '../identifier.ts';
import type { Value } from '../import/undo-data.ts';
import type { Column } from './table.ts';

/** How a value goes from one server to another without a conversion that could lose something of it. */
type Way = 'number' | 'double' | 'code' | 'bytes' | 'geometry' | 'json' | 'text';

const WAYS: Record<string, Way> = {
  ...{ tinyint: 'number', smallint: 'number', mediumint: 'number', int: 'number', bigint: 'number' },
  ...{ decimal: 'number', year: 'number', float: 'double', double: 'double' },
  // By number: what an enumeration calls its values is in its character set, and '' may be none of them.
  ...{ bit: 'code', enum: 'code', set: 'code' },
  ...{ char: 'bytes', varchar: 'bytes', tinytext: 'bytes', text: 'bytes', mediumtext: 'bytes' },
  ...{ longtext: 'bytes', binary: 'bytes', varbinary: 'bytes', tinyblob: 'bytes', blob: 'bytes' },
  ...{ mediumblob: 'bytes', longblob: 'bytes', vector: 'bytes', json: 'json' },
  ...{ geometry: 'geometry', point: 'geometry', linestring: 'geometry', polygon: 'geometry' },
  ...{ multipoint: 'geometry', multilinestring: 'geometry', multipolygon: 'geometry' },
  ...{ geometrycollection: 'geometry', geomcollection: 'geometry' },
};

const wayOf = ({ type }: Column): Way => WAYS[type] ?? 'text';

/** SQL that selects a value so that {@link writeValue} can write it again, bytes and all. */
export function readValue(column: Column, alias: string): string {
  const value = `${alias}.${quoteIdentifier(column.name)}`;
  switch (wayOf(column)) {
    // A FLOAT by itself is shown with six digits.
    case 'double':
      return `CAST(${value} AS DOUBLE)`;
    case 'code':
      return `${value} + 0`;
    case 'bytes':
      return `CAST(${value} AS BINARY)`;
    default:
      return value;
  }
}

/** The literal that stores it in a column of the same definition. */
export function writeValue(column: Column, value: Value): string {
  if (value === null) return 'NULL';
  switch (wayOf(column)) {
    case 'number':
    case 'code':
      return numberOf(value);
    case 'double': {
      const number = numberOf(value);
      return number.includes('e') ? number : `${number}e0`;
    }
    case 'bytes':
    case 'geometry':
      return quoteBytes(value);
    case 'json':
      return `_utf8mb4 0x${value.toString('hex')}`;
    case 'text':
      return quoteLiteral(value.toString('utf8'));
  }
}

/** The literal that a column of the same definition is compared with, so that its index serves and its collation counts. */
export function compareValue(column: Column, value: Value): string {
  if (value === null || wayOf(column) !== 'bytes' || column.charset === null)
    return writeValue(column, value);
  if (value.length === 0) return `_${column.charset} ''`;
  return `_${column.charset} 0x${value.toString('hex')}`;
}

function numberOf(value: Buffer): string {
  const text = value.toString('latin1');
  if (!/^[-+]?[\d.]+(?:e[-+]?\d+)?$/.test(text))
    throw new RangeError('the server gave something else than a number');
  return text;
}
