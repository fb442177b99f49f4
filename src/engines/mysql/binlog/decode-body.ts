import type { EventContent, FormatContent, RowsContent, TableMapContent, TableName } from './event.ts';
import { CODE, isUnknown, type RowsForm, rowsFormOf } from './event-code.ts';
import { Fields } from './fields.ts';
import {
  decodeGtid,
  decodeMariadbGtid,
  decodeMariadbGtidList,
  decodePreviousGtids,
  decodeTaggedGtid,
} from './gtid-event.ts';
import type { EventHeader } from './header.ts';
import { Malformed } from './malformed.ts';
import { inflatePart } from './mariadb-compression.ts';
import { decodeQueryHead, queryOf } from './query-event.ts';
import { RowCounter } from './row-counter.ts';
import { decodeRowsHead, decodeRowsShape, type RowsHead } from './rows-event.ts';
import { decodeTableMap } from './table-map.ts';

/** What the events so far have said. */
export interface Context {
  name: string;
  sqlLimit: number;
  format: FormatContent | null;
  /** by their number in the log, which holds until the end of the statement */
  tables: Map<number, TableMapContent>;
}

/** The number that an event without rows has, where it only ends a statement. */
const NO_TABLE = 0xff_ffff;

/** Reads an event that is there as a whole, without its header and checksum. Throws Malformed. */
export function decodeBody(header: EventHeader, body: Buffer, context: Context): EventContent {
  const form = rowsFormOf(header.code);
  if (form !== undefined) return decodeRows(body, form, context);
  switch (header.code) {
    case CODE.rotate:
      return { type: 'rotate', next: body.subarray(8).toString('utf8') };
    case CODE.stop:
      return { type: 'stop' };
    case CODE.previousGtids:
      return decodePreviousGtids(body);
    case CODE.mariadbGtidList:
      return decodeMariadbGtidList(body);
    case CODE.gtid:
    case CODE.anonymousGtid:
      return decodeGtid(body, header.code === CODE.anonymousGtid);
    case CODE.taggedGtid:
      return decodeTaggedGtid(body);
    case CODE.mariadbGtid:
      return decodeMariadbGtid(body, header.serverId);
    case CODE.query:
    case CODE.executeLoadQuery:
    case CODE.mariadbQueryCompressed:
      return decodeQuery(header.code, body, context);
    case CODE.xid:
      return { type: 'xid' };
    case CODE.xaPrepare:
      return decodeXaPrepare(body);
    case CODE.tableMap: {
      const map = decodeTableMap(body);
      context.tables.set(map.tableId, map);
      return map;
    }
    case CODE.incident:
      return { type: 'incident', message: body.subarray(3).toString('utf8') };
    default:
      return otherOf(header.code);
  }
}

export const otherOf = (code: number): EventContent => ({
  type: isUnknown(code) ? 'unknown' : 'other',
  code,
});

function decodeQuery(code: number, body: Buffer, { sqlLimit }: Context): EventContent {
  const head = decodeQueryHead(body, code === CODE.executeLoadQuery);
  const part = body.subarray(head.sqlOffset);
  const sql = code === CODE.mariadbQueryCompressed ? inflatePart(part) : part;
  return queryOf(head, sql.subarray(0, sqlLimit), sql.length > sqlLimit);
}

function decodeXaPrepare(body: Buffer): EventContent {
  const fields = new Fields(body);
  const isOnePhase = fields.number(1) !== 0;
  const format = fields.number(4);
  const [globalLength, branchLength] = [fields.number(4), fields.number(4)];
  const [global, branch] = [fields.bytes(globalLength), fields.bytes(branchLength)];
  // As the servers' own statements name it: XA COMMIT X'67',X'',1
  const xid = `X'${global.toString('hex')}',X'${branch.toString('hex')}',${format}`;
  return { type: 'xa-prepare', xid, isOnePhase };
}

function decodeRows(body: Buffer, form: RowsForm, context: Context): RowsContent {
  const head = decodeRowsHead(body);
  const map = tableOf(head, context);
  if (map === null) return rowsOf(head, form, null, 0);
  const fields = new Fields(body);
  const shape = decodeRowsShape(fields, form);
  const rows = countOrNull(context, () => {
    const counter = RowCounter.of(shape, map.columns, form.isPartial);
    return counter?.push(form.isCompressed ? inflatePart(fields.rest()) : fields.rest()).end() ?? null;
  });
  return rowsOf(head, form, map, rows);
}

/** The table of rows; null: an event without rows. Forgets the tables at the end of their statement. */
export function tableOf(head: RowsHead, { tables }: Context): TableMapContent | null {
  const map = head.tableId === NO_TABLE ? null : tables.get(head.tableId);
  if (map === undefined) throw new Malformed('rows of an unknown table');
  if (head.isStatementEnd) tables.clear();
  return map;
}

export function rowsOf(
  { tableId, isStatementEnd }: RowsHead,
  { action }: RowsForm,
  map: TableName | null,
  rows: number | null,
): RowsContent {
  const table = map === null ? null : { db: map.db, table: map.table };
  return { type: 'rows', action, tableId, table, rows, isStatementEnd };
}

/**
 * Rows that do not fit their table are a damage where nothing else would tell it. Where checksums are right it is
 * this reader that does not know the server's form.
 */
export function countOrNull<T>(context: Context, count: () => T | null): T | null {
  try {
    return count();
  } catch (error) {
    if (error instanceof Malformed && context.format?.hasChecksums === true) return null;
    throw error;
  }
}
