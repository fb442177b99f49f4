import { parseNameParts } from '../../../model/table.ts';
import type { UndoTable } from '../../contract/change.ts';
import { describeTable, isSameTable, type Table } from '../compare/table.ts';
import type { Connection } from '../connection.ts';
import { quoteIdentifier, quoteTable } from '../identifier.ts';
import { hashSumSql, parseHashSum, ROW_HASH, rowHashSql } from '../row-hash.ts';

/** A table that the import made: it is dropped, or stays. */
export interface CreatedTable {
  data: UndoTable;
  /** null: it is gone already */
  table: Table | null;
  rows: number;
  /** what it holds is not what the import left there: its name alone says that it is the import's */
  isChanged: boolean;
  /** what else needs it, for people; `child`: the quoted name of a table with a foreign key to it */
  dependents: { name: string; child: string | null }[];
}

/** What a table holds, so that it is known again; of the columns too. */
export async function contentOf(
  session: Connection,
  { qualified, columns, name }: Table,
): Promise<{ rows: number; id: string }> {
  const [row] = await session.query<{ rows: string; sum: string }>(
    `SELECT COUNT(*) AS \`rows\`, ${hashSumSql(rowHashSql(columns))} AS sum FROM ${qualified}`,
  );
  const names = columns.map((column) => quoteIdentifier(column.name)).join(',');
  return { rows: Number(row?.rows), id: `${ROW_HASH}:${parseHashSum(String(row?.sum), name)}:${names}` };
}

export async function describeCreated(session: Connection, data: UndoTable): Promise<CreatedTable> {
  const parts = parseNameParts(data.created ?? '') as [string, string];
  const table = await describeTable(session, parts);
  if (table === null) return { data, table, rows: 0, isChanged: false, dependents: [] };
  const { rows, id } = await contentOf(session, table);
  const isChanged = rows !== data.counts.inserted || (data.createdId !== null && data.createdId !== id);
  const children = table.referencedBy.filter(({ child }) => !isSameTable(child, parts));
  const views = await session.query<{ db: string; name: string }>(
    `SELECT table_schema AS db, table_name AS name FROM information_schema.views
     WHERE LOCATE(?, view_definition) > 0 ORDER BY 1, 2`,
    [quoteTable(parts)],
  );
  return {
    ...{ data, table, rows, isChanged },
    dependents: [
      ...children.map(({ name, child }) => ({ name: `constraint ${name}`, child: quoteTable(child) })),
      ...views.map(({ db, name }) => ({ name: `view ${db}.${name}`, child: null })),
    ],
  };
}
