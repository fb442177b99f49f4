import { formatNameParts } from '../../../model/table.ts';
import type { Statement } from './statement.ts';
import { takeTable, takeTables } from './table-reference.ts';
import type { Tokens } from './token.ts';

const MODIFIERS = ['LOW_PRIORITY', 'HIGH_PRIORITY', 'DELAYED', 'QUICK', 'IGNORE', 'CONCURRENT', 'LOCAL'];

/**
 * The tables whose rows a statement changes, as far as its text tells: of an UPDATE of several tables all of them, of a
 * CALL none. `isLimited`: a WHERE or a LIMIT stands outside of all brackets.
 */
export function changedTables(
  verb: NonNullable<Statement['verb']>,
  tokens: Tokens,
  db: string,
): { tables: string[]; isLimited: boolean } {
  while (tokens.accept(...MODIFIERS) !== null);
  switch (verb) {
    case 'insert':
    case 'replace':
      tokens.accept('INTO');
      return { tables: takeTable(tokens, db), isLimited: false };
    case 'load':
      while (!tokens.isEnd && tokens.accept('TABLE') === null) tokens.take();
      return { tables: takeTable(tokens, db), isLimited: false };
    case 'update': {
      const { tables, isLimited } = references(tokens, db);
      return { tables: [...tables.values()], isLimited };
    }
    case 'delete':
      return deleted(tokens, db);
    default:
      return { tables: [], isLimited: true };
  }
}

/** DELETE FROM t …; DELETE a, b FROM …; DELETE FROM a, b USING … */
function deleted(tokens: Tokens, db: string): { tables: string[]; isLimited: boolean } {
  const isFromFirst = tokens.accept('FROM') !== null;
  const named = takeTables(tokens, db);
  if (isFromFirst && tokens.accept('USING') === null) {
    return { tables: named, isLimited: references(tokens, db).isLimited };
  }
  tokens.accept('FROM');
  const { tables, isLimited } = references(tokens, db);
  // A name may be an alias of a table.
  return { tables: [...new Set(named.map((name) => tables.get(name) ?? name))], isLimited };
}

/** The tables of a list with joins, by their names and by their aliases; reads on to the statement's end. */
function references(tokens: Tokens, db: string): { tables: Map<string, string>; isLimited: boolean } {
  const tables = new Map<string, string>();
  let depth = 0;
  let isExpected = true;
  let isLimited = false;
  let isList = true;
  while (!tokens.isEnd) {
    if (tokens.accept('(')) {
      // Brackets around tables are passed over, those around a query with what is in them.
      if (depth === 0 && isExpected && isList && !isQuery(tokens)) continue;
      depth += 1;
      isExpected = false;
    } else if (tokens.accept(')')) depth = Math.max(0, depth - 1);
    else if (depth > 0) tokens.take();
    else if (tokens.accept('WHERE', 'LIMIT')) {
      isLimited = true;
      isList = false;
    } else if (tokens.accept('SET')) isList = false;
    else if (isList && tokens.accept(',', 'JOIN', 'STRAIGHT_JOIN')) isExpected = true;
    else if (isExpected && isList && tokens.isName) {
      isExpected = false;
      const [table] = takeTable(tokens, db);
      tokens.accept('AS');
      const alias = aliasOf(tokens);
      if (table === undefined) continue;
      tables.set(alias === null ? table : formatNameParts([db, alias]), table);
    } else tokens.take();
  }
  return { tables, isLimited };
}

function isQuery(tokens: Tokens): boolean {
  return /^(SELECT|WITH|VALUES|TABLE|\()$/i.test(tokens.peek()?.text ?? '');
}

const AFTER_TABLES = [
  ...['SET', 'WHERE', 'LIMIT', 'ON', 'USING', 'JOIN', 'INNER', 'LEFT', 'RIGHT', 'CROSS', 'NATURAL'],
  ...['STRAIGHT_JOIN', 'PARTITION', 'USE', 'FORCE', 'IGNORE', 'ORDER', 'FOR'],
];

function aliasOf(tokens: Tokens): string | null {
  const next = tokens.peek();
  if (next?.kind === 'name') return tokens.take()?.text ?? null;
  if (next?.kind !== 'word' || AFTER_TABLES.includes(next.text.toUpperCase())) return null;
  return tokens.take()?.text ?? null;
}
