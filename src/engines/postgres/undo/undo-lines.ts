import { createHash } from 'node:crypto';
import { pipeline, Readable } from 'node:stream';
import { createZstdDecompress } from 'node:zlib';
import type { StoredObject } from '../../../model/backup.ts';
import { HoldfastError } from '../../../model/failure.ts';
import type { UndoPlanInput, UndoTable } from '../../engine.ts';
import { decodeField } from '../compare/key-order.ts';
import { linesOf } from '../compare/line-window.ts';

/** `i` inserted by the import, `u` updated, `d` deleted. */
export type Kind = 'i' | 'u' | 'd';

/** A row of the undo data: of `i` the key's columns, else all columns as they were. */
export interface UndoLine {
  /** counted over the inserted and then the replaced rows of a table, from 0 */
  ordinal: number;
  kind: Kind;
  /** COPY text */
  text: string;
}

/** The rows of a table in the order of its undo data, some at a time. Throws ChecksumMismatch. */
export async function* undoLines(
  table: UndoTable,
  read: UndoPlanInput['read'],
  signal: AbortSignal,
  size: number,
): AsyncGenerator<UndoLine[]> {
  let lines: UndoLine[] = [];
  let ordinal = 0;
  for await (const line of rowsOf(table, read, signal)) {
    lines.push({ ordinal, ...line });
    ordinal += 1;
    if (lines.length < size) continue;
    signal.throwIfAborted();
    yield lines;
    lines = [];
  }
  if (lines.length > 0) yield lines;
}

async function* rowsOf(table: UndoTable, read: UndoPlanInput['read'], signal: AbortSignal) {
  for await (const text of textOf(table.inserted ?? [], read, signal)) yield { kind: 'i' as const, text };
  for await (const line of textOf(table.replaced ?? [], read, signal)) {
    const kind = line[0];
    if ((kind !== 'u' && kind !== 'd') || line[1] !== '\t') throw damaged(table.table);
    yield { kind: kind as 'u' | 'd', text: line.slice(2) };
  }
}

async function* textOf(
  objects: readonly StoredObject[],
  read: UndoPlanInput['read'],
  signal: AbortSignal,
): AsyncGenerator<string> {
  if (objects.length === 0) return;
  // Split streams are one frame in several objects.
  const packed = Readable.from(verified(objects, read, signal), { objectMode: false });
  const unpacked = pipeline(packed, createZstdDecompress(), () => {});
  try {
    yield* linesOf(unpacked);
  } catch (error) {
    signal.throwIfAborted();
    if ((error as { code?: string }).code?.startsWith('ZSTD_') === true) throw damaged(objects[0]?.key ?? '');
    throw error;
  } finally {
    unpacked.destroy();
  }
}

async function* verified(
  objects: readonly StoredObject[],
  read: UndoPlanInput['read'],
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  for (const object of objects) {
    const hash = createHash('sha256');
    for await (const piece of read(object, signal) as AsyncIterable<Buffer>) {
      hash.update(piece);
      yield piece;
    }
    if (hash.digest('hex') !== object.sha256) throw damaged(object.key);
  }
}

function damaged(what: string): HoldfastError {
  return new HoldfastError('ChecksumMismatch', `the undo data of ${what} is not what was stored`, {
    hint: 'recover to the moment before the import instead: holdfast restore pitr',
  });
}

/** The values of a line of COPY text. */
export function fieldsOf(line: string): (string | null)[] {
  return line.split('\t').map((field) => (field === '\\N' ? null : decodeField(field)));
}
