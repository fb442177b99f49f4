/** The smallest parts of a statement; comments and white space are left out. */
export interface Token {
  kind: 'word' | 'name' | 'text' | 'mark';
  /** a word as it is written, a name without its quotes, any other sign by itself; a text's contents are not kept */
  text: string;
}

const SKIPPED = /\s+|--(?=\s|$)[^\n]*|#[^\n]*/y;
/** What stands in such a comment is executed, by a server that is new enough: its edges are passed over alone. */
const EXECUTED = /\/\*M?!\d*/y;
const COMMENT = /\/\*(?!M?!)[\s\S]*?(?:\*\/|$)/y;
const COMMENT_END = /\*\//y;
const NAME = /`((?:[^`]|``)*)(?:`|$)/y;
const DOUBLE = /"((?:[^"\\]|""|\\[\s\S])*)(?:"|$)/y;
const ANSI_NAME = /"((?:[^"]|"")*)(?:"|$)/y;
const TEXT = /'(?:[^'\\]|''|\\[\s\S])*(?:'|$)/y;
const WORD = /[0-9A-Za-z_$\u0080-\uffff]+/y;

/**
 * Takes a statement apart as the servers do: https://dev.mysql.com/doc/refman/8.0/en/language-structure.html.
 * `hasAnsiQuotes`: double quotes are around names.
 */
export function* tokensOf(sql: string, hasAnsiQuotes: boolean): Generator<Token, void> {
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(sql);
    if (found !== null) at = pattern.lastIndex;
    return found;
  };
  while (at < sql.length) {
    if (match(SKIPPED) ?? match(EXECUTED) ?? match(COMMENT) ?? match(COMMENT_END)) continue;
    const name = match(NAME);
    if (name !== null) {
      yield { kind: 'name', text: (name[1] as string).replaceAll('``', '`') };
      continue;
    }
    const quoted = match(hasAnsiQuotes ? ANSI_NAME : DOUBLE);
    if (quoted !== null) {
      const text = (quoted[1] as string).replaceAll('""', '"');
      yield hasAnsiQuotes ? { kind: 'name', text } : { kind: 'text', text: '' };
      continue;
    }
    if (match(TEXT) !== null) {
      yield { kind: 'text', text: '' };
      continue;
    }
    const word = match(WORD);
    if (word !== null) {
      yield { kind: 'word', text: word[0] };
      continue;
    }
    yield { kind: 'mark', text: sql[at] as string };
    at += 1;
  }
}

/** Goes through the tokens of a statement with one of foresight. */
export class Tokens {
  readonly #source: Generator<Token, void>;
  #next: Token | null;

  constructor(source: Generator<Token, void>) {
    this.#source = source;
    this.#next = source.next().value ?? null;
  }

  get isEnd(): boolean {
    return this.#next === null;
  }

  take(): Token | null {
    const taken = this.#next;
    if (taken !== null) this.#next = this.#source.next().value ?? null;
    return taken;
  }

  /** Takes the next token where it is one of these words or marks, given in capitals; says which. */
  accept(...words: readonly string[]): string | null {
    const next = this.#next;
    if (next === null || (next.kind !== 'word' && next.kind !== 'mark')) return null;
    const text = next.text.toUpperCase();
    if (!words.includes(text)) return null;
    this.take();
    return text;
  }

  /** Takes one word after the other; those that are missing stop it. */
  acceptAll(...words: readonly string[]): boolean {
    return words.every((word) => this.accept(word) !== null);
  }

  /** Whether the next token can be a name. */
  get isName(): boolean {
    return this.#next?.kind === 'name' || this.#next?.kind === 'word';
  }

  peek(): Token | null {
    return this.#next;
  }
}
