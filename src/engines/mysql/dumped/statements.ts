/**
 * The statements of a script as mysqldump and mariadb-dump write it, as text of one byte a character: what is in them is
 * the server's to read, in whatever character sets. Follows the rules of the client program: quotes, comments, and
 * DELIMITER lines. Comments before a statement are left out, but for those that a server executes.
 */
export async function* statements(source: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const scanner = new Scanner();
  for await (const piece of source) {
    scanner.add(piece);
    yield* scanner.found(false);
  }
  yield* scanner.found(true);
}

const NEWLINE = 10;
const SPACE = 32;
const DOUBLE = 34;
const HASH = 35;
const SINGLE = 39;
const STAR = 42;
const DASH = 45;
const SLASH = 47;
const BANG = 33;
const LETTER_M = 77;
const BACKSLASH = 92;
const BACKQUOTE = 96;

const FIRST_BYTES = 64 * 1024;
const DELIMITER = /^delimiter[ \t]+(\S+)/i;

type Mode = 'code' | typeof SINGLE | typeof DOUBLE | typeof BACKQUOTE | 'line' | 'block';

class Scanner {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  /** of the statement, of what was looked at, and of what there is */
  #start = 0;
  #at = 0;
  #end = 0;
  #mode: Mode = 'code';
  /** something else than space and comments stands in the statement */
  #hasCode = false;
  #isLineStart = true;
  #delimiter = Buffer.from(';');

  add(piece: Uint8Array): void {
    if (this.#end + piece.length > this.#bytes.length) this.#makeRoom(piece.length);
    this.#bytes.set(piece, this.#end);
    this.#end += piece.length;
  }

  /** Doubles, so that a statement of any size is copied a few times only. */
  #makeRoom(more: number): void {
    const kept = this.#end - this.#start;
    let size = this.#bytes.length;
    while (size < kept + more || size < 2 * kept) size *= 2;
    const target = size === this.#bytes.length ? this.#bytes : Buffer.allocUnsafe(size);
    this.#bytes.copy(target, 0, this.#start, this.#end);
    this.#bytes = target;
    this.#at -= this.#start;
    this.#end = kept;
    this.#start = 0;
  }

  *found(isLast: boolean): Generator<string, void> {
    for (;;) {
      const end = this.#scan(isLast);
      if (end === null) break;
      const hasCode = this.#hasCode;
      const text = hasCode ? this.#bytes.toString('latin1', this.#start, end) : '';
      this.#start = this.#at;
      this.#hasCode = false;
      if (hasCode) yield text;
    }
    if (isLast && this.#hasCode) yield this.#bytes.toString('latin1', this.#start, this.#end);
  }

  /** Where the statement ends; null: not in what is there. What decides may stand in the bytes to come. */
  #scan(isLast: boolean): number | null {
    const most = isLast ? this.#end : this.#end - Math.max(3, this.#delimiter.length);
    while (this.#at < most) {
      switch (this.#mode) {
        case 'code': {
          const end = this.#code(most, isLast);
          if (end !== null) return end;
          if (this.#mode === 'code') return null;
          break;
        }
        case 'line':
          if (!this.#skipTo(NEWLINE, most)) return null;
          this.#isLineStart = true;
          this.#leave();
          break;
        case 'block':
          if (!this.#blockEnd(most)) return null;
          this.#leave();
          break;
        default:
          if (!this.#quoteEnd(this.#mode, most)) return null;
          this.#mode = 'code';
      }
    }
    return null;
  }

  /** Through what is neither quoted nor a comment. */
  #code(most: number, isLast: boolean): number | null {
    const bytes = this.#bytes;
    const first = this.#delimiter[0];
    while (this.#at < most) {
      const byte = bytes[this.#at] as number;
      if (byte === first && this.#isDelimiter()) {
        const end = this.#at;
        this.#at += this.#delimiter.length;
        this.#isLineStart = false;
        return end;
      }
      if (byte === NEWLINE) this.#isLineStart = true;
      if (byte <= SPACE) {
        this.#at += 1;
        if (!this.#hasCode) this.#start = this.#at;
        continue;
      }
      if (this.#isLineStart && !this.#hasCode && (byte === 68 || byte === 100)) {
        const taken = this.#delimiterLine(isLast);
        if (taken === 'wait') return null;
        if (taken === 'taken') continue;
      }
      this.#isLineStart = false;
      const next = bytes[this.#at + 1];
      if (byte === HASH || (byte === DASH && next === DASH && (bytes[this.#at + 2] ?? SPACE) <= SPACE)) {
        this.#mode = 'line';
        return null;
      }
      if (byte === SLASH && next === STAR && !this.#isExecuted()) {
        this.#mode = 'block';
        this.#at += 2;
        return null;
      }
      this.#hasCode = true;
      this.#at += 1;
      if (byte === SINGLE || byte === DOUBLE || byte === BACKQUOTE) {
        this.#mode = byte;
        return null;
      }
    }
    return null;
  }

  /** `/*!` is read by every server, `/*M!` by MariaDB's. */
  #isExecuted(): boolean {
    const third = this.#bytes[this.#at + 2];
    return third === BANG || (third === LETTER_M && this.#bytes[this.#at + 3] === BANG);
  }

  #isDelimiter(): boolean {
    const { length } = this.#delimiter;
    if (length === 1) return true;
    return this.#bytes.subarray(this.#at, this.#at + length).equals(this.#delimiter);
  }

  /** Such a line is the client's own, not the server's. */
  #delimiterLine(isLast: boolean): 'taken' | 'none' | 'wait' {
    const newline = this.#bytes.subarray(0, this.#end).indexOf(NEWLINE, this.#at);
    if (newline < 0 && !isLast && this.#end - this.#at < 1024) return 'wait';
    const line = this.#bytes.toString(
      'latin1',
      this.#at,
      Math.min(newline < 0 ? this.#end : newline, this.#at + 1024),
    );
    const found = DELIMITER.exec(line);
    if (found === null) return 'none';
    this.#delimiter = Buffer.from(found[1] as string, 'latin1');
    this.#at = newline < 0 ? this.#end : newline;
    this.#start = this.#at;
    return 'taken';
  }

  #quoteEnd(quote: number, most: number): boolean {
    const bytes = this.#bytes;
    let at = this.#at;
    while (at < most) {
      const byte = bytes[at];
      // In names a backslash is one character among others.
      if (byte === BACKSLASH && quote !== BACKQUOTE) at += 2;
      else {
        at += 1;
        // Of a doubled one the second half begins the next text: to the same end.
        if (byte === quote) {
          this.#at = at;
          return true;
        }
      }
    }
    this.#at = at;
    return false;
  }

  #blockEnd(most: number): boolean {
    while (this.#skipTo(STAR, most)) {
      if (this.#bytes[this.#at] !== SLASH) continue;
      this.#at += 1;
      return true;
    }
    return false;
  }

  #skipTo(byte: number, most: number): boolean {
    const found = this.#bytes.subarray(0, most).indexOf(byte, this.#at);
    this.#at = found < 0 ? most : found + 1;
    return found >= 0;
  }

  /** After a comment; one before any code is no part of the statement. */
  #leave(): void {
    this.#mode = 'code';
    if (!this.#hasCode) this.#start = this.#at;
  }
}
