import type { Address } from '../model/topology.ts';
import { applyEdits, linesOf, type Span } from './spans.ts';
import { readUrl, rewriteUrl } from './url.ts';

/** What of a file of `KEY=value` lines names a database server. Pure; `rewrite` is null where a line is missing. */
export interface Rewriting {
  /** null: the line or section is not there */
  read(text: string): Address | null;
  rewrite(text: string, address: Address): string | null;
}

/** A line `KEY=postgresql://user:password@host:port/db`. */
export function urlVariable(key: string): Rewriting {
  return {
    read(text) {
      const found = variableIn(text, key);
      return found === null ? null : readUrl(text.slice(found.start, found.end));
    },
    rewrite(text, address) {
      const found = variableIn(text, key);
      if (found === null) return null;
      const url = rewriteUrl(text.slice(found.start, found.end), address);
      return url === null ? null : applyEdits(text, [{ ...found, text: url }]);
    },
  };
}

/** Two lines `KEY=value`. */
export function hostAndPortVariables(hostKey: string, portKey: string): Rewriting {
  const both = (text: string) => {
    const [host, port] = [variableIn(text, hostKey), variableIn(text, portKey)];
    return host === null || port === null ? null : { host, port };
  };
  return {
    read(text) {
      const found = both(text);
      if (found === null) return null;
      const host = text.slice(found.host.start, found.host.end);
      const port = Number(text.slice(found.port.start, found.port.end));
      return host === '' || !Number.isInteger(port) ? null : { host, port };
    },
    rewrite(text, { host, port }) {
      const found = both(text);
      if (found === null) return null;
      return applyEdits(text, [
        { ...found.host, text: host },
        { ...found.port, text: String(port) },
      ]);
    },
  };
}

/** Where a variable's value is, within its quotes: of the last line that sets it, which is the one that counts. */
export function variableIn(text: string, key: string): Span | null {
  let found: Span | null = null;
  for (const line of linesOf(text)) {
    const set = /^[ \t]*(?:export[ \t]+)?([^\s=#]+)[ \t]*=[ \t]*/.exec(line.text);
    if (set?.[1] !== key) continue;
    const start = line.start + set[0].length;
    const rest = text.slice(start, line.end);
    const quoted = /^(["'])(.*?)\1/.exec(rest);
    // A comment starts behind a space: a `#` within a word belongs to it.
    const plain = /^(?:[^\s]+(?:[ \t]+(?!#)[^\s]+)*)?/.exec(rest)?.[0] ?? '';
    found =
      quoted === null
        ? { start, end: start + plain.length }
        : { start: start + 1, end: start + 1 + (quoted[2]?.length ?? 0) };
  }
  return found;
}
