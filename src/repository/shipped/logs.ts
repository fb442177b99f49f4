import { createHash } from 'node:crypto';
import { pipeline, Readable, Transform } from 'node:stream';
import { createZstdDecompress } from 'node:zlib';
import type { LogFacts, ShippedContent } from '../../engines/contract/ship.ts';
import type { StoredObject } from '../../model/backup.ts';
import { HoldfastError } from '../../model/failure.ts';
import { mapBounded } from '../bounded.ts';
import { dumpedContent } from '../dumped-content.ts';
import { heartbeatFolder, logFolder, shippedFolder } from '../layout.ts';
import type { ListedVersion, Repository } from '../repository.ts';
import { inVersion } from '../stacks.ts';
import { parseRecordKey, recordKey, type ShippedLog } from './name.ts';

/** What a shipped log's record holds: written last, it is what makes the log one. */
export interface LogRecord extends LogFacts {
  formatVersion: 1;
  database: string;
  lineage: string;
  /** as the server calls it */
  name: string;
  /** its content, zstd, in order */
  objects: StoredObject[];
  lockedUntil: string | null;
  shippedAt: string;
}

const READS_AT_ONCE = 16;

/** Every shipped log of a database, by listing alone, in no order. */
export async function listShippedLogs(
  repository: Repository,
  database: string,
  { signal }: { signal?: AbortSignal } = {},
): Promise<ShippedLog[]> {
  const root = logFolder(database);
  const heartbeats = heartbeatFolder(database);
  const found: ShippedLog[] = [];
  for await (const { key, lastModified } of repository.list(root, signal)) {
    if (key.startsWith(heartbeats)) continue;
    const log = parseRecordKey(root, key);
    if (log !== null) found.push({ ...log, shippedAt: lastModified });
  }
  return found;
}

/**
 * Writes a log's record; where another attempt was first, its record stays. `times`: of the log as they can be true,
 * whatever a session's own time has made of them.
 */
export async function writeLogRecord(
  repository: Repository,
  record: LogRecord,
  times: Pick<LogFacts, 'createdAt' | 'lastAt'>,
): Promise<string> {
  const { database, lineage, name, gtids } = record;
  const key = recordKey({ database, lineage, log: name }, { ...times, gtids });
  await repository.create(key, `${JSON.stringify(record, null, 2)}\n`, {
    contentType: 'application/json',
    lockedUntil: record.lockedUntil,
  });
  return key;
}

/** Throws BackupUnusable where it is gone, or none. */
export async function readLogRecord(
  repository: Repository,
  log: Pick<ShippedLog, 'key' | 'name'>,
  signal?: AbortSignal,
): Promise<LogRecord> {
  const versions: ListedVersion[] = [];
  for await (const version of repository.versions(log.key, signal)) {
    if (version.key === log.key) versions.push(version);
  }
  const first = await firstRecord(repository, versions, signal);
  if (first !== null) return first.record;
  throw new HoldfastError('BackupUnusable', `the record of log ${log.name} cannot be read`, {
    hint: 'holdfast repository audit tells what is damaged, holdfast repository repair puts good versions back',
  });
}

/** Of the versions of one key, newest first. A record is written once: whatever is newer than the first that is one is none. */
export async function firstRecord(
  repository: Repository,
  versions: readonly ListedVersion[],
  signal?: AbortSignal,
): Promise<{ record: LogRecord; version: ListedVersion } | null> {
  for (const version of versions.toReversed()) {
    if (version.isDeleteMarker) continue;
    const record = parseLogRecord(await repository.getText(inVersion(version), signal), version.key);
    if (record !== null) return { record, version };
  }
  return null;
}

/** Null for what is no record, one of a newer Holdfast, or that of another log. */
export function parseLogRecord(text: string | null, key: string): LogRecord | null {
  try {
    const value = JSON.parse(text ?? 'null') as Partial<LogRecord> | null;
    if (value?.formatVersion !== 1) return null;
    const { database, lineage, name } = value as LogRecord;
    return key.startsWith(shippedFolder(database, lineage, name)) ? (value as LogRecord) : null;
  } catch {
    return null;
  }
}

export function readLogRecords(
  repository: Repository,
  logs: readonly ShippedLog[],
  signal?: AbortSignal,
): Promise<LogRecord[]> {
  return mapBounded(logs, READS_AT_ONCE, (log) => readLogRecord(repository, log, signal));
}

/** Its content, for engines. */
export function shippedContent(repository: Pick<Repository, 'stream'>, record: LogRecord): ShippedContent {
  const { name, sizeBytes } = record;
  return {
    ...{ name, sizeBytes },
    open(signal) {
      const content: Readable = dumpedContent(repository, record.objects, signal);
      const whole = compared(record);
      // The reader sees a failure as the stream's own error; an abort ends the content's stream.
      pipeline(content, createZstdDecompress(), whole, () => {});
      return Readable.from(unpacked(whole, record), { objectMode: false });
    },
  };
}

/** What cannot even be unpacked is not what was shipped either. */
async function* unpacked(content: Readable, record: LogRecord): AsyncGenerator<Buffer, void> {
  try {
    yield* content as AsyncIterable<Buffer>;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw /^(ZSTD_|Z_|ERR_ZSTD)/.test(code ?? '') ? changed(record) : error;
  }
}

const changed = ({ name }: LogRecord): HoldfastError =>
  new HoldfastError('ChecksumMismatch', `log ${name} is not what was shipped: its sha256 differs`, {
    hint: 'recover to a moment before it, and look for who wrote to the repository',
  });

/** Ends with an error where the content is not what the record says. */
function compared(record: LogRecord): Transform {
  const { sizeBytes, sha256 } = record;
  const hash = createHash('sha256');
  let seen = 0;
  return new Transform({
    transform(piece: Buffer, _, done) {
      hash.update(piece);
      seen += piece.length;
      done(null, piece);
    },
    flush(done) {
      if (seen === sizeBytes && hash.digest('hex') === sha256) return done();
      done(changed(record));
    },
  });
}
