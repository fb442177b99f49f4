/**
 * Numbers of the events that are looked at. Sources: `Log_event_type` of MySQL's libs/mysql/binlog/event/binlog_event.h,
 * from 160 on of MariaDB's sql/log_event.h.
 */
export const CODE = {
  query: 2,
  stop: 3,
  rotate: 4,
  format: 15,
  xid: 16,
  executeLoadQuery: 18,
  tableMap: 19,
  writeRowsV1: 23,
  updateRowsV1: 24,
  deleteRowsV1: 25,
  incident: 26,
  writeRows: 30,
  updateRows: 31,
  deleteRows: 32,
  gtid: 33,
  anonymousGtid: 34,
  previousGtids: 35,
  xaPrepare: 38,
  partialUpdateRows: 39,
  transactionPayload: 40,
  taggedGtid: 42,
  mariadbGtid: 162,
  mariadbGtidList: 163,
  mariadbStartEncryption: 164,
  mariadbQueryCompressed: 165,
  mariadbWriteRowsCompressedV1: 166,
  mariadbUpdateRowsCompressedV1: 167,
  mariadbDeleteRowsCompressedV1: 168,
  mariadbWriteRowsCompressed: 169,
  mariadbUpdateRowsCompressed: 170,
  mariadbDeleteRowsCompressed: 171,
} as const;

/** Events of servers that are newer than this reader, such as rows in fragments of MariaDB 12.3: they may hold changes. */
export function isUnknown(code: number): boolean {
  const isMariadb = code >= 160;
  return code > (isMariadb ? CODE.mariadbDeleteRowsCompressed : CODE.taggedGtid);
}

export interface RowsForm {
  action: 'insert' | 'update' | 'delete';
  /** 2: the header has a part of variable length */
  version: 1 | 2;
  isCompressed: boolean;
  /** JSON columns of the new row may hold changes only (binlog_row_value_options=PARTIAL_JSON) */
  isPartial: boolean;
}

const ROWS: ReadonlyMap<number, RowsForm> = new Map([
  [CODE.writeRowsV1, form('insert', 1)],
  [CODE.updateRowsV1, form('update', 1)],
  [CODE.deleteRowsV1, form('delete', 1)],
  [CODE.writeRows, form('insert', 2)],
  [CODE.updateRows, form('update', 2)],
  [CODE.deleteRows, form('delete', 2)],
  [CODE.partialUpdateRows, { ...form('update', 2), isPartial: true }],
  [CODE.mariadbWriteRowsCompressedV1, { ...form('insert', 1), isCompressed: true }],
  [CODE.mariadbUpdateRowsCompressedV1, { ...form('update', 1), isCompressed: true }],
  [CODE.mariadbDeleteRowsCompressedV1, { ...form('delete', 1), isCompressed: true }],
  [CODE.mariadbWriteRowsCompressed, { ...form('insert', 2), isCompressed: true }],
  [CODE.mariadbUpdateRowsCompressed, { ...form('update', 2), isCompressed: true }],
  [CODE.mariadbDeleteRowsCompressed, { ...form('delete', 2), isCompressed: true }],
]);

function form(action: RowsForm['action'], version: RowsForm['version']): RowsForm {
  return { action, version, isCompressed: false, isPartial: false };
}

/** How an event with rows is to be read; undefined: it is no such event. */
export function rowsFormOf(code: number): RowsForm | undefined {
  return ROWS.get(code);
}
