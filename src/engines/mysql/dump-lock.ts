import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerAccess } from '../../model/access.ts';
import type { LogPositions } from '../../model/backup.ts';
import { HoldfastError } from '../../model/failure.ts';
import { numberOf } from '../../model/log-position.ts';
import type { Run } from '../../model/progress.ts';
import { readClock } from './clock.ts';
import { type Connection, connect } from './connection.ts';
import { refusalOf } from './error.ts';
import { takeSnapshot } from './fingerprint.ts';
import { showBinlogStatus } from './flavour.ts';

/** How long writes may have to wait for us at most, twice: until the lock is had, and until the dump has begun. */
const LOCK_LIMIT_MS = 5_000;
/** A statement that runs for longer would keep the lock waiting, and others behind it. */
const LONG_SECONDS = 2;
const LONG_PATIENCE_MS = 60_000;

/** A moment at which a server stands still: sessions that all see it, and where it is in the log. */
export interface StandStill {
  /** in a transaction each; where there was no lock, of a moment of its own */
  sessions: Connection[];
  positions: LogPositions;
  /** false: without the right to the lock the dump has another moment than the sessions */
  aligned: boolean;
  notices: string[];
  /** lets writes go on, once the dump has begun; done already is success. Throws BackupFailed where the server moved */
  release(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Stops all writes for a moment, with FLUSH TABLES WITH READ LOCK, so that several sessions begin with the same snapshot at
 * a known position. Never at production's cost: MySQL's waits for every running statement, and what comes later on the
 * same tables waits behind it even after it has been given up (measured on 8.0.31), so it is not tried while a statement
 * runs for long. Throws LockNotAvailable.
 */
export async function standStill(
  access: ServerAccess,
  sessions: number,
  patienceMs: number | undefined,
  run: Run,
): Promise<StandStill> {
  const opened: Connection[] = [];
  const close = () => Promise.all(opened.map((one) => one.close())).then(() => {});
  try {
    const lock = await connect(access, run, { applicationName: 'dump lock', lockTimeoutMs: LOCK_LIMIT_MS });
    opened.push(lock);
    const readers: Connection[] = [];
    for (let index = 0; index < sessions; index += 1) {
      readers.push(await connect(access, run, { applicationName: 'fingerprint', readOnly: true }));
    }
    opened.push(...readers);
    const notices: string[] = [];
    await noLongStatement(lock, patienceMs ?? LONG_PATIENCE_MS, run);
    const aligned = await takeLock(lock);
    const positions = aligned ? await readPositions(lock, notices) : NO_POSITIONS;
    if (!aligned) {
      notices.push(
        'no moment of the backup is known in the log, and its rows were counted at another moment: grant the user RELOAD, and REPLICATION CLIENT (MariaDB: BINLOG MONITOR)',
      );
    }
    for (const reader of readers) await takeSnapshot(reader);
    let held = aligned;
    const release = async () => {
      if (!held) return;
      held = false;
      const now = await readPositions(lock, []);
      await lock.query('UNLOCK TABLES');
      if (now.stop === positions.stop && now.gtid === positions.gtid) return;
      throw new HoldfastError('BackupFailed', 'the server went on writing under its read lock', {
        hint: 'it is tried again; replication that writes to this server has to stop at FLUSH TABLES WITH READ LOCK',
      });
    };
    return { sessions: readers, positions, aligned, notices, release, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const NO_POSITIONS: LogPositions = {
  ...{ timeline: null, start: null, stop: null, startLog: null, stopLog: null, gtid: null },
};

/** Of what others run only those who may see it know (PROCESS); without the right it is not waited for. */
async function noLongStatement(lock: Connection, patienceMs: number, run: Run): Promise<void> {
  // MariaDB's lock waits for what writes alone (measured on 10.11).
  const reads = lock.server.flavour === 'mariadb' ? "AND INFO NOT LIKE 'SELECT%'" : '';
  const until = Date.now() + patienceMs;
  while (true) {
    const [found] = await lock.query<{ id: string; seconds: string }>(
      `SELECT ID AS id, TIME AS seconds FROM information_schema.PROCESSLIST
        WHERE COMMAND IN ('Query', 'Execute') AND TIME >= ${LONG_SECONDS} AND INFO IS NOT NULL ${reads}
          AND USER NOT IN ('system user', 'event_scheduler') AND ID <> CONNECTION_ID() ORDER BY TIME DESC LIMIT 1`,
    );
    if (found === undefined) return;
    if (Date.now() >= until) {
      throw new HoldfastError(
        'LockNotAvailable',
        `session ${found.id} has been running a statement for ${found.seconds} s: a lock would wait for it, and writes behind the lock`,
        {
          hint: 'it is tried again; take backups at another time than long queries, or end that one (KILL QUERY)',
        },
      );
    }
    run.progress({ phase: 'waiting for a long statement to end', detail: `of session ${found.id}` });
    await sleep(500, undefined, { signal: run.signal });
  }
}

/** False where the user has no right to it, or a managed server gives it to nobody. */
async function takeLock(lock: Connection): Promise<boolean> {
  try {
    await lock.query('FLUSH TABLES WITH READ LOCK');
    return true;
  } catch (error) {
    const { type } = error as { type?: string };
    if (type === 'PermissionDenied' || type === 'AuthenticationFailed') return false;
    if (refusalOf(error) !== 1205) throw error;
    throw new HoldfastError(
      'LockNotAvailable',
      `the server could not stand still within ${LOCK_LIMIT_MS / 1000} s: a statement or transaction holds a table`,
      {
        hint: 'it is tried again; see SHOW PROCESSLIST for what runs for long, and take backups at another time',
        cause: error,
      },
    );
  }
}

/** Where the log is; without one, or without the right to know, no base for a recovery to a point. */
async function readPositions(lock: Connection, notices: string[]): Promise<LogPositions> {
  let row: { File?: string; Position?: string | number } | undefined;
  try {
    [row] = await lock.query(showBinlogStatus(lock.server));
  } catch (error) {
    if ((error as { type?: string }).type !== 'PermissionDenied') throw error;
    notices.push(
      'no moment of the backup is known in the log: grant the user REPLICATION CLIENT (MariaDB: BINLOG MONITOR)',
    );
    return NO_POSITIONS;
  }
  if (row?.File === undefined) {
    notices.push(
      'the server writes no binary log: it can be recovered to its backups, and to no moment between them',
    );
    return NO_POSITIONS;
  }
  if (numberOf(row.File) === null) {
    notices.push(
      `the server's binary log ${row.File} is of a form that is not known here (binlog_storage_engine): it can be recovered to its backups, and to no moment between them`,
    );
    return NO_POSITIONS;
  }
  const at = `${row.File}:${row.Position}`;
  return {
    timeline: null,
    start: at,
    stop: at,
    startLog: row.File,
    stopLog: row.File,
    gtid: await readGtids(lock),
    at: await readClock(lock),
  };
}

/** Every transaction in the log and the snapshot; null: the server gives them no names. */
async function readGtids(lock: Connection): Promise<string | null> {
  if (lock.server.flavour === 'mariadb') {
    const [row] = await lock.query<{ gtids: string }>('SELECT @@GLOBAL.gtid_binlog_pos AS gtids');
    return row?.gtids ?? null;
  }
  const [row] = await lock.query<{ mode: string; gtids: string }>(
    'SELECT @@GLOBAL.gtid_mode AS mode, @@GLOBAL.gtid_executed AS gtids',
  );
  return row === undefined || row.mode === 'OFF' ? null : row.gtids.replace(/\s+/g, '');
}
