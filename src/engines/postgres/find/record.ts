/** One line of `pg_waldump`, as far as the search for a transaction needs it. */
export type LogRecord = { xid: string; lsn: string } & (
  | { kind: 'row'; change: RowChange; node: string }
  /** pages copied whole into a file: a table or an index that is built anew */
  | { kind: 'pages'; node: string }
  | { kind: 'create'; node: string }
  /** exclusive locks, which a standby has to know of; of any transaction, not only the record's own */
  | { kind: 'lock'; locks: { xid: string; db: string; oid: string }[] }
  /** what was running at a checkpoint */
  | { kind: 'running'; oldestXid: string; nextXid: string }
  | { kind: 'commit'; of: string; at: string; ended: string[]; removed: string[]; droppedOids: string[] }
  | { kind: 'abort'; of: string; ended: string[] }
);

export type RowChange = 'deleted' | 'updated' | 'inserted';

/** The resource managers whose records {@link parseRecord} reads. */
export const RESOURCE_MANAGERS = ['Heap', 'Heap2', 'Transaction', 'Storage', 'Standby', 'XLOG'] as const;

const LINE =
  /^rmgr: (Heap2?|Transaction|Storage|Standby|XLOG) +len .*? tx: +(\d+), lsn: ([0-9A-F]+\/[0-9A-F]+), prev [0-9A-F/]+, desc: (.*)$/;
const ROW = /^(DELETE|UPDATE|HOT_UPDATE|INSERT|MULTI_INSERT)(?:\+INIT)? (.*?)blkref #0: rel (\d+\/\d+\/\d+) /;
const FLAGS = /flags:? 0x([0-9A-Fa-f]{2})/;
/** Of a delete that only takes back the reservation of an `ON CONFLICT`: no row was there for anybody. */
const IS_SPECULATIVE = 0x08;
/** Of a delete by an update that moves its row to another partition. */
const IS_MOVE = 0x10;

/** Null for what is no record, or tells nothing. The same for PostgreSQL 13 to 18. */
export function parseRecord(line: string): LogRecord | null {
  const parts = LINE.exec(line);
  if (parts === null) return null;
  const [, manager, xid = '', lsn = '', text = ''] = parts;
  const record = bodyOf(manager ?? '', xid, text);
  return record === null ? null : ({ xid, lsn: plainLsn(lsn), ...record } as LogRecord);
}

type Body<R = LogRecord> = R extends unknown ? Omit<R, 'xid' | 'lsn'> : never;

function bodyOf(manager: string, xid: string, text: string): Body | null {
  if (manager === 'Transaction') return endOf(xid, text);
  if (manager === 'Standby') return standbyOf(text);
  if (manager === 'Storage') {
    // Of a table that becomes unlogged, only the file that it is reset from is logged; it has the table's name.
    const path = /^CREATE (\S+?)(?:_init)?$/.exec(text.trim())?.[1];
    const place = path === undefined ? null : nodeOf(path);
    return place === null ? null : { kind: 'create', node: place };
  }
  if (manager === 'XLOG') {
    const node = /^FPI(?:_FOR_HINT)? .*?blkref #0: rel (\d+\/\d+\/\d+) (?!fork)/.exec(text)?.[1];
    return node === undefined ? null : { kind: 'pages', node };
  }
  const row = ROW.exec(text);
  if (row === null) return null;
  const [, verb = '', detail = '', node = ''] = row;
  if (verb.endsWith('INSERT')) return { kind: 'row', change: 'inserted', node };
  if (verb !== 'DELETE') return { kind: 'row', change: 'updated', node };
  const flags = Number.parseInt(FLAGS.exec(detail)?.[1] ?? '0', 16);
  if ((flags & IS_SPECULATIVE) !== 0) return null;
  return { kind: 'row', change: (flags & IS_MOVE) === 0 ? 'deleted' : 'updated', node };
}

function standbyOf(text: string): Body | null {
  if (text.startsWith('LOCK ')) {
    const locks = [...text.matchAll(/xid (\d+) db (\d+) rel (\d+)/g)].map((found) => {
      const [, xid = '', db = '', oid = ''] = found;
      return { xid, db, oid };
    });
    return { kind: 'lock', locks };
  }
  const running = /^RUNNING_XACTS nextXid (\d+) .*oldestRunningXid (\d+)/.exec(text);
  if (running === null) return null;
  return { kind: 'running', nextXid: running[1] as string, oldestXid: running[2] as string };
}

/** `COMMIT 2026-01-31 14:05:00.123456 UTC; rels: …; subxacts: …`, also of a prepared transaction. */
function endOf(xid: string, text: string): Body | null {
  const end =
    /^(COMMIT|ABORT)(?:_PREPARED (\d+):)? (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) UTC(.*)$/.exec(text);
  if (end === null) return null;
  const [, verb, prepared, day, clock, rest = ''] = end;
  const of = prepared ?? xid;
  const ended = [of, ...listOf(rest, 'subxacts')];
  if (verb === 'ABORT') return { kind: 'abort', of, ended };
  return {
    ...{ kind: 'commit', of, at: `${day}T${clock}Z`, ended },
    removed: listOf(rest, 'rels').flatMap((path) => nodeOf(path) ?? []),
    droppedOids: listOf(rest, 'dropped stats').flatMap((entry) => /^2\/\d+\/(\d+)$/.exec(entry)?.[1] ?? []),
  };
}

function listOf(text: string, name: string): string[] {
  const found = new RegExp(`; ${name}: ([^;]*)`).exec(text)?.[1] ?? '';
  return found.split(' ').filter((entry) => entry !== '');
}

/** The default tablespace of every server. */
const DEFAULT_TABLESPACE = '1663';

/** `base/5/16384` or `pg_tblspc/16500/PG_15_202209061/5/16384` as `tablespace/db/node`; null: not a main file. */
function nodeOf(path: string): string | null {
  const own = /^base\/(\d+)\/(\d+)$/.exec(path);
  if (own !== null) return `${DEFAULT_TABLESPACE}/${own[1]}/${own[2]}`;
  const space = /^pg_tblspc\/(\d+)\/[^/]+\/(\d+)\/(\d+)$/.exec(path);
  return space === null ? null : `${space[1]}/${space[2]}/${space[3]}`;
}

/** pg_waldump pads the second half with zeros; targets and catalogs do not. */
function plainLsn(lsn: string): string {
  return lsn.replace(/\/0*(?=[0-9A-F])/, '/');
}
