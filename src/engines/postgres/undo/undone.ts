import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import type { UndoData, UndoPlanInput } from '../../contract/change.ts';
import { requireUndoData } from '../../undo-store.ts';
import { openSnapshot } from '../compare/compare.ts';
import { classify } from './classify.ts';
import { type CreatedTable, describeCreated } from './created-table.ts';
import { createRows } from './rows.ts';
import {
  requireCommitted,
  requireNotCommitted,
  requireSameHistory,
  shortTransaction,
} from './server-mark.ts';
import { describeUndone, type UndoneTable } from './undo-table.ts';

/** The import as production has it now. */
export interface Undone {
  data: UndoData;
  tables: UndoneTable[];
  created: CreatedTable[];
}

/** What is read of an import. */
export type UndoneInput = Pick<UndoPlanInput, 'record' | 'read' | 'earlier'>;

/**
 * Looks at every row of the import, in one snapshot that may only read and stays open; what it finds lies in
 * temporary tables of the session. Throws what Engine.planUndo throws.
 */
export async function readUndone(client: pg.Client, input: UndoneInput, run: Run): Promise<Undone> {
  const { transaction } = input.record;
  const data = requireUndoData(input.record);
  await requireSameHistory(client, data.server);
  const committed = await requireCommitted(client, transaction);
  if (input.earlier !== undefined) await requireNotCommitted(client, input.earlier);
  const short = shortTransaction(transaction);
  const tables: UndoneTable[] = [];
  for (const [index, one] of data.tables.entries()) {
    if (one.created !== null) continue;
    const table = await describeUndone(client, one, index);
    await createRows(client, table);
    tables.push(table);
  }
  await openSnapshot(client);
  for (const table of tables) await classify(client, table, short, input.read, run);
  const created: CreatedTable[] = [];
  for (const one of data.tables) {
    if (one.created !== null) created.push(await describeCreated(client, one, short));
  }
  const isProved =
    committed !== null ||
    tables.some(({ ours }) => ours > 0) ||
    created.some(({ relation, isChanged: changed }) => relation !== null && !changed);
  if (!isProved) {
    throw new HoldfastError('CheckFailed', 'production no longer knows whether the import committed', {
      hint: 'none of its rows is there as it left them: look at the tables themselves',
    });
  }
  return { data, tables, created };
}
