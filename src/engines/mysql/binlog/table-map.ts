import { readMetadata } from './column.ts';
import type { Column, TableMapContent } from './event.ts';
import { Fields } from './fields.ts';

const COLUMN_NAMES = 4;

/** Which table the rows that follow belong to. Source: `Table_map_event` of MySQL's rows_event.h; MariaDB's is the same. */
export function decodeTableMap(body: Buffer): TableMapContent {
  const fields = new Fields(body);
  const tableId = fields.number(6);
  fields.skip(2);
  const db = fields.text(fields.packed());
  fields.skip(1);
  const table = fields.text(fields.packed());
  fields.skip(1);
  const types = fields.bytes(fields.packed());
  const metadata = fields.left > 0 ? metadataOf(types, fields) : [];
  const names = namesOf(fields);
  const columns = [...types].map(
    (type, i): Column => ({ type, metadata: metadata[i] ?? 0, name: names[i] ?? null }),
  );
  return { type: 'table-map', tableId, db, table, columns };
}

function metadataOf(types: Buffer, fields: Fields): number[] {
  const block = new Fields(fields.bytes(fields.packed()));
  const metadata = [...types].map((type) => readMetadata(type, block));
  fields.skip(Math.ceil(types.length / 8));
  return metadata;
}

/** Names are among what binlog_row_metadata=FULL adds; the rest is passed over. */
function namesOf(fields: Fields): string[] {
  while (fields.left > 0) {
    const kind = fields.number(1);
    const part = new Fields(fields.bytes(fields.packed()));
    if (kind !== COLUMN_NAMES) continue;
    const names: string[] = [];
    while (part.left > 0) names.push(part.text(part.packed()));
    return names;
  }
  return [];
}
