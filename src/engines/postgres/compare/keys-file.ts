import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { HoldfastError } from '../../../model/failure.ts';
import { decodeField, encodeField } from './key-order.ts';
import { linesOf } from './line-window.ts';

/**
 * The keys of a comparison on disk. `<file>`: a line of COPY text for each row that comes back, in key order.
 * `<file>.left`: first the key's column names, then each row that cannot come back behind `orphan` or `clash`.
 */
export interface KeyBatch {
  lines: string[];
  /** per key column the values as text, in the order of the lines */
  columns: string[][];
}

/** The keys that `insert-missing` brings back, in the folder of a table's comparison. */
export const keysFileOf = (folder: string): string => join(folder, 'insert-missing');
export const leftFile = (keysFile: string): string => `${keysFile}.left`;

const PIECE_BYTES = 1 << 17;

/** Writes lines in larger pieces. Keys are data: nobody but the worker reads the file. */
export class LineWriter {
  private readonly stream: WriteStream;
  private failure: Error | null = null;
  private piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  private filled = 0;

  constructor(path: string) {
    this.stream = createWriteStream(path, { flags: 'wx', mode: 0o600, highWaterMark: 1 << 20 });
    this.stream.on('error', (error) => {
      this.failure = error;
    });
  }

  /** Whole lines with their newlines. A promise only where the disk is behind and has to be waited for. */
  write(lines: Buffer): Promise<void> | undefined {
    if (this.filled + lines.length <= PIECE_BYTES) {
      this.filled += lines.copy(this.piece, this.filled);
      return undefined;
    }
    const ready = this.flush();
    if (lines.length > PIECE_BYTES) return this.send(lines) && ready ? undefined : this.drained();
    this.filled = lines.copy(this.piece);
    return ready ? undefined : this.drained();
  }

  async close(): Promise<void> {
    this.flush();
    if (this.failure !== null) throw this.failure;
    this.stream.end();
    await finished(this.stream);
  }

  private flush(): boolean {
    if (this.filled === 0) return true;
    const ready = this.send(this.piece.subarray(0, this.filled));
    this.piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
    this.filled = 0;
    return ready;
  }

  private send(content: Buffer): boolean {
    if (this.failure !== null) throw this.failure;
    return this.stream.write(content);
  }

  private async drained(): Promise<void> {
    if (this.failure !== null) throw this.failure;
    if (this.stream.writableNeedDrain) await once(this.stream, 'drain');
  }
}

export async function* keyBatches(keysFile: string, width: number, size: number): AsyncGenerator<KeyBatch> {
  let batch: KeyBatch = emptyBatch(width);
  for await (const line of linesOf(createReadStream(keysFile, { highWaterMark: 1 << 18 }))) {
    batch.lines.push(line);
    const fields = line.split('\t');
    for (const [index, column] of batch.columns.entries()) column.push(decodeField(fields[index] ?? ''));
    if (batch.lines.length < size) continue;
    yield batch;
    batch = emptyBatch(width);
  }
  if (batch.lines.length > 0) yield batch;
}

function emptyBatch(width: number): KeyBatch {
  return { lines: [], columns: Array.from({ length: width }, () => []) };
}

/** The line that stands for these key values: the same as the server's COPY writes. */
export function keyLine(values: readonly string[]): string {
  return values.map(encodeField).join('\t');
}

export interface LeavingRows {
  orphans: ReadonlySet<string>;
  clashes: ReadonlySet<string>;
}

/** Parts the missing rows into those that come back and those that cannot, and closes both with one digest. */
export async function splitMissing(
  missingFile: string,
  keysFile: string,
  key: readonly string[],
  leaving: LeavingRows,
): Promise<{ inserts: number; keysSha256: string }> {
  const keys = new LineWriter(keysFile);
  const left = new LineWriter(leftFile(keysFile));
  await left.write(Buffer.from(`${keyLine(key)}\n`));
  let inserts = 0;
  for await (const line of linesOf(createReadStream(missingFile))) {
    const text = Buffer.from(`${line}\n`);
    if (leaving.clashes.has(line)) await left.write(Buffer.concat([Buffer.from('clash\t'), text]));
    else if (leaving.orphans.has(line)) await left.write(Buffer.concat([Buffer.from('orphan\t'), text]));
    else {
      inserts += 1;
      const written = keys.write(text);
      if (written !== undefined) await written;
    }
  }
  await Promise.all([keys.close(), left.close()]);
  return { inserts, keysSha256: await keysDigest(keysFile) };
}

/** sha256 over the rows that come back and those that are left out. */
export async function keysDigest(keysFile: string): Promise<string> {
  const total = createHash('sha256');
  for (const path of [keysFile, leftFile(keysFile)]) {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    total.update(hash.digest());
  }
  return total.digest('hex');
}

/** Throws ChecksumMismatch unless the file holds what was approved, and InstanceLost where it is gone. */
export async function checkKeysFile(
  table: string,
  keysFile: string,
  keysSha256: string,
): Promise<{ key: string[] }> {
  const digest = await keysDigest(keysFile).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new HoldfastError(
      'InstanceLost',
      `the list of approved rows of ${table} is gone with its instance`,
      {
        hint: 'start the recovery again: the plan is made anew',
      },
    );
  });
  if (digest !== keysSha256) {
    throw new HoldfastError(
      'ChecksumMismatch',
      `the list of approved rows of ${table} is not what was approved`,
      {
        hint: 'start the recovery again: somebody or something changed a file of the instance',
      },
    );
  }
  for await (const line of linesOf(createReadStream(leftFile(keysFile)))) {
    return { key: line.split('\t').map(decodeField) };
  }
  throw new HoldfastError('ChecksumMismatch', `the list of approved rows of ${table} is empty`);
}
