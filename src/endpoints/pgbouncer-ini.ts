import type { Address } from '../model/topology.ts';
import { applyEdits, type Edit, linesOf, type Span } from './spans.ts';

/**
 * PgBouncer's ini text with another host and port in one entry of `[databases]`, and no other byte changed. Of two
 * entries of a name PgBouncer takes the last. Null: there is no such entry, or it is none that PgBouncer would take.
 */
export function rewriteIni(text: string, database: string, { host, port }: Address): string | null {
  const entry = entryOf(text, database);
  const pairs = entry === null ? null : pairsOf(text.slice(entry.start, entry.end));
  if (entry === null || pairs === null) return null;
  const edits: Edit[] = [];
  let missing = '';
  for (const [key, value] of [
    ['host', host],
    ['port', String(port)],
  ] as const) {
    const found = pairs.filter((pair) => pair.key === key);
    for (const { start, end, quoted } of found) {
      const put = quoted ? value.replaceAll("'", "''") : value;
      edits.push({ start: entry.start + start, end: entry.start + end, text: put });
    }
    if (found.length === 0) missing += ` ${key}=${value}`;
  }
  if (missing !== '') edits.push({ start: entry.end, end: entry.end, text: missing });
  return applyEdits(text, edits);
}

/** Where an entry's value is: the rest of its line, without the space at its end. */
function entryOf(text: string, database: string): Span | null {
  let section = '';
  let found: Span | null = null;
  for (const line of linesOf(text)) {
    const header = /^\s*\[([^\]]*)\]/.exec(line.text);
    if (header !== null) section = header[1] as string;
    if (section !== 'databases' || /^\s*(?:[#;[]|%include\s)/.test(line.text)) continue;
    const set = /^(\s*("(?:[^"]|"")*"|[^\s="]+)[ \t]*=[ \t]*)(.*?)\s*$/.exec(line.text);
    if (set === null || unquoteName(set[2] as string) !== database) continue;
    const start = line.start + (set[1] as string).length;
    found = { start, end: start + (set[3] as string).length };
  }
  return found;
}

function unquoteName(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

interface Pair extends Span {
  key: string;
  quoted: boolean;
}

/** The `key=value` pairs of an entry, with where the values are; a quoted one doubles its quotes. */
function pairsOf(entry: string): Pair[] | null {
  const pairs: Pair[] = [];
  const pair = /\s*([^\s=]+)\s*=\s*(?:'((?:[^']|'')*)'(?=\s|$)|([^\s']\S*)?)/y;
  while (pair.lastIndex < entry.trimEnd().length) {
    const found = pair.exec(entry);
    if (found === null) return null;
    const [, key = '', quoted, plain = ''] = found;
    const end = pair.lastIndex - (quoted === undefined ? 0 : 1);
    pairs.push({ key, start: end - (quoted ?? plain).length, end, quoted: quoted !== undefined });
  }
  return pairs;
}
