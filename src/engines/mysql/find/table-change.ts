import type { Candidate } from '../../contract/read.ts';
import type { Statement } from '../binlog/statement.ts';
import type { Transaction } from '../binlog/transaction.ts';

/** What one transaction did to one table. */
export interface TableChange
  extends Pick<Candidate, 'deleted' | 'updated' | 'inserted' | 'whole' | 'partitions'> {
  /** the log has statements, not rows: how many rows is not known */
  isUncounted: boolean;
  /** statements that insert rows, of which each may also change rows (ON DUPLICATE KEY UPDATE) */
  insertStatements: number;
  /** only a statement in other letter case names the table: it is meant where the server folds names */
  isFolded: boolean;
  /** for people, behind the transaction's name */
  notices: string[];
}

export interface TableNames {
  /** `db.table` in the form of model/table.ts */
  table: string;
  db: string;
}

const PARTITIONS = { touched: null, all: null };
const WEIGHT = { rewritten: 1, truncated: 2, dropped: 3 } as const;

/** Null: nothing. The table is known by its name alone: which one had it at that moment is meant. */
export function changeOf(transaction: Transaction, { table, db }: TableNames): TableChange | null {
  const change: TableChange = {
    ...{ deleted: 0, updated: 0, inserted: 0, whole: null, partitions: null },
    ...{ isUncounted: false, insertStatements: 0, isFolded: true, notices: [] },
  };
  let any = false;
  const note = (isExact: boolean) => {
    any = true;
    if (isExact) change.isFolded = false;
  };
  for (const touched of transaction.tables) {
    if (touched.table !== table) continue;
    note(true);
    change.deleted += touched.deleted;
    change.updated += touched.updated;
    change.inserted += touched.inserted;
    if (touched.isUncounted)
      change.notices.push('has rows that cannot be counted: a column is of a type that is not known here');
    change.isUncounted ||= touched.isUncounted;
  }
  for (const statement of transaction.ddl) {
    const isExact = isNamed(statement, table, db);
    if (!isExact && !isNamed(folded(statement), table.toLowerCase(), db.toLowerCase())) continue;
    const did = isExact
      ? defined(statement, table, change.notices)
      : defined(folded(statement), table.toLowerCase(), change.notices);
    if (did === null) continue;
    note(isExact);
    if (change.whole !== null && WEIGHT[change.whole] > WEIGHT[did.whole]) continue;
    // A table that went as a whole is not one of which partitions went.
    change.partitions = change.whole === did.whole && change.partitions === null ? null : did.partitions;
    change.whole = did.whole;
  }
  for (const statement of transaction.dataStatements) {
    const isExact = statement.tables.includes(table);
    if (!isExact && !folded(statement).tables.includes(table.toLowerCase())) continue;
    note(isExact);
    if (statement.verb === 'insert' || statement.verb === 'load') {
      change.insertStatements += 1;
      continue;
    }
    change.isUncounted = true;
    if (statement.verb === 'delete' && statement.isOfAllRows) change.whole ??= 'truncated';
  }
  return any ? change : null;
}

function isNamed({ tables, database }: Statement, table: string, db: string): boolean {
  return tables.includes(table) || database === db;
}

const folded = (statement: Statement): Statement => ({
  ...statement,
  tables: statement.tables.map((name) => name.toLowerCase()),
  database: statement.database?.toLowerCase() ?? null,
  renamed: statement.renamed.map(({ from, to }) => ({ from: from.toLowerCase(), to: to.toLowerCase() })),
});

type Whole = { whole: NonNullable<Candidate['whole']>; partitions: Candidate['partitions'] };

function defined(statement: Statement, table: string, notices: string[]): Whole | null {
  const { kind, isReplacing, renamed, removes, tables } = statement;
  const whole = (what: Whole['whole'], partitions: Whole['partitions'] = null): Whole => ({
    whole: what,
    partitions,
  });
  switch (kind) {
    case 'truncate':
      return whole('truncated');
    case 'drop':
    case 'drop-database':
      return whole('dropped');
    case 'create':
    case 'create-database':
      return isReplacing ? whole('dropped') : null;
    case 'rename':
    case 'alter':
      break;
    default:
      return null;
  }
  const away = renamed.find(({ from }) => from === table);
  const here = renamed.findLast(({ to }) => to === table);
  if (away !== undefined && here !== undefined) {
    notices.push(`put ${here.from} in the place of ${table}, which is called ${away.to} since`);
    return whole('rewritten');
  }
  if (away !== undefined) {
    notices.push(`renamed ${table} to ${away.to}`);
    return whole('dropped');
  }
  if (here !== undefined) {
    notices.push(
      `gave the name to ${here.from}: what happened to it before, under that name, is not counted`,
    );
    return whole('rewritten');
  }
  if (removes.includes('tablespace')) return whole('dropped');
  if (removes.includes('all rows')) return whole('truncated');
  if (removes.includes('exchanged partition')) {
    notices.push(`exchanged rows between ${tables.join(' and a partition of ')}`);
    return whole('truncated', tables[0] === table ? PARTITIONS : null);
  }
  if (removes.includes('partitions')) return whole('dropped', PARTITIONS);
  if (removes.includes('rows of partitions')) return whole('truncated', PARTITIONS);
  if (removes.includes('columns')) notices.push('dropped a column');
  return whole('rewritten');
}
