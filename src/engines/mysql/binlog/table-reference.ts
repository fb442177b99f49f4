import { formatNameParts } from '../../../model/table.ts';
import type { Tokens } from './token.ts';

/** One table's name, with the session's db where it is written without; none where no name follows. */
export function takeTable(tokens: Tokens, db: string): string[] {
  if (!tokens.isName) return [];
  const first = tokens.take()?.text as string;
  if (tokens.accept('.') === null) return db === '' || first === '' ? [] : [formatNameParts([db, first])];
  // DELETE of several tables may write t.*
  if (tokens.accept('*') !== null || !tokens.isName) return db === '' ? [] : [formatNameParts([db, first])];
  const second = tokens.take()?.text as string;
  if (tokens.accept('.') !== null) tokens.accept('*');
  return first === '' || second === '' ? [] : [formatNameParts([first, second])];
}

/** Names with commas between them. */
export function takeTables(tokens: Tokens, db: string): string[] {
  const tables = takeTable(tokens, db);
  while (tables.length > 0 && tokens.accept(',') !== null) tables.push(...takeTable(tokens, db));
  return tables;
}
