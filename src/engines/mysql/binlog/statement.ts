import { formatNameParts } from '../../../model/table.ts';
import { changedTables } from './changed-tables.ts';
import type { QueryContent } from './event.ts';
import { takeTable, takeTables } from './table-reference.ts';
import { Tokens, tokensOf } from './token.ts';

export type StatementKind =
  | 'begin'
  | 'commit'
  | 'rollback'
  | 'savepoint'
  | 'xa'
  | 'create'
  | 'drop'
  | 'truncate'
  | 'alter'
  | 'rename'
  | 'create-database'
  | 'alter-database'
  | 'drop-database'
  /** views, routines, triggers, users, rights … */
  | 'definition'
  /** of tables that only their session sees */
  | 'temporary'
  /** rows changed by the statement itself: STATEMENT or MIXED format */
  | 'data'
  | 'other';

export interface Statement {
  kind: StatementKind;
  /**
   * `db.table` in the form of model/table.ts, as the statement writes the names: where the server folds them to lower
   * case (lower_case_table_names) they are folded elsewhere. With EXCHANGE PARTITION and RENAME every table of it.
   */
  tables: string[];
  /** the db of the kinds that are about one */
  database: string | null;
  renamed: { from: string; to: string }[];
  /** CREATE OR REPLACE: what had the name before is gone */
  isReplacing: boolean;
  /** what an ALTER takes away from the table, data with it */
  removes: (
    | 'columns'
    | 'partitions'
    | 'rows of partitions'
    | 'all rows'
    | 'exchanged partition'
    | 'tablespace'
  )[];
  /** of `data` */
  verb: 'insert' | 'replace' | 'update' | 'delete' | 'load' | 'unknown' | null;
  /** an UPDATE or DELETE without WHERE and LIMIT */
  isOfAllRows: boolean;
  /** xid as in XA COMMIT, `X'67',X'',1` */
  xa: { step: 'start' | 'end' | 'prepare' | 'commit' | 'rollback'; xid: string } | null;
}

/** A statement of a kind of which nothing more is to be said than this. */
function plain(kind: StatementKind, more: Partial<Statement> = {}): Statement {
  return {
    kind,
    ...{ tables: [], database: null, renamed: [], isReplacing: false, removes: [] },
    ...{ verb: null, isOfAllRows: false, xa: null },
    ...more,
  };
}

type Query = Pick<QueryContent, 'sql' | 'db' | 'hasAnsiQuotes' | 'isCut' | 'isLoad'>;

/** What a statement of the log does, as far as its beginning tells. Never throws: what is not understood is `other`. */
export function classify(query: Query): Statement {
  const tokens = new Tokens(tokensOf(query.sql, query.hasAnsiQuotes));
  // MariaDB: SET STATEMENT max_statement_time=1 FOR DROP TABLE …
  if (tokens.accept('SET') !== null) {
    if (tokens.accept('STATEMENT') === null) return plain('other');
    while (!tokens.isEnd && tokens.accept('FOR') === null) tokens.take();
  }
  const first = tokens.accept(...FIRST_WORDS);
  switch (first) {
    case 'BEGIN':
      return plain('begin');
    case 'START':
      return plain(tokens.accept('TRANSACTION') ? 'begin' : 'other');
    case 'COMMIT':
      return plain('commit');
    case 'ROLLBACK':
      return plain(tokens.isEnd ? 'rollback' : 'savepoint');
    case 'SAVEPOINT':
    case 'RELEASE':
      return plain('savepoint');
    case 'XA':
      return xaOf(query.sql);
    case 'CREATE':
      return create(tokens, query.db);
    case 'DROP':
      return drop(tokens, query.db);
    case 'ALTER':
      return alter(tokens, query.db);
    case 'RENAME':
      return rename(tokens, query.db);
    case 'TRUNCATE':
      tokens.accept('TABLE');
      return plain('truncate', { tables: takeTables(tokens, query.db) });
    case 'GRANT':
    case 'REVOKE':
      return plain('definition');
    default:
      return data(first, tokens, query);
  }
}

const CONTROL_WORDS = ['BEGIN', 'START', 'COMMIT', 'ROLLBACK', 'SAVEPOINT', 'RELEASE', 'XA'];
const DEFINING_WORDS = ['CREATE', 'DROP', 'ALTER', 'RENAME', 'TRUNCATE', 'GRANT', 'REVOKE'];
const DATA_WORDS = ['INSERT', 'REPLACE', 'UPDATE', 'DELETE', 'LOAD', 'WITH', 'SELECT', 'CALL', 'DO', '('];
const FIRST_WORDS = [...CONTROL_WORDS, ...DEFINING_WORDS, ...DATA_WORDS];
const VERBS: ReadonlyMap<string, NonNullable<Statement['verb']>> = new Map([
  ...([
    ['INSERT', 'insert'],
    ['REPLACE', 'replace'],
  ] as const),
  ...([
    ['UPDATE', 'update'],
    ['DELETE', 'delete'],
    ['LOAD', 'load'],
  ] as const),
]);

function data(first: string | null, tokens: Tokens, query: Query): Statement {
  if (first === null) return plain(query.isLoad ? 'data' : 'other');
  const verb = VERBS.get(first) ?? 'unknown';
  const { tables, isLimited } = changedTables(verb, tokens, query.db);
  const isOfAllRows = (verb === 'update' || verb === 'delete') && !isLimited && !query.isCut;
  return plain('data', { tables, verb, isOfAllRows });
}

function xaOf(sql: string): Statement {
  const [, step = '', rest = ''] =
    /^\s*XA\s+(START|BEGIN|END|PREPARE|COMMIT|ROLLBACK)\s+([\s\S]*)$/i.exec(sql) ?? [];
  if (step === '') return plain('other');
  const name = step.toLowerCase().replace('begin', 'start') as NonNullable<Statement['xa']>['step'];
  const xid = rest.replace(/\s+(ONE\s+PHASE|JOIN|RESUME|SUSPEND.*)\s*$/i, '').trim();
  return plain('xa', { xa: { step: name, xid } });
}

function create(tokens: Tokens, db: string): Statement {
  const isReplacing = tokens.acceptAll('OR', 'REPLACE');
  const isTemporary = tokens.accept('TEMPORARY') !== null;
  if (tokens.accept('TABLE') !== null) {
    tokens.acceptAll('IF', 'NOT', 'EXISTS');
    const tables = takeTable(tokens, db);
    return plain(isTemporary ? 'temporary' : 'create', { tables, isReplacing });
  }
  if (tokens.accept('DATABASE', 'SCHEMA') !== null) {
    tokens.acceptAll('IF', 'NOT', 'EXISTS');
    return plain('create-database', { database: tokens.take()?.text ?? null, isReplacing });
  }
  tokens.accept('UNIQUE', 'FULLTEXT', 'SPATIAL');
  return tokens.accept('INDEX') === null ? plain('definition') : indexOn(tokens, db);
}

function drop(tokens: Tokens, db: string): Statement {
  const isTemporary = tokens.accept('TEMPORARY') !== null;
  if (tokens.accept('TABLE', 'TABLES') !== null) {
    tokens.acceptAll('IF', 'EXISTS');
    return plain(isTemporary ? 'temporary' : 'drop', { tables: takeTables(tokens, db) });
  }
  if (tokens.accept('DATABASE', 'SCHEMA') !== null) {
    tokens.acceptAll('IF', 'EXISTS');
    return plain('drop-database', { database: tokens.take()?.text ?? null });
  }
  return tokens.accept('INDEX') === null ? plain('definition') : indexOn(tokens, db);
}

/** CREATE INDEX i … ON t, DROP INDEX i ON t */
function indexOn(tokens: Tokens, db: string): Statement {
  while (!tokens.isEnd && tokens.accept('ON') === null) tokens.take();
  return plain('alter', { tables: takeTable(tokens, db) });
}

function rename(tokens: Tokens, db: string): Statement {
  if (tokens.accept('TABLE', 'TABLES') === null) return plain('definition');
  tokens.acceptAll('IF', 'EXISTS');
  const renamed: Statement['renamed'] = [];
  do {
    const [from] = takeTable(tokens, db);
    while (!tokens.isEnd && tokens.accept('TO') === null) tokens.take();
    const [to] = takeTable(tokens, db);
    if (from !== undefined && to !== undefined) renamed.push({ from, to });
  } while (tokens.accept(',') !== null);
  return plain('rename', { tables: renamed.flatMap(({ from, to }) => [from, to]), renamed });
}

function alter(tokens: Tokens, db: string): Statement {
  while (tokens.accept('ONLINE', 'OFFLINE', 'IGNORE') !== null);
  if (tokens.accept('DATABASE', 'SCHEMA') !== null) {
    const database = tokens.isName ? (tokens.take()?.text ?? db) : db;
    return plain('alter-database', { database });
  }
  if (tokens.accept('TABLE') === null) return plain('definition');
  tokens.acceptAll('IF', 'EXISTS');
  const tables = takeTable(tokens, db);
  const [from] = tables;
  const statement: Statement = plain('alter', { tables, renamed: [], removes: [] });
  let depth = 0;
  while (!tokens.isEnd && from !== undefined) {
    if (tokens.accept('(')) depth += 1;
    else if (tokens.accept(')')) depth -= 1;
    else if (depth > 0) tokens.take();
    else alterPart(tokens, db, from, statement);
  }
  statement.removes = [...new Set(statement.removes)];
  return statement;
}

const NOT_COLUMNS = [
  'INDEX',
  'KEY',
  'PRIMARY',
  'FOREIGN',
  'CONSTRAINT',
  'CHECK',
  'DEFAULT',
  'SYSTEM',
  'PERIOD',
];

/** One step through what an ALTER TABLE does: takes at least one token. */
function alterPart(tokens: Tokens, db: string, from: string, statement: Statement): void {
  switch (
    tokens.accept('DROP', 'TRUNCATE', 'EXCHANGE', 'DISCARD', 'RENAME', 'ALTER', 'MODIFY', 'CHANGE', 'ADD')
  ) {
    case 'DROP':
      if (tokens.accept('PARTITION') !== null) statement.removes.push('partitions');
      else if (tokens.accept(...NOT_COLUMNS) === null) statement.removes.push('columns');
      break;
    case 'TRUNCATE':
      if (tokens.accept('PARTITION') === null) break;
      statement.removes.push(tokens.accept('ALL') === null ? 'rows of partitions' : 'all rows');
      break;
    case 'EXCHANGE':
      statement.removes.push('exchanged partition');
      while (!tokens.isEnd && tokens.accept('TABLE') === null) tokens.take();
      statement.tables.push(...takeTable(tokens, db));
      break;
    case 'DISCARD':
      statement.removes.push('tablespace');
      break;
    case 'RENAME': {
      if (tokens.accept('COLUMN', 'INDEX', 'KEY') !== null) break;
      tokens.accept('TO', 'AS', '=');
      const [to] = takeTable(tokens, db);
      if (to === undefined) break;
      statement.renamed.push({ from, to });
      statement.tables.push(to);
      break;
    }
    case null:
      tokens.take();
      break;
    default:
      // A column may have the name of one of these words: what follows ADD, ALTER, MODIFY or CHANGE is passed over.
      tokens.accept('COLUMN');
      tokens.take();
  }
}

/** A table of the row events in the same form. */
export function tableNameOf({ db, table }: { db: string; table: string }): string {
  return formatNameParts([db, table]);
}
