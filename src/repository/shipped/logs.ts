import { createHash } from 'node:crypto';
import { PassThrough, pipeline, type Readable, Transform } from 'node:stream';
import { createZstdDecompress } from 'node:zlib';
import type { LogFacts, ShippedContent } from '../../engines/contract/ship.ts';
import type { StoredObject } from '../../model/backup.ts';
import { HoldfastError } from '../../model/failure.ts';
import { mapBounded } from '../bounded.ts';
import { dumpedContent } from '../dumped-content.ts';
import { heartbeatFolder, logFolder, shippedFolder } from '../layout.ts';
import type { Repository } from '../repository.ts';
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

/** Every shipped log of a database, by listing alone, in no order across lineages; `after`: a log, those behind it alone. */
export async function listShippedLogs(
  repository: Repository,
  database: string,
  options: { signal?: AbortSignal; after?: Pick<ShippedLog, 'lineage' | 'name'> } = {},
): Promise<ShippedLog[]> {
  const { signal, after } = options;
  const root = logFolder(database);
  const heartbeats = heartbeatFolder(database);
  // A tilde comes behind every key of the log's own folder.
  const behind = after === undefined ? undefined : `${shippedFolder(database, after.lineage, after.name)}~`;
  const folder = after === undefined ? root : shippedFolder(database, after.lineage);
  const found: ShippedLog[] = [];
  for await (const { key, lastModified } of repository.list(folder, signal, behind)) {
    if (key.startsWith(heartbeats)) continue;
    const log = parseRecordKey(root, key);
    if (log !== null) found.push({ ...log, shippedAt: lastModified });
  }
  return found;
}

/** Writes a log's record; where another attempt was first, its record stays. */
export async function writeLogRecord(repository: Repository, record: LogRecord): Promise<string> {
  const key = recordKey({ database: record.database, lineage: record.lineage, log: record.name }, record);
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
  const record = await repository.getJson<LogRecord>(log.key, signal);
  if (record?.formatVersion === 1) return record;
  throw new HoldfastError('BackupUnusable', `the record of log ${log.name} cannot be read`, {
    hint: 'holdfast repository audit tells what is damaged, holdfast repository repair puts good versions back',
  });
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
      const whole = new PassThrough();
      // The reader sees a failure as the stream's own error; an abort ends the content's stream.
      pipeline(content, createZstdDecompress(), compared(record), whole, () => {});
      return whole;
    },
  };
}

/** Ends with an error where the content is not what the record says. */
function compared({ name, sizeBytes, sha256 }: LogRecord): Transform {
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
      done(
        new HoldfastError('ChecksumMismatch', `log ${name} is not what was shipped: its sha256 differs`, {
          hint: 'recover to a moment before it, and look for who wrote to the repository',
        }),
      );
    },
  });
}
