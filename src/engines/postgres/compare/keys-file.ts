import { once } from 'node:events';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { decodeField, encodeField } from './key-order.ts';
import { linesOf } from './line-window.ts';

/** Some lines of a file of keys, and the values in them. */
export interface KeyBatch {
  lines: string[];
  /** per key column the values as text, in the order of the lines */
  columns: string[][];
}

const NEWLINE = 0x0a;
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

  /** A line without its newline. A promise only where the disk is behind and has to be waited for. */
  write(line: Buffer): Promise<void> | undefined {
    let ready = true;
    if (this.filled + line.length >= PIECE_BYTES) {
      ready = this.flush();
      if (line.length >= PIECE_BYTES) this.piece = Buffer.allocUnsafeSlow(line.length + 1);
    }
    this.filled += line.copy(this.piece, this.filled);
    this.piece[this.filled] = NEWLINE;
    this.filled += 1;
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

/** The keys of a file in batches, without the lines that are to be skipped. Width: the key's columns. */
export async function* keyBatches(
  path: string,
  width: number,
  size: number,
  skip: (line: string) => boolean = () => false,
): AsyncGenerator<KeyBatch> {
  let lines: string[] = [];
  for await (const some of linesOf(createReadStream(path, { highWaterMark: 1 << 18 }))) {
    for (const line of some) {
      if (skip(line)) continue;
      lines.push(line);
      if (lines.length < size) continue;
      yield batchOf(lines, width);
      lines = [];
    }
  }
  if (lines.length > 0) yield batchOf(lines, width);
}

export function batchOf(lines: string[], width: number): KeyBatch {
  if (width === 1) return { lines, columns: [lines.map(decodeField)] };
  const columns: string[][] = Array.from({ length: width }, () => []);
  for (const line of lines) {
    const fields = line.split('\t');
    for (const [index, column] of columns.entries()) column.push(decodeField(fields[index] ?? ''));
  }
  return { lines, columns };
}

/** The line that stands for these key values: the same as the server's COPY writes. */
export function keyLine(values: readonly string[]): string {
  return values.map(encodeField).join('\t');
}
