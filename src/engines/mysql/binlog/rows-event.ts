import type { RowsForm } from './event-code.ts';
import { Fields } from './fields.ts';

const STATEMENT_END = 0x1;

export interface RowsHead {
  tableId: number;
  isStatementEnd: boolean;
}

export function decodeRowsHead(body: Buffer): RowsHead {
  const fields = new Fields(body);
  return { tableId: fields.number(6), isStatementEnd: (fields.number(2) & STATEMENT_END) !== 0 };
}

/** Which columns an event's rows have: at most three bitmaps, after the head. */
export interface RowsShape {
  before: readonly number[];
  /** null: each row is there once */
  after: readonly number[] | null;
  width: number;
}

/**
 * Reads up to the first row. Source: `Rows_event` of MySQL's rows_event.h.
 */
export function decodeRowsShape(fields: Fields, form: RowsForm): RowsShape {
  fields.skip(8);
  // Its length counts itself.
  if (form.version === 2) fields.skip(Math.max(0, fields.number(2) - 2));
  const width = fields.packed();
  const present = () => bitsOf(fields.bytes(Math.ceil(width / 8)), width);
  const before = present();
  return { before, after: form.action === 'update' ? present() : null, width };
}

function bitsOf(bitmap: Buffer, width: number): number[] {
  const set: number[] = [];
  for (let i = 0; i < width; i += 1) if (((bitmap[i >> 3] as number) >> (i & 7)) & 1) set.push(i);
  return set;
}
