import { createHash } from 'node:crypto';
import { HoldfastError } from '../../model/failure.ts';
import { formatNameParts } from '../../model/table.ts';
import type { Connection } from './connection.ts';
import { quoteTable } from './identifier.ts';

/** What one object of a db is made by, as the server writes it. */
export interface Definition {
  kind:
    | 'db'
    | 'table'
    | 'sequence'
    | 'view'
    | 'procedure'
    | 'function'
    | 'package'
    | 'package body'
    | 'library'
    | 'trigger'
    | 'event';
  name: string;
  /** what is not in the text but makes a difference, such as the sql_mode that it was written under */
  context: string;
  text: string;
}

/**
 * The schema of a db as sorted lines `kind | name | definition`, equal before a dump and after its restore, and on a
 * replayed copy. Counters of AUTO_INCREMENT and of sequences are data, not definition. Source of every definition: the
 * server's own SHOW CREATE and information_schema.
 */
export async function canonicalSchema(
  connection: Connection,
  db: string,
): Promise<{ text: string; sha256: string }> {
  return schemaText(await readDefinitions(connection, db));
}

export function schemaText(definitions: readonly Definition[]): { text: string; sha256: string } {
  const lines = definitions.flatMap((one) => (one.kind === 'table' ? tableLines(one) : [lineOf(one)]));
  const text = `${lines.sort().join('\n')}\n`;
  return { text, sha256: createHash('sha256').update(text).digest('hex') };
}

const lineOf = ({ kind, name, context, text }: Definition): string =>
  `${kind} | ${oneLine(formatNameParts([name]))} | ${oneLine(`${context} ${kind === 'view' ? withoutBrackets(text) : text}`)}`;

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();

/** A server writes some brackets of an expression only when it has read its own words: the copy's view has been read twice. */
const withoutBrackets = (text: string): string => text.replace(/[()]/g, ' ');

/** SHOW CREATE TABLE has an element in each line, and the table's options and partitions behind them. */
function tableLines({ name, text }: Definition): string[] {
  const table = oneLine(formatNameParts([name]));
  // `/*!80023 INVISIBLE */`: for people of older servers; a server of the same series writes the same.
  const lines = text.replace(/\/\*!\d{5,6} ?([\s\S]*?) ?\*\//g, '$1').split('\n');
  const end = lines.findIndex((line, index) => index > 0 && line.startsWith(')'));
  if (end < 0) return [`table | ${table} | ${oneLine(text)}`];
  const options = lines
    .slice(end)
    .join(' ')
    .replace(/^\)/, '')
    .replace(/ AUTO_INCREMENT=\d+/, '');
  let position = 0;
  const elements = lines.slice(1, end).map((line) => {
    const element = oneLine(line)
      .replace(/,$/, '')
      // Said by the collation too, and by MySQL only after the first restore.
      .replace(/ CHARACTER SET \w+(?= COLLATE )/, '');
    const [quoted = '', own = ''] = /`((?:[^`]|``)+)`/.exec(element) ?? [];
    if (element.startsWith('`')) {
      position += 1;
      const column = formatNameParts([own.replaceAll('``', '`')]);
      return `column | ${table}.${column} | ${position}${element.slice(quoted.length)}`;
    }
    const kind = /^(?:CONSTRAINT|CHECK)\b/.test(element) ? 'constraint' : 'index';
    const called = element.startsWith('PRIMARY KEY') ? 'PRIMARY' : own.replaceAll('``', '`');
    return `${kind} | ${table}.${formatNameParts([called === '' ? 'unnamed' : called])} | ${element}`;
  });
  return [`table | ${table} | ${oneLine(options)}`, ...elements];
}

/** Every object of a db. Throws PermissionDenied where a definition may not be seen: a dump would lack it. */
export async function readDefinitions(connection: Connection, db: string): Promise<Definition[]> {
  return [
    ...(await databaseItself(connection, db)),
    ...(await tablesOf(connection, db)),
    ...(await viewsOf(connection, db)),
    ...(await routinesOf(connection, db)),
    ...(await triggersOf(connection, db)),
    ...(await eventsOf(connection, db)),
  ];
}

type Texts = Record<string, string | null>;

async function databaseItself(connection: Connection, db: string): Promise<Definition[]> {
  const rows = await connection.query<{ charset: string; collation: string }>(
    `SELECT DEFAULT_CHARACTER_SET_NAME AS charset, DEFAULT_COLLATION_NAME AS collation
       FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?`,
    [db],
  );
  return rows.map(({ charset, collation }) => ({
    kind: 'db',
    name: db,
    context: '',
    text: `${charset} ${collation}`,
  }));
}

async function tablesOf(connection: Connection, db: string): Promise<Definition[]> {
  const rows = await connection.query<{ name: string; type: string }>(
    `SELECT TABLE_NAME AS name, TABLE_TYPE AS type FROM information_schema.TABLES
      WHERE TABLE_SCHEMA = ? AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE')`,
    [db],
  );
  const found: Definition[] = [];
  for (const { name, type } of rows) {
    const kind = type === 'SEQUENCE' ? 'sequence' : 'table';
    const text = await created(
      connection,
      `${kind === 'sequence' ? 'SEQUENCE' : 'TABLE'} ${quoteTable([db, name])}`,
    );
    found.push({ kind, name, context: '', text: text.statement });
  }
  return found;
}

async function viewsOf(connection: Connection, db: string): Promise<Definition[]> {
  // Not SHOW CREATE VIEW: it leaves the name of the db out where the session is in it.
  const rows = await connection.query<{ name: string; text: string | null; context: string }>(
    `SELECT TABLE_NAME AS name, VIEW_DEFINITION AS text,
            CONCAT_WS(' ', DEFINER, SECURITY_TYPE, CHECK_OPTION, CHARACTER_SET_CLIENT, COLLATION_CONNECTION) AS context
       FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ?`,
    [db],
  );
  return rows.map(({ name, text, context }) => {
    if (text === null || text === '') throw hidden(`view ${formatNameParts([db, name])}`, 'SHOW VIEW');
    return { kind: 'view', name, context, text };
  });
}

async function routinesOf(connection: Connection, db: string): Promise<Definition[]> {
  const rows = await connection.query<{ name: string; type: string }>(
    `SELECT ROUTINE_NAME AS name, ROUTINE_TYPE AS type FROM information_schema.ROUTINES
      WHERE ROUTINE_SCHEMA = ? AND ROUTINE_TYPE IN ('PROCEDURE', 'FUNCTION', 'PACKAGE', 'PACKAGE BODY')`,
    [db],
  );
  const { flavour, series } = connection.server;
  // Of JavaScript, for routines ("CREATE LIBRARY Statement"): a dump with routines has them.
  if (flavour === 'mysql' && series >= 902) rows.push(...(await librariesOf(connection, db)));
  const found: Definition[] = [];
  for (const { name, type } of rows) {
    const kind = type.toLowerCase() as Definition['kind'];
    const { statement, row } = await created(connection, `${type} ${quoteTable([db, name])}`);
    found.push({ kind, name, context: contextOf(row), text: statement });
  }
  return found;
}

function librariesOf(connection: Connection, db: string): Promise<{ name: string; type: string }[]> {
  return connection.query(
    `SELECT LIBRARY_NAME AS name, 'LIBRARY' AS type FROM information_schema.LIBRARIES WHERE LIBRARY_SCHEMA = ?`,
    [db],
  );
}

async function triggersOf(connection: Connection, db: string): Promise<Definition[]> {
  const rows = await connection.query<{ name: string; table: string; context: string; text: string }>(
    `SELECT TRIGGER_NAME AS name, EVENT_OBJECT_TABLE AS \`table\`, ACTION_STATEMENT AS text,
            CONCAT_WS(' ', ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER, DEFINER, SQL_MODE, CHARACTER_SET_CLIENT,
              COLLATION_CONNECTION, DATABASE_COLLATION) AS context
       FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?`,
    [db],
  );
  return rows.map(({ name, table, context, text }) => ({
    kind: 'trigger',
    name,
    context: `${table} ${context}`,
    text,
  }));
}

async function eventsOf(connection: Connection, db: string): Promise<Definition[]> {
  const rows = await connection.query<{ name: string }>(
    'SELECT EVENT_NAME AS name FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ?',
    [db],
  );
  const found: Definition[] = [];
  for (const { name } of rows) {
    const { statement, row } = await created(connection, `EVENT ${quoteTable([db, name])}`);
    found.push({ kind: 'event', name, context: `${row.time_zone ?? ''} ${contextOf(row)}`, text: statement });
  }
  return found;
}

async function created(connection: Connection, what: string): Promise<{ statement: string; row: Texts }> {
  const [row = {}] = await connection.query<Texts>(`SHOW CREATE ${what}`);
  const [, statement] = Object.entries(row).find(([name]) => /^Create /.test(name)) ?? [];
  if (typeof statement !== 'string') throw hidden(what.toLowerCase(), 'SELECT on mysql.* or SHOW_ROUTINE');
  return { statement, row };
}

const contextOf = (row: Texts): string =>
  [row.sql_mode, row.character_set_client, row.collation_connection, row['Database Collation']].join(' ');

function hidden(what: string, right: string): HoldfastError {
  return new HoldfastError('PermissionDenied', `the user may not see how ${what} is made`, {
    hint: `grant it ${right}: a backup would lack the definition`,
  });
}
