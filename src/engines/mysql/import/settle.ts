import { checkedUniques, sameUnique } from '../compare/effects.ts';
import { defineColumns, hashOf, keyColumns, sameKey } from '../compare/scratch.ts';
import { columnsOf } from '../compare/table.ts';
import type { Connection } from '../connection.ts';
import { quoteIdentifier } from '../identifier.ts';
import { isRow, isStaged, NUMBERED, namesOf, type Stage } from './stage.ts';

/**
 * Under the locks: marks each staged row with what has to be done to it as production is now. Rows of which nothing
 * differs any more have vanished from the change; how many approved updates are gone by now, and so are inserted.
 */
export async function settle(session: Connection, stage: Stage): Promise<number> {
  const { compared, rows } = stage;
  const { pair } = compared;
  const there = `JOIN ${pair.production.qualified} AS t ON ${isRow(compared, 't', 's')}`;
  await session.execute(
    `UPDATE ${rows} AS s STRAIGHT_JOIN ${there.slice(5)} SET s.holdfast_how = 'v' WHERE s.holdfast_how = 'i'`,
  );
  await session.execute(
    `UPDATE ${rows} AS s STRAIGHT_JOIN ${there.slice(5)} SET s.holdfast_how = 'v'
     WHERE s.holdfast_how = 'u' AND s.holdfast_hash = ${hashOf(pair, 't')}`,
  );
  const key = quoteIdentifier(keyColumns(pair)[0]?.name as string);
  const { foundRows } = await session.execute(
    `UPDATE ${rows} AS s LEFT ${there} SET s.holdfast_how = 'i' WHERE s.holdfast_how = 'u' AND t.${key} IS NULL`,
  );
  return foundRows;
}

/** Before the transaction: a place for what {@link markExchanged} looks at. */
export async function createMoving(session: Connection, { compared, moving }: Stage): Promise<void> {
  const names = movingColumns(compared);
  if (names === null) return;
  await session.execute(
    `CREATE TEMPORARY TABLE ${moving} (${NUMBERED}, ${defineColumns(columnsOf(compared.pair.production, names), () => false)}) ENGINE=InnoDB`,
  );
}

/**
 * Rows that hold a unique value which another row of the change is to get are deleted, and inserted again at the end: an
 * UPDATE looks at unique values row by row.
 */
export async function markExchanged(session: Connection, { compared, rows, moving }: Stage): Promise<void> {
  const { pair } = compared;
  const names = movingColumns(compared);
  if (names === null) return;
  await session.execute(
    `INSERT INTO ${moving} (${namesOf(names)}) SELECT ${namesOf(names)} FROM ${rows} WHERE ${isStaged('u')}`,
  );
  for (const index of movedUniques(compared)) {
    await session.execute(
      `UPDATE ${moving} AS w STRAIGHT_JOIN ${pair.production.qualified} AS t ON ${sameUnique(index, 't', 'w')} AND NOT (${sameKey(pair, 't', 'w')})
       STRAIGHT_JOIN ${rows} AS s ON ${isRow(compared, 't', 's')} SET s.holdfast_how = 'r' WHERE s.holdfast_how = 'u'`,
    );
  }
}

/** Of values that rows bring along. */
function movedUniques(compared: Stage['compared']) {
  const { columns } = compared.pair;
  return checkedUniques(compared).filter(({ parts }) =>
    parts.every(({ column }) => columns.includes(column as string)),
  );
}

function movingColumns(compared: Stage['compared']): string[] | null {
  const { key } = compared.pair;
  const uniques = movedUniques(compared);
  if (key === null || uniques.length === 0) return null;
  return [
    ...new Set([...key, ...uniques.flatMap(({ parts }) => parts.map(({ column }) => column as string))]),
  ];
}
