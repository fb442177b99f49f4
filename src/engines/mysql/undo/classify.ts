import type { Run } from '../../../model/progress.ts';
import { isChanged } from '../../undo-actions.ts';
import { hashOf } from '../compare/scratch.ts';
import type { Connection } from '../connection.ts';
import { quoteIdentifier } from '../identifier.ts';
import type { Value } from '../import/undo-data.ts';
import { GOING } from './rows.ts';
import { identifying, isRow, type UndoneTable } from './undone-table.ts';

/** Finds out what has become of every row of the import. Locks nothing: the session reads what is committed. */
export async function classify(session: Connection, table: UndoneTable, run: Run): Promise<void> {
  const { rows, data, compared } = table;
  const { pair } = compared;
  const { found } = compared;
  run.progress({ phase: `looking at ${data.table}` });
  const source = `${pair.production.qualified} AS t`;
  // By INSERT … SELECT: the rows that an UPDATE reads of another table, it locks.
  await session.execute(
    pair.key === null
      ? `INSERT INTO ${found} SELECT s.holdfast_n, s.holdfast_hash, COUNT(*) FROM ${source} STRAIGHT_JOIN ${rows} AS s
           ON ${isRow(table, 't', 's')} WHERE s.holdfast_kind = 'i' GROUP BY s.holdfast_n, s.holdfast_hash`
      : `INSERT INTO ${found} SELECT s.holdfast_n, ${hashOf(pair, 't')}, 1 FROM ${rows} AS s STRAIGHT_JOIN ${source}
           ON ${isRow(table, 't', 's')}`,
  );
  const state = `CASE WHEN f.holdfast_now = s.holdfast_hash THEN 'o'
    WHEN s.holdfast_kind <> 'i' AND f.holdfast_now = s.holdfast_before THEN 's' ELSE 'c' END`;
  await session.execute(
    `UPDATE ${found} AS f JOIN ${rows} AS s ON s.holdfast_n = f.holdfast_n SET s.holdfast_now = f.holdfast_now,
       s.holdfast_there = f.holdfast_there, s.holdfast_state = ${state}`,
  );
  const sum = (condition: string, what = '1') => `CAST(IFNULL(SUM(IF(${condition}, ${what}, 0)), 0) AS CHAR)`;
  const missing = 'CAST(s.holdfast_count AS SIGNED) - LEAST(s.holdfast_count, s.holdfast_there)';
  const [counted] = await session.query<{ changed: string; ours: string; unknown: string }>(
    `SELECT ${sum(isChanged('s'))} AS changed, ${sum(`s.holdfast_state = 'o'`, GOING('s'))} AS ours,
       ${sum(`s.holdfast_kind = 'i'`, missing)} AS unknown FROM ${rows} AS s`,
  );
  table.changed = Number(counted?.changed);
  table.ours = Number(counted?.ours);
  table.unknown = pair.key === null ? Number(counted?.unknown) : 0;
}

/** The keys of rows that others have changed, as lines of undo data, with the names of the columns first. */
export async function* changedKeys(session: Connection, table: UndoneTable): AsyncGenerator<Value[]> {
  yield identifying(table).map(({ name }) => Buffer.from(name));
  const keys = identifying(table).map(({ name }) => `s.${quoteIdentifier(name)}`);
  yield* session.stream(
    `SELECT ${keys.join(', ')} FROM ${table.rows} AS s WHERE ${isChanged('s')} ORDER BY s.holdfast_n`,
  );
}
