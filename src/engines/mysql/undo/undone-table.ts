import { HoldfastError } from '../../../model/failure.ts';
import { parseNameParts } from '../../../model/table.ts';
import type { UndoTable } from '../../contract/change.ts';
import { checkedUniques } from '../compare/effects.ts';
import type { TablePair } from '../compare/pair.ts';
import { type Compared, HASH, hashOf, neededColumns } from '../compare/scratch.ts';
import { type Column, columnOf, describeTable, type Table, type UniqueIndex } from '../compare/table.ts';
import type { Connection } from '../connection.ts';
import { quoteIdentifier, quoteTable } from '../identifier.ts';
import { definitionOf } from '../import/undo-writer.ts';

/** A table of the import as production has it now; what has become of its rows is in {@link UndoneTable.rows}. */
export interface UndoneTable {
  data: UndoTable;
  /** the table twice, as a comparison has it: the undo is staged and done as an import is */
  compared: Compared;
  /** the temporary table with every row of the undo data: see rows.ts */
  rows: string;
  /** temporary tables for a judgement: see judge.ts. MySQL reads one only once in a statement, hence several */
  mirrors: Mirror[];
  /** rows that others have changed or removed */
  changed: number;
  /** rows that are as the import left them */
  ours: number;
  /** without a key: inserted rows that are not there any more as the import left them */
  unknown: number;
}

export interface Mirror {
  /** rows of production that go or are set back, by their key; without one, by the hash of which all rows go */
  going: string;
  /** rows that come or are set back, with their new values */
  coming: string;
}

/**
 * The table as it is now. Throws NotSupported where what the import replaced cannot be put back into it: it is gone, has
 * lost a column or its key, or has no transactions any more.
 */
export async function describeUndone(
  session: Connection,
  data: UndoTable,
  index: number,
): Promise<UndoneTable> {
  const parts = parseNameParts(data.table) as [string, string];
  const table = await describeTable(session, parts);
  const refuse = (what: string): never => {
    throw new HoldfastError('NotSupported', `the import into ${data.table} cannot be taken back: ${what}`, {
      hint: 'recover to the moment before the import instead: holdfast restore pitr',
    });
  };
  if (table === null) return refuse('the table is gone since');
  if (table.engine.toLowerCase() !== 'innodb' || table.systemVersioned) {
    return refuse('the table has no transactions, or is system-versioned, since');
  }
  const lost = data.columns.find((name) => {
    const column = columnOf(table, name);
    return column === undefined || column.generated !== null;
  });
  if (lost !== undefined) refuse(`its column ${lost} is gone since`);
  const other = data.columns.find((name, at) => {
    const column = columnOf(table, name) as Column;
    const before = data.definitions?.[at] ?? '';
    if (/^(?:enum|set)$/.test(column.type)) return before !== definitionOf(column);
    return column.charset !== null && !before.endsWith(` ${column.charset}`);
  });
  if (other !== undefined)
    refuse(`its column ${other} has another character set, or is another enumeration, since`);
  const key = data.key === null ? null : keyOf(table, data.key);
  if (key === undefined) return refuse('the key by which its rows are known is gone since');
  const pair: TablePair = {
    ...{ table: data.table, parts, production: table, restored: table, gone: false },
    ...{ key: data.key, keyIndex: key?.name ?? '', columns: data.columns, converted: [] },
    ...{ refusals: {}, notices: [] },
  };
  const own = (name: string) => quoteTable([parts[0], `holdfast_${name}_${index}`]);
  // A row may refer to another of its table.
  const refersToItself = table.foreignKeys.some(({ parent }) => quoteTable(parent) === table.qualified);
  const mirrors = (refersToItself ? ['', 'again_'] : ['']).map((name) => ({
    going: own(`${name}going`),
    coming: own(`${name}coming`),
  }));
  return {
    ...{ data, rows: own('undo'), mirrors, changed: 0, ours: 0, unknown: 0 },
    compared: { pair, index, live: '', copy: '', rows: '', diff: '', found: own('found') },
  };
}

function keyOf(table: Table, names: readonly string[]): UniqueIndex | undefined {
  const wanted = names.toSorted().join('\0');
  return table.uniques.find(({ parts }) => {
    const isWhole = parts.every(
      ({ column, length }) =>
        column !== null && length === null && columnOf(table, column)?.nullable === false,
    );
    return (
      isWhole &&
      parts
        .map(({ column }) => column)
        .toSorted()
        .join('\0') === wanted
    );
  });
}

/** SQL: row `t` of production's table is the one that `s` has the key, or without one the hash, of. */
export function isRow({ compared: { pair } }: UndoneTable, t: string, s: string): string {
  if (pair.key === null) return `${s}.holdfast_hash = ${hashOf(pair, t)}`;
  return pair.key
    .map((name) => `${t}.${quoteIdentifier(name)} = ${s}.${quoteIdentifier(name)}`)
    .join(' AND ');
}

/** What identifies rows of production in the undo data. */
export const identifying = ({ compared: { pair } }: UndoneTable): Column[] =>
  pair.key === null ? [HASH] : pair.key.map((name) => columnOf(pair.production, name) as Column);

/** Whether the values of these columns are known of rows that come. */
export const isKnown = ({ data }: UndoneTable, columns: readonly (string | null)[]): boolean =>
  columns.every((name) => name !== null && data.columns.includes(name));

/** The known columns that unique indexes and foreign keys read. */
export const judgedColumns = (table: UndoneTable): Column[] =>
  neededColumns(table.compared.pair).filter(({ name }) => isKnown(table, [name]));

export const judgedUniques = (table: UndoneTable): UniqueIndex[] =>
  checkedUniques(table.compared).filter(({ parts }) =>
    isKnown(
      table,
      parts.map(({ column }) => column),
    ),
  );
