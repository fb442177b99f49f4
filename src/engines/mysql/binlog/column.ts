import type { Fields } from './fields.ts';

/** Numbers of the columns' types. Sources: MySQL's field_types.h, MariaDB's include/mysql_com.h. */
export const TYPE = {
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  null: 6,
  timestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  time: 11,
  datetime: 12,
  year: 13,
  newDate: 14,
  varchar: 15,
  bit: 16,
  timestamp2: 17,
  datetime2: 18,
  time2: 19,
  typedArray: 20,
  blobCompressed: 140,
  varcharCompressed: 141,
  vector: 242,
  json: 245,
  newDecimal: 246,
  enum: 247,
  set: 248,
  tinyBlob: 249,
  mediumBlob: 250,
  longBlob: 251,
  blob: 252,
  varString: 253,
  string: 254,
  geometry: 255,
} as const;

/** How a value lies in a row: so many bytes, or a length of so many bytes and then the value. */
export type ValueForm = { fixed: number } | { lengthBytes: number };

const FIXED: ReadonlyMap<number, number> = new Map([
  [TYPE.tiny, 1],
  [TYPE.short, 2],
  [TYPE.long, 4],
  [TYPE.null, 0],
  [TYPE.timestamp, 4],
  [TYPE.longlong, 8],
  [TYPE.int24, 3],
  [TYPE.date, 3],
  [TYPE.time, 3],
  [TYPE.datetime, 8],
  [TYPE.year, 1],
  [TYPE.newDate, 3],
]);

const BLOBS: ReadonlySet<number> = new Set([
  ...[TYPE.tinyBlob, TYPE.blob, TYPE.mediumBlob, TYPE.longBlob, TYPE.blobCompressed],
  ...[TYPE.json, TYPE.geometry, TYPE.vector],
]);
const TEXTS: ReadonlySet<number> = new Set([TYPE.varchar, TYPE.varString, TYPE.varcharCompressed]);

/**
 * Takes a column's metadata out of a table map. Source: `Table_map_event` of MySQL's rows_event.h, table
 * "Table_map_event column types: numerical identifier and metadata".
 */
export function readMetadata(type: number, fields: Fields): number {
  if (BLOBS.has(type) || type === TYPE.float || type === TYPE.double) return fields.number(1);
  if (type === TYPE.timestamp2 || type === TYPE.datetime2 || type === TYPE.time2) return fields.number(1);
  if (TEXTS.has(type) || type === TYPE.bit) return fields.number(2);
  // The type or the precision comes first.
  if (type === TYPE.string || type === TYPE.enum || type === TYPE.set || type === TYPE.newDecimal) {
    return fields.bytes(2).readUInt16BE();
  }
  if (type === TYPE.typedArray) {
    const inner = fields.number(1);
    return inner === TYPE.varchar ? fields.number(3) : readMetadata(inner, fields);
  }
  return 0;
}

/** null: a type that is not known here. Source: `calc_field_size` of MySQL's binary_log_funcs.cpp. */
export function valueFormOf(type: number, metadata: number): ValueForm | null {
  const fixed = FIXED.get(type);
  if (fixed !== undefined) return { fixed };
  if (BLOBS.has(type)) return metadata >= 1 && metadata <= 4 ? { lengthBytes: metadata } : null;
  if (TEXTS.has(type)) return { lengthBytes: metadata > 255 ? 2 : 1 };
  const fraction = Math.ceil(metadata / 2);
  switch (type) {
    case TYPE.float:
    case TYPE.double:
      return { fixed: metadata };
    case TYPE.timestamp2:
      return { fixed: 4 + fraction };
    case TYPE.datetime2:
      return { fixed: 5 + fraction };
    case TYPE.time2:
      return { fixed: 3 + fraction };
    case TYPE.bit:
      return { fixed: (metadata >> 8) + ((metadata & 0xff) > 0 ? 1 : 0) };
    case TYPE.newDecimal:
      return { fixed: decimalBytes(metadata >> 8, metadata & 0xff) };
    case TYPE.typedArray:
      // Stored as JSON.
      return { lengthBytes: 4 };
    case TYPE.string:
    case TYPE.enum:
    case TYPE.set:
      return stringForm(metadata);
    default:
      return null;
  }
}

/** CHAR, ENUM and SET share a type; which it is stands in the metadata, together with two bits of the length. */
function stringForm(metadata: number): ValueForm {
  const real = metadata >> 8;
  if (real === TYPE.enum || real === TYPE.set) return { fixed: metadata & 0xff };
  const length = (((metadata >> 4) & 0x300) ^ 0x300) + (metadata & 0xff);
  return { lengthBytes: length > 255 ? 2 : 1 };
}

const BYTES_OF_DIGITS = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

function decimalBytes(precision: number, scale: number): number {
  const part = (digits: number) =>
    Math.floor(digits / 9) * 4 + (BYTES_OF_DIGITS[Math.max(0, digits) % 9] as number);
  return part(precision - scale) + part(scale);
}
