/** A name in backquotes, as a script of bytes has it. */
const NAME = '`((?:[^`]|``)+)`';
const INSERT = new RegExp(
  `^(?:INSERT|REPLACE)\\s+(?:(?:IGNORE|DELAYED|LOW_PRIORITY)\\s+)*INTO\\s+${NAME}`,
  'i',
);
const VIEW = /^(?:\/\*M?!\d*\s*)?CREATE\b(?:(?!\bTABLE\b)[^'"(]){0,400}?\bVIEW\s/i;

/**
 * What a dump may say of its server, and what a restored one must not take from it: settings for all sessions, where it
 * replicates from, libraries.
 */
const NEVER =
  /^(?:\/\*M?!\d*\s*)?(?:SET\s+(?:GLOBAL\s|PERSIST|@@GLOBAL\.|@@PERSIST)|CHANGE\s+(?:MASTER|REPLICATION)|(?:START|STOP|RESET)\s+(?:ALL\s+)?(?:SLAVE|REPLICA|MASTER|BINARY)|(?:UN)?INSTALL\s|PURGE\s|CLONE\s|SHUTDOWN|RESTART)/i;

/** The table whose rows a statement brings; null: it brings none. */
export function filledTable(statement: string): string | null {
  const name = INSERT.exec(statement)?.[1];
  return name === undefined ? null : nameOf(name);
}

const nameOf = (quoted: string): string =>
  Buffer.from(quoted.replaceAll('``', '`'), 'latin1').toString('utf8');

const CREATE_TABLE = new RegExp(`^CREATE\\s+TABLE\\s+(?:IF\\s+NOT\\s+EXISTS\\s+)?${NAME}`, 'i');
// mariadb-dump begins with a line for its client, which is no statement and so part of the first one.
const COMMENTED = '^(?:\\/\\*M!999999[^*]*\\*\\/\\s*(?:--[^\\n]*\\n\\s*)*)?(?:\\/\\*M?!\\d*\\s*)?';
const FOR_ALL = new RegExp(`${COMMENTED}(?:SET|USE)\\b`, 'i');
const OPEN = new RegExp(`${COMMENTED}(?:SET\\b[^'"]*\\bautocommit\\b|START\\s+TRANSACTION|BEGIN\\b)`, 'i');
const OF_ONE = new RegExp(`${COMMENTED}(?:LOCK\\s+TABLE|CREATE\\b|DROP\\b)`, 'i');

/**
 * The table that a statement makes, where sessions may fill it side by side; else null. Of other engines some wait for
 * each other, or need ascending numbers (ARCHIVE), as a full-text index of InnoDB does.
 */
export function dividedTable(statement: string): string | null {
  const name = CREATE_TABLE.exec(statement)?.[1];
  // Texts have their line breaks escaped in a definition: this line is its last one.
  if (name === undefined || !/\n\) ENGINE=InnoDB\b/.test(statement)) return null;
  return /\bFULLTEXT KEY\b|`FTS_DOC_ID`/i.test(statement) ? null : nameOf(name);
}

/** Changes the session it runs in: the manner in which the following statements are read. */
export const isForAllSessions = (statement: string): boolean => FOR_ALL.test(statement);

/** After it only its own session may, or can, write to the table that was made last. */
export const isOfOneSession = (statement: string): boolean => OF_ONE.test(statement);

/** What follows it is not committed, and so locked, until a later statement of the same session. */
export const leavesOpen = (statement: string): boolean => OPEN.test(statement);

export const isView = (statement: string): boolean => VIEW.test(statement);

export const isForbidden = (statement: string): boolean => NEVER.test(statement);

/** Its first words, which are the language's own: `CREATE TABLE`, `INSERT INTO`, `GRANT`. Never anything of what it holds. */
export function kindOf(statement: string): string {
  const text = statement.replace(/^\/\*M?!\d*\s*/, '');
  if (isView(statement)) return 'CREATE VIEW';
  const words =
    /^(?:CREATE|ALTER|DROP|LOCK|UNLOCK|INSERT|REPLACE|SET|USE|GRANT|REVOKE)\b/i.exec(text)?.[0] ?? 'other';
  const noun = /\b(?:TABLES?|DATABASE|TRIGGER|PROCEDURE|FUNCTION|EVENT|SEQUENCE|USER|ROLE|INTO)\b/i.exec(
    text.slice(0, 200).replace(/`[^`]*`|'[^']*'/g, ''),
  )?.[0];
  return (
    noun === undefined || !/^(?:CREATE|ALTER|DROP|INSERT|REPLACE)/i.test(words) ? words : `${words} ${noun}`
  ).toUpperCase();
}
