import { HoldfastError } from './failure.ts';

/**
 * A table as people name it: `[db.]schema.table` for PostgreSQL, `db.table` for MySQL and MongoDB.
 * A part in double quotes may hold any character (`"Order; ""x"""`); a bare part is taken as it is written,
 * never folded to lower case, so that what a person copies from a catalog query works.
 */
export function parseNameParts(text: string): string[] {
  const parts: string[] = [];
  let position = 0;
  while (position <= text.length) {
    if (text[position] === '"') {
      const quoted = /^"((?:[^"]|"")+)"(?=\.|$)/.exec(text.slice(position));
      if (quoted === null) throw invalid(text);
      parts.push((quoted[1] as string).replaceAll('""', '"'));
      position += quoted[0].length;
    } else {
      const bare = /^[^".]+/.exec(text.slice(position));
      if (bare === null) throw invalid(text);
      parts.push(bare[0]);
      position += bare[0].length;
    }
    if (position === text.length) return parts;
    if (text[position] !== '.') throw invalid(text);
    position += 1;
  }
  throw invalid(text);
}

/** The form that {@link parseNameParts} reads back: a part is quoted only where it has to be. */
export function formatNameParts(parts: readonly string[]): string {
  return parts.map((part) => (/^[^".\s]+$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`)).join('.');
}

function invalid(text: string): HoldfastError {
  return new HoldfastError('InvalidInput', `"${text}" is not a table name`, {
    hint: 'write schema.table, with double quotes around a part that holds a dot or a quote: public."my.table"',
  });
}
