import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import { numberOf } from '../../model/log-position.ts';
import type { Run } from '../../model/progress.ts';
import type {
  LogFacts,
  LogPlace,
  LogShipping,
  LogSurvey,
  ReadLogInput,
  ServerLog,
  SurveyInput,
} from '../contract/ship.ts';
import type { ClosedLog } from '../engine.ts';
import { summarizeLog } from './binlog/summarize-log.ts';
import { readClock } from './clock.ts';
import { type Connection, withConnection } from './connection.ts';
import { showBinlogStatus } from './flavour.ts';
import { readIdentity } from './inspect.ts';
import { openClosedLog, readHeadOfFile, WRONG_FOLDER } from './log-file.ts';
import { readRemoteHead, readRemoteLog } from './remote-log.ts';

/** Engine.logs: binary logs, which a server keeps for a while and gives to nobody. */
export const shipping: LogShipping = { survey, begunAt, read, summarize };

/** What `binlog_encryption` puts before a log's own bytes; through the server it is read without. */
const ENCRYPTION_BYTES = 512;

const AS = { applicationName: 'log watch' };

async function survey({ maxAgeMs, ...place }: SurveyInput, run: Run): Promise<LogSurvey> {
  return withConnection(
    place.access,
    run,
    async (connection) => {
      const systemIdentifier = await readIdentity(connection);
      const [before, at] = [await readLogs(connection), await readClock(connection)];
      const age = Date.parse(at) - (await begunOf(before.current, { ...place, systemIdentifier }, run));
      // Begun in the future: by a session that has set its own time.
      const switched = maxAgeMs !== null && (age >= maxAgeMs / 2 || age < 0);
      if (!switched) return { at, systemIdentifier, ...before, switched };
      await closeCurrent(connection);
      const after = await readLogs(connection);
      if (place.directory !== null) await requireOwnFolder(connection, place.directory, after.current, run);
      return { at, systemIdentifier, ...after, switched };
    },
    AS,
  );
}

/** Engine.closeLog. What commits from now on is in the next log. */
export async function closeLog(access: ServerAccess, run: Run): Promise<ClosedLog> {
  return withConnection(
    access,
    run,
    async (connection) => {
      const at = await readClock(connection);
      await closeCurrent(connection);
      const { closed } = await readLogs(connection);
      const last = closed.at(-1);
      if (last === undefined) throw new HoldfastError('ToolFailed', 'the server lists no closed log');
      // MySQL has no timelines: a server that took over is told by its identity and its GTIDs.
      return { at, position: `${last.name}:${last.sizeBytes}`, log: last.name, timeline: 1 };
    },
    AS,
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
  if (numberOf(status.File) === null) throw inEngine(status.File);
  const logs = await connection.query<{ Log_name: string; File_size: string | number }>('SHOW BINARY LOGS');
  const all = logs.map(({ Log_name, File_size }) => ({ name: Log_name, sizeBytes: Number(File_size) }));
  // One that was begun between the two answers is of the next round.
  const at = all.findIndex(({ name }) => name === status.File);
  const current = all[at];
  if (current === undefined)
    throw new HoldfastError('ToolFailed', `the server does not list its log ${status.File}`);
  return { closed: all.slice(0, at), current };
}

/** MariaDB 12.3 can keep its log in InnoDB, in files of another form and without positions (`binlog-000004.ibb`). */
function inEngine(log: string): HoldfastError {
  return new HoldfastError(
    'NotSupported',
    `the server's binary log ${log} is of a form that is not known here`,
    {
      hint: 'leave binlog_storage_engine out of its settings, so that it writes files as replicas of every version read them',
    },
  );
}

/** When this process learned of a log that it is only being written to, and when it was begun. */
const known = new Map<string, { log: string; at: number }>();

/** In milliseconds, by the log itself; asked once for each log, since each time is a program of its own. */
async function begunOf(
  log: ServerLog,
  { systemIdentifier, ...place }: LogPlace & { systemIdentifier: string },
  run: Run,
): Promise<number> {
  if (place.directory === null) {
    const before = known.get(systemIdentifier);
    if (before?.log === log.name) return before.at;
  }
  const at = Date.parse(await begunAt({ ...place, log }, run).catch(wrongFolder));
  known.set(systemIdentifier, { log: log.name, at });
  return at;
}

/** The log that a server writes now is there, or it is another folder. */
function wrongFolder(error: unknown): never {
  if (!(error instanceof HoldfastError && error.type === 'LogGap')) throw error;
  throw new HoldfastError(
    'InvalidConfiguration',
    error.message.replace(/ any more$/, ', and it is written now'),
    {
      hint: WRONG_FOLDER,
      cause: error,
    },
  );
}

/**
 * The log that was just begun is in the folder, and of this server: names and sizes of two idle servers' logs agree, so
 * that another one's folder would give logs, and not be noticed before a restore.
 */
async function requireOwnFolder(
  connection: Connection,
  directory: string,
  { name }: ServerLog,
  run: Run,
): Promise<void> {
  const head = await readHeadOfFile(directory, name, run).catch(wrongFolder);
  const [server] = await connection.query<{ id: string | number }>('SELECT @@GLOBAL.server_id AS id');
  if (head.serverId === Number(server?.id)) return;
  throw new HoldfastError(
    'InvalidConfiguration',
    `log ${name} in ${directory} was written by the server of server_id ${head.serverId}, and this one's is ${server?.id}`,
    { hint: WRONG_FOLDER },
  );
}

async function begunAt({ access, directory, log }: ReadLogInput, run: Run): Promise<string> {
  return directory === null
    ? readRemoteHead({ access, log: log.name }, run)
    : (await readHeadOfFile(directory, log.name, run)).begunAt;
}

async function read({ access, directory, log }: ReadLogInput, run: Run): Promise<Readable> {
  if (directory !== null) return openClosedLog(directory, log, run.signal);
  const own = await mkdtemp(join(tmpdir(), `holdfast-log-${process.pid}-`));
  const removed = () => rm(own, { recursive: true, force: true });
  try {
    await readRemoteLog({ access, log: log.name, directory: own }, run);
    const file = join(own, basename(log.name));
    const { size } = await stat(file);
    if (size < log.sizeBytes - ENCRYPTION_BYTES) {
      const message = `the server gave ${size} bytes of log ${log.name}, which has ${log.sizeBytes}`;
      throw new HoldfastError('ToolFailed', message);
    }
    const content = createReadStream(file, { signal: run.signal });
    content.once('close', () => void removed());
    return content;
  } catch (error) {
    await removed();
    throw error;
  }
}

async function summarize(content: AsyncIterable<Buffer>, run: Run): Promise<LogFacts> {
  const said = await summarizeLog(content, { signal: run.signal });
  const { previousGtids: before, gtids: after, transactions, textTransactions, incidents } = said;
  return {
    ...{ sizeBytes: said.bytes, sha256: said.sha256, serverVersion: said.serverVersion },
    ...{ createdAt: said.begunAt, lastAt: said.endedAt, committedAt: said.lastAt },
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
