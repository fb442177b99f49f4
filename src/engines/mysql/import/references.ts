import { formatNameParts } from '../../../model/table.ts';
import { planChanged } from '../../approved.ts';
import { defineColumns, sameValues } from '../compare/scratch.ts';
import { columnsOf, type ForeignKey, isSameTable } from '../compare/table.ts';
import type { Connection } from '../connection.ts';
import { quoteIdentifier, quoteTable } from '../identifier.ts';
import { isRow, isStaged, NUMBERED, namesOf, type Stage } from './stage.ts';

/**
 * Foreign keys are off while rows are written: they would be looked at row by row, which no order of rows satisfies where
 * they refer to each other in a circle, and ON DELETE CASCADE would act. Here they are looked at, by locking reads: what
 * they found stays true until the commit.
 */
export async function keepLost(session: Connection, stage: Stage): Promise<void> {
  const { rows, lost, compared } = stage;
  const { production } = compared.pair;
  const names = referredColumns(stage);
  if (names.length === 0 || compared.pair.gone) return;
  await session.execute(
    `INSERT INTO ${lost} (${namesOf(names)}) SELECT ${names.map((name) => `t.${quoteIdentifier(name)}`).join(', ')}
     FROM ${rows} AS s STRAIGHT_JOIN ${production.qualified} AS t ON ${isRow(compared, 't', 's')} WHERE ${isStaged('urdD', 's')}`,
  );
}

/** Before the transaction. */
export async function createLost(session: Connection, stage: Stage): Promise<void> {
  const names = referredColumns(stage);
  if (names.length === 0) return;
  const columns = columnsOf(stage.compared.pair.production, names);
  await session.execute(
    `CREATE TEMPORARY TABLE ${stage.lost} (${NUMBERED}, ${defineColumns(columns, () => false)}) ENGINE=InnoDB`,
  );
}

function referredColumns({ compared: { pair } }: Stage): string[] {
  return [...new Set(pair.production.referencedBy.flatMap(({ parentColumns }) => parentColumns))];
}

/** Nobody else writes what a query reads so; in MySQL it takes no right to write, as FOR UPDATE does. */
export const shareNowait = ({ server }: Pick<Connection, 'server'>): string =>
  server.flavour === 'mysql' ? 'FOR SHARE NOWAIT' : 'LOCK IN SHARE MODE NOWAIT';

/** Locks what the change rests on, without waiting: parents of rows that come, and children of rows that go or change. */
export function referenceLocks(session: Connection, stage: Stage): string[] {
  const { compared, rows } = stage;
  const { pair } = compared;
  const share = shareNowait(session);
  const parents = stage.parents
    .filter(({ isMade }) => !isMade)
    .map(
      ({ key: { columns, parent, parentColumns } }) =>
        `SELECT COUNT(p.${quoteIdentifier(parentColumns[0] as string)}) FROM ${rows} AS s
       STRAIGHT_JOIN ${quoteTable(parent)} AS p ON ${sameValues(columns, 's', 'p', parentColumns)}
       WHERE ${isStaged('iu', 's')} ${share}`,
    );
  const children = pair.production.referencedBy.map(
    ({ columns, child, parentColumns }) =>
      `SELECT COUNT(p.${quoteIdentifier(columns[0] as string)}) FROM ${rows} AS s
       STRAIGHT_JOIN ${pair.production.qualified} AS t ON ${isRow(compared, 't', 's')}
       STRAIGHT_JOIN ${quoteTable(child)} AS p ON ${sameValues(parentColumns, 't', 'p', columns)}
       WHERE ${isStaged('udD', 's')} ${share}`,
  );
  return pair.gone ? [] : [...parents, ...children];
}

/** Throws PlanChanged where, after the change, a row refers to none. `made` says where a table of a name lies by now. */
export async function requireReferences(
  session: Connection,
  stage: Stage,
  made: (parts: readonly string[]) => string,
): Promise<void> {
  const { compared, rows, lost } = stage;
  const { pair } = compared;
  const share = session.server.flavour === 'mysql' ? 'FOR SHARE' : 'LOCK IN SHARE MODE';
  const own = made(pair.parts);
  const written = pair.gone
    ? `${own} AS t`
    : `${rows} AS s STRAIGHT_JOIN ${own} AS t ON ${isRow(compared, 't', 's')} AND ${isStaged('iur', 's')}`;
  for (const { key } of stage.parents) {
    const filled = key.columns.map((name) => `t.${quoteIdentifier(name)} IS NOT NULL`).join(' AND ');
    await refuseAny(
      session,
      `SELECT 1 FROM ${written} LEFT JOIN ${made(key.parent)} AS p ON ${sameValues(key.columns, 't', 'p', key.parentColumns)}
       WHERE ${filled} AND p.${quoteIdentifier(key.parentColumns[0] as string)} IS NULL LIMIT 1 ${share}`,
      `a row of ${formatNameParts(key.parent)} is gone to which rows of ${pair.table} refer`,
      key,
    );
  }
  if (pair.gone || stage.rule === 'insert-missing') return;
  for (const key of pair.production.referencedBy) {
    await refuseAny(
      session,
      `SELECT 1 FROM ${lost} AS l STRAIGHT_JOIN ${made(key.child)} AS c ON ${sameValues(key.parentColumns, 'l', 'c', key.columns)}
       LEFT JOIN ${own} AS t ON ${sameValues(key.parentColumns, 'l', 't')}
       WHERE t.${quoteIdentifier(key.parentColumns[0] as string)} IS NULL LIMIT 1 ${share}`,
      `rows of ${formatNameParts(key.child)} refer to rows of ${pair.table} that are to go`,
      key,
    );
  }
}

async function refuseAny(
  session: Connection,
  sql: string,
  what: string,
  { name }: ForeignKey,
): Promise<void> {
  const found = await session.query(sql);
  if (found.length > 0) throw planChanged(`${what} (constraint ${name})`);
}

/** The name that a table has while it is made, or its own. */
export function madeNames(made: readonly { parts: readonly string[]; qualified: string }[]) {
  return (parts: readonly string[]): string =>
    made.find((table) => isSameTable(table.parts, parts))?.qualified ?? quoteTable(parts);
}
