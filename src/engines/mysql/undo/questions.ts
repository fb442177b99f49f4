import type { Actions } from '../../undo-actions.ts';
import { sameUnique } from '../compare/effects.ts';
import { sameValues } from '../compare/scratch.ts';
import { describeTable, isSameTable } from '../compare/table.ts';
import type { Connection } from '../connection.ts';
import { quoteIdentifier, quoteTable } from '../identifier.ts';
import type { CreatedTable } from './created-table.ts';
import { isKnown, isRow, judgedUniques, type Mirror, type UndoneTable } from './undone-table.ts';

export interface Judging {
  session: Connection;
  actions: Actions;
  tables: readonly UndoneTable[];
  created: { table: CreatedTable; drop: boolean }[];
}

export const isDropped = ({ created }: Pick<Judging, 'created'>, parts: readonly string[]): boolean =>
  created.some(({ table, drop }) => drop && table.table?.qualified === quoteTable(parts));

const isFilled = (names: readonly string[], alias: string) =>
  names.map((name) => `${alias}.${quoteIdentifier(name)} IS NOT NULL`).join(' AND ');

/** `FROM … WHERE …` for the rows `s` that have to be left alone as orphans (`o`) or for a clash (`c`). */
export async function* questions(judging: Judging, table: UndoneTable): AsyncGenerator<['o' | 'c', string]> {
  const { session, actions, tables } = judging;
  const { rows, compared, mirrors } = table;
  const { production, key } = compared.pair;
  const { going } = mirrors[0] as Mirror;
  const mine = `${production.qualified} AS`;
  for (const index of judgedUniques(table)) {
    const other = key === null ? '' : `AND NOT (${isRow(table, 'o', 's')})`;
    yield [
      'c',
      `FROM ${rows} AS s STRAIGHT_JOIN ${mine} o ON ${sameUnique(index, 'o', 's')} ${other}
       LEFT JOIN ${going} AS g ON ${isRow(table, 'o', 'g')} WHERE ${actions.comes('s')} AND g.holdfast_what IS NULL`,
    ];
  }
  for (const { columns, parent, parentColumns } of production.foreignKeys) {
    if (!isKnown(table, columns)) continue;
    const isThere =
      !isDropped(judging, parent) && (await describeTable(session, parent as [string, string])) !== null;
    const there = isThere ? holds(tables, parent, parentColumns, { names: columns, alias: 's' }, 0) : 'FALSE';
    yield [
      'o',
      `FROM ${rows} AS s WHERE ${actions.comes('s')} AND ${isFilled(columns, 's')} AND NOT ${there}`,
    ];
  }
  for (const { columns, child, parentColumns } of production.referencedBy) {
    if (isDropped(judging, child)) continue;
    const isSelf = isSameTable(child, compared.pair.parts);
    const now = { names: parentColumns, alias: 't' };
    const same = parentColumns
      .map((name) => `t.${quoteIdentifier(name)} <=> s.${quoteIdentifier(name)}`)
      .join(' AND ');
    const loses = isKnown(table, parentColumns) ? `(${actions.updates('s')} AND NOT (${same}))` : 'FALSE';
    const source =
      key === null ? `${mine} t STRAIGHT_JOIN ${rows} AS s` : `${rows} AS s STRAIGHT_JOIN ${mine} t`;
    yield [
      'o',
      `FROM ${source} ON ${isRow(table, 't', 's')}
       WHERE (${actions.deletes('s')} OR ${loses}) AND ${isFilled(parentColumns, 't')}
         AND NOT ${holds(tables, compared.pair.parts, parentColumns, now, 0)}
         AND ${holds(tables, child, columns, now, isSelf ? 1 : 0)}`,
    ];
  }
}

/** SQL: in the end a row of the table has in these columns the values that `alias` has in its own. */
function holds(
  tables: readonly UndoneTable[],
  parts: readonly string[],
  columns: readonly string[],
  { names, alias }: { names: readonly string[]; alias: string },
  number: number,
): string {
  const source = `${quoteTable(parts)} AS h`;
  const same = (other: string) => sameValues(names, alias, other, columns);
  const table = tables.find(({ compared }) => isSameTable(compared.pair.parts, parts));
  if (table === undefined) return `EXISTS (SELECT 1 FROM ${source} WHERE ${same('h')})`;
  const { going, coming } = table.mirrors[number] as Mirror;
  const isFully = isKnown(table, columns);
  // A row that is set back keeps what the undo data does not know.
  const gone = `LEFT JOIN ${going} AS hg ON ${isRow(table, 'h', 'hg')}${isFully ? '' : ` AND hg.holdfast_what = 'd'`}`;
  const stays = `EXISTS (SELECT 1 FROM ${source} ${gone} WHERE ${same('h')} AND hg.holdfast_what IS NULL)`;
  return isFully ? `(${stays} OR EXISTS (SELECT 1 FROM ${coming} AS hc WHERE ${same('hc')}))` : stays;
}
