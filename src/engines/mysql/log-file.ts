import { type FileHandle, open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { HoldfastError } from '../../model/failure.ts';
import type { ServerLog } from '../contract/ship.ts';
import { readEvents } from './binlog/read-events.ts';

export const WRONG_FOLDER =
  "mysql.logDirectory has to be the folder of this server's own binary logs, as SELECT @@log_bin_basename says it; left out, logs are read through the server";

/** A closed log in its server's folder. Throws LogGap, PermissionDenied; BackupUnusable where it is another server's. */
export async function openClosedLog(
  directory: string,
  log: ServerLog,
  signal: AbortSignal,
): Promise<Readable> {
  const file = await openLog(directory, log.name);
  const { size } = await file.stat();
  if (size === log.sizeBytes) return file.createReadStream({ signal });
  await file.close();
  throw new HoldfastError(
    'BackupUnusable',
    `log ${log.name} has ${size} bytes in ${directory}, and its server says ${log.sizeBytes}`,
    { hint: WRONG_FOLDER },
  );
}

export interface LogHead {
  /** ISO 8601, whole seconds */
  begunAt: string;
  /** of the server that wrote it */
  serverId: number;
}

/** What the first event of a log in its server's folder says. Throws LogGap, PermissionDenied, BackupUnusable. */
export async function readHeadOfFile(
  directory: string,
  name: string,
  { signal }: { signal: AbortSignal },
): Promise<LogHead> {
  const file = await openLog(directory, name);
  const content = file.createReadStream();
  try {
    for await (const { timestamp, serverId } of readEvents(content, { signal, name })) {
      return { begunAt: new Date(timestamp * 1_000).toISOString(), serverId };
    }
  } finally {
    content.destroy();
  }
  throw new HoldfastError('BackupUnusable', `log ${name} in ${directory} has no event`, {
    hint: WRONG_FOLDER,
  });
}

/** Names are the server's: one with a path in it is none of a log. */
async function openLog(directory: string, name: string): Promise<FileHandle> {
  try {
    return await open(join(directory, basename(name)), 'r');
  } catch (error) {
    throw fileError(error, directory, name);
  }
}

/** A log that its server has removed, before it was shipped. */
export const goneFrom = (where: string, log: string): HoldfastError =>
  new HoldfastError('LogGap', `log ${log} is not ${where} any more`, {
    hint: 'keep binary logs longer on the server (binlog_expire_logs_seconds) than they take to be shipped',
  });

function fileError(error: unknown, directory: string, name: string): HoldfastError {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return goneFrom(`in ${directory}`, name);
  }
  return new HoldfastError('PermissionDenied', `log ${name} in ${directory} cannot be read (${code})`, {
    hint: "let the worker's user read the folder of mysql.logDirectory, or leave it out: logs are then read through the server",
  });
}
