import { HoldfastError } from '../../model/failure.ts';

/** A part of the dump: first every db's tables with what belongs to them, then every db's views, which may need other dbs. */
export interface Section {
  database: string;
  part: 'tables' | 'views';
}

/** Bytes of the current section, or the beginning of the next. */
export type Piece = { bytes: Buffer } | { begins: Section };

const MARK_TEXT = '\n--\n-- Current Database: `';
const MARK = Buffer.from(MARK_TEXT);
const NEWLINE = 0x0a;
/** More than a mark with the longest name. */
const LINE_LIMIT = 2_048;
const HEAD_LIMIT = 64 * 1024;
const TAIL_BYTES = 256;

/** How often a definition holds what looks like the beginning of a db. */
export const countMarks = (text: string): number => text.split(MARK_TEXT).length - 1;

/**
 * Splits what mysqldump writes into one section for each db, in bytes, with no more memory than a chunk. Rows cannot look
 * like a mark: their line breaks are escaped. The text of a routine, trigger or event can, so `marks` says how often each
 * db's definitions do, and so many are passed over.
 */
export class DumpSplitter {
  /** what stands before the first section: the settings of the session that loads it */
  head = Buffer.alloc(0);
  readonly #expected: Section[];
  readonly #marks: (database: string) => number;
  #position = -1;
  #skip = 0;
  #rest = Buffer.alloc(0);
  #tail = Buffer.alloc(0);

  constructor(databases: readonly string[], marks: (database: string) => number) {
    const part = (name: Section['part']) => databases.map((database): Section => ({ database, part: name }));
    this.#expected = [...part('tables'), ...part('views')];
    this.#marks = marks;
  }

  push(chunk: Buffer): Piece[] {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = Buffer.alloc(0);
    const pieces: Piece[] = [];
    let from = 0;
    let search = 0;
    while (true) {
      const at = data.indexOf(MARK, search);
      if (at < 0) {
        this.#keep(data, from, data.length - unfinishedMark(data, search), pieces);
        return pieces;
      }
      if (this.#skip > 0) {
        this.#skip -= 1;
        search = at + MARK.length;
        continue;
      }
      const end = data.indexOf(NEWLINE, at + MARK.length);
      if (end < 0) {
        if (data.length - at > LINE_LIMIT) throw unexpected('a name that is too long');
        this.#keep(data, from, at, pieces);
        return pieces;
      }
      this.#give(data.subarray(from, at), pieces);
      pieces.push({ begins: this.#next(data.subarray(at + MARK.length, end).toString('utf8')) });
      from = at;
      search = end;
    }
  }

  /** Gives what is left. Throws BackupFailed where the dump is not complete. */
  end(databasesWithViews: boolean): Piece[] {
    const pieces: Piece[] = [];
    this.#give(this.#rest, pieces);
    const half = this.#expected.length / 2;
    const seen = this.#position + 1;
    const complete = seen === this.#expected.length || (seen === half && !databasesWithViews);
    if (!complete || this.#skip > 0) throw unexpected(`${seen} of ${half} dbs, or not all of their views`);
    // Source: mysqldump's manual, `--dump-date`.
    if (!/\n-- Dump completed(?: on [^\n]*)?\n$/.test(this.#tail.toString('latin1'))) {
      throw unexpected('an end without "Dump completed"');
    }
    return pieces;
  }

  #keep(data: Buffer, from: number, to: number, pieces: Piece[]): void {
    this.#give(data.subarray(from, to), pieces);
    // A copy: the chunk is the stream's own.
    this.#rest = Buffer.from(data.subarray(to));
  }

  #give(bytes: Buffer, pieces: Piece[]): void {
    if (bytes.length === 0) return;
    if (this.#position < 0) {
      this.head = Buffer.concat([this.head, bytes]);
      if (this.head.length > HEAD_LIMIT) throw unexpected('no db');
      return;
    }
    this.#tail =
      bytes.length >= TAIL_BYTES
        ? Buffer.from(bytes.subarray(-TAIL_BYTES))
        : Buffer.concat([this.#tail, bytes]).subarray(-TAIL_BYTES);
    pieces.push({ bytes });
  }

  #next(line: string): Section {
    const name = /^((?:[^`]|``)+)`$/.exec(line)?.[1]?.replaceAll('``', '`');
    this.#position += 1;
    const section = this.#expected[this.#position];
    if (section === undefined || section.database !== name)
      throw unexpected('another db than the one whose turn it is');
    this.#skip = section.part === 'tables' ? this.#marks(section.database) : 0;
    return section;
  }
}

/** How many bytes at the end may be the beginning of a mark. */
function unfinishedMark(data: Buffer, from: number): number {
  for (let size = Math.min(MARK.length - 1, data.length - from); size > 0; size -= 1) {
    if (data.compare(MARK, 0, size, data.length - size) === 0) return size;
  }
  return 0;
}

function unexpected(what: string): HoldfastError {
  return new HoldfastError('BackupFailed', `the dump is not as mysqldump writes one: ${what}`, {
    hint: 'it is tried again; if it happens again, report the version of the client programs',
  });
}
