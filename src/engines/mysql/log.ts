import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type {
  LogFacts,
  LogShipping,
  LogSurvey,
  ReadLogInput,
  ServerLog,
  SurveyInput,
} from '../contract/ship.ts';
import type { ClosedLog } from '../engine.ts';
import { readLogHead, summarizeLog } from './binlog/summarize-log.ts';
import { type Connection, withConnection } from './connection.ts';
import { showBinlogStatus } from './flavour.ts';
import { readIdentity } from './inspect.ts';
import { readRemoteLog } from './remote-log.ts';

/** Engine.logs: binary logs, which a server keeps for a while and gives to nobody. */
export const shipping: LogShipping = { survey, read, summarize };

/** When this process saw a log for the first time that it can only ask the server about. */
const firstSeen = new Map<string, { log: string; at: number }>();

async function survey({ access, directory, maxAgeMs }: SurveyInput, run: Run): Promise<LogSurvey> {
  return withConnection(
    access,
    run,
    async (connection) => {
      const systemIdentifier = await readIdentity(connection);
      const [before, at] = [await readLogs(connection), await readClock(connection)];
      const begun = await begunAt(before.current, { directory, systemIdentifier });
      const switched = maxAgeMs !== null && Date.parse(at) - begun >= maxAgeMs / 2;
      if (switched) await closeCurrent(connection);
      const { closed, current } = switched ? await readLogs(connection) : before;
      return { at, systemIdentifier, closed, current, switched, keptMs: await readRetention(connection) };
    },
    { applicationName: 'log watch' },
  );
}

/** Engine.closeLog. What commits from now on is in the next log. */
export async function closeLog(access: ServerAccess, run: Run): Promise<ClosedLog> {
  return withConnection(
    access,
    run,
    async (connection) => {
      const at = await readClock(connection);
      const { current } = await readLogs(connection);
      await closeCurrent(connection);
      // MySQL has no timelines: a server that took over is told by its identity and its GTIDs.
      return { at, position: `${current.name}:${current.sizeBytes}`, log: current.name, timeline: 1 };
    },
    { applicationName: 'log watch' },
  );
}

/** Not written to the binary log itself, so that no replica does it too (MySQL: FLUSH Statement). */
async function closeCurrent(connection: Connection): Promise<void> {
  await connection.query('FLUSH NO_WRITE_TO_BINLOG BINARY LOGS');
}

async function readLogs(connection: Connection): Promise<{ closed: ServerLog[]; current: ServerLog }> {
  const [status] = await connection.query<{ File: string }>(showBinlogStatus(connection.server));
  if (status === undefined) {
    throw new HoldfastError('NotSupported', 'the server writes no binary log (log_bin is off)', {
      hint: 'switch log_bin on and start the server again, or switch tiers.log off in the configuration',
    });
  }
  const logs = await connection.query<{ Log_name: string; File_size: string | number }>('SHOW BINARY LOGS');
  const all = logs.map(({ Log_name, File_size }) => ({ name: Log_name, sizeBytes: Number(File_size) }));
  // One that was begun between the two answers is of the next round.
  const at = all.findIndex(({ name }) => name === status.File);
  const current = all[at];
  if (current === undefined)
    throw new HoldfastError('ToolFailed', `the server does not list its log ${status.File}`);
  return { closed: all.slice(0, at), current };
}

async function readClock(connection: Connection): Promise<string> {
  const [row] = await connection.query<{ at: string }>(
    "SELECT DATE_FORMAT(UTC_TIMESTAMP(3), '%Y-%m-%dT%H:%i:%s.%f') AS at",
  );
  return `${row?.at.slice(0, 23)}Z`;
}

/** In milliseconds: by the log itself, or as long as this process has known it. */
async function begunAt(
  log: ServerLog,
  { directory, systemIdentifier }: { directory: string | null; systemIdentifier: string },
): Promise<number> {
  if (directory !== null) return Date.parse((await readLogHead(openFile(directory, log))).begunAt);
  const known = firstSeen.get(systemIdentifier);
  if (known?.log === log.name) return known.at;
  const at = Date.now();
  firstSeen.set(systemIdentifier, { log: log.name, at });
  return at;
}

/** How long the server keeps closed logs; null: for ever. */
async function readRetention(connection: Connection): Promise<number | null> {
  const [row] = await connection.query<{ Value: string }>(
    "SHOW GLOBAL VARIABLES WHERE Variable_name = 'binlog_expire_logs_seconds'",
  );
  const seconds = Number(row?.Value ?? 0);
  return seconds === 0 ? null : seconds * 1_000;
}

async function read({ access, directory, log }: ReadLogInput, run: Run): Promise<Readable> {
  if (directory !== null) {
    const { size } = await stat(pathOf(directory, log)).catch((error: unknown) => {
      throw fileError(error, directory, log);
    });
    if (size === log.sizeBytes) return openFile(directory, log, run.signal);
    throw new HoldfastError(
      'BackupUnusable',
      `log ${log.name} has ${size} bytes, and its server says ${log.sizeBytes}`,
      {
        hint: "mysql.logDirectory has to be the folder of this server's own binary logs",
      },
    );
  }
  const directoryForOne = await mkdtemp(join(tmpdir(), 'holdfast-log-'));
  const removed = () => rm(directoryForOne, { recursive: true, force: true });
  try {
    await readRemoteLog({ access, log: log.name, directory: directoryForOne }, run);
    const content = openFile(directoryForOne, log, run.signal);
    content.once('close', () => void removed());
    return content;
  } catch (error) {
    await removed();
    throw error;
  }
}

/** Names are the server's: one with a path in it is none of a log. */
const pathOf = (directory: string, { name }: ServerLog): string => join(directory, basename(name));

const openFile = (directory: string, log: ServerLog, signal?: AbortSignal) =>
  createReadStream(pathOf(directory, log), signal === undefined ? {} : { signal });

function fileError(error: unknown, directory: string, { name }: ServerLog): HoldfastError {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
  if (code === 'ENOENT') {
    return new HoldfastError('LogGap', `log ${name} is not in ${directory} any more`, {
      hint: 'keep binary logs longer on the server (binlog_expire_logs_seconds) than they take to be shipped',
    });
  }
  return new HoldfastError('PermissionDenied', `log ${name} in ${directory} cannot be read (${code})`, {
    hint: "let the worker's user read the folder of mysql.logDirectory, or leave it out: logs are then read through the server",
  });
}

async function summarize(content: AsyncIterable<Buffer>, run: Run): Promise<LogFacts> {
  const {
    bytes,
    sha256,
    serverVersion,
    begunAt: createdAt,
    endedAt: lastAt,
    ...said
  } = await summarizeLog(content, { signal: run.signal });
  const { previousGtids: before, gtids: after, transactions, textTransactions, incidents } = said;
  return {
    ...{ sizeBytes: bytes, sha256, serverVersion, createdAt, lastAt },
    gtids: before === '' && after === '' ? null : { before, after },
    next: said.nextName,
    transactions,
    notices: [
      ...(textTransactions > 0
        ? [`${textTransactions} of ${transactions} transactions are statements, not rows (binlog_format)`]
        : []),
      ...(incidents > 0 ? [`the server says that it could not log everything (${incidents} incidents)`] : []),
    ],
  };
}
