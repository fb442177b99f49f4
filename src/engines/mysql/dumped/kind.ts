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
  return name === undefined ? null : Buffer.from(name.replaceAll('``', '`'), 'latin1').toString('utf8');
}

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
