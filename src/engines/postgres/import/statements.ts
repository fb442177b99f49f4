/**
 * The statements of what pg_dump writes as plain SQL, without their semicolons, comments and psql's own lines
 * (`\restrict`). Knows strings with and without escapes, quoted names, dollar quotes, and the commands in the
 * parentheses of a rule.
 */
export function splitStatements(sql: string): string[] {
  const statements: string[] = [];
  let at = 0;
  while (at < sql.length) {
    const skipped = /^(?:\s+|--[^\n]*(?:\n|$)|\\[^\n]*(?:\n|$))/.exec(sql.slice(at, at + 4096));
    if (skipped !== null) {
      at += skipped[0].length;
      continue;
    }
    const end = statementEnd(sql, at);
    const text = sql.slice(at, end).trim();
    if (text !== '') statements.push(text);
    at = end + 1;
  }
  return statements;
}

/** What has a meaning within a statement, longest first. */
const TOKEN =
  /--[^\n]*|\b[eE]'(?:[^'\\]|''|\\[\s\S])*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|[();]/g;

function statementEnd(sql: string, from: number): number {
  const token = new RegExp(TOKEN);
  token.lastIndex = from;
  let depth = 0;
  for (let found = token.exec(sql); found !== null; found = token.exec(sql)) {
    const [text] = found;
    if (text === '(') depth += 1;
    else if (text === ')') depth -= 1;
    else if (text === ';' && depth === 0) return found.index;
    else if (text.startsWith('$')) {
      const close = sql.indexOf(text, token.lastIndex);
      token.lastIndex = close === -1 ? sql.length : close + text.length;
    }
  }
  return sql.length;
}
