import type { Run } from '../../../model/progress.ts';
import { parseNameParts } from '../../../model/table.ts';
import type { UndoData, UndoPlanInput } from '../../contract/change.ts';
import { requireUndoData } from '../../undo-store.ts';
import { refuseUnentitled } from '../compare/rights.ts';
import type { Connection } from '../connection.ts';
import { classify } from './classify.ts';
import { type CreatedTable, describeCreated } from './created-table.ts';
import { fillRows } from './rows.ts';
import { requireCommitted, requireNotUndone, requireSameHistory } from './server-mark.ts';
import { describeUndone, type UndoneTable } from './undone-table.ts';

/** The import as production has it now. */
export interface Undone {
  data: UndoData;
  tables: UndoneTable[];
  created: CreatedTable[];
}

/** Where an undo has its marker. */
const schemaOf = ({ tables: [first] }: UndoData) => parseNameParts(first?.created ?? first?.table ?? '')[0];

/**
 * Looks at every row of the import; what it finds lies in temporary tables of the session. Reads what is committed, one
 * statement after the other, and locks nothing: what is done is looked at again under locks. Throws what planUndo throws.
 */
export async function readUndone(
  session: Connection,
  input: Pick<UndoPlanInput, 'record' | 'read' | 'earlier'>,
  run: Run,
): Promise<Undone> {
  const { transaction } = input.record;
  const data = requireUndoData(input.record);
  await requireSameHistory(session, data.server);
  await requireCommitted(session, transaction);
  await session.execute('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
  const tables: UndoneTable[] = [];
  const created: CreatedTable[] = [];
  for (const [index, one] of data.tables.entries()) {
    if (one.created !== null) created.push(await describeCreated(session, one));
    else tables.push(await describeUndone(session, one, index));
  }
  await refuseUnentitled(
    session,
    tables.map(({ compared }) => compared.pair),
    schemaOf(data),
  );
  for (const table of tables) {
    await fillRows(session, table, input.read, run);
    await classify(session, table, run);
  }
  const isAnyOurs =
    tables.some(({ ours }) => ours > 0) ||
    created.some(({ table, isChanged }) => table !== null && !isChanged);
  if (input.earlier !== undefined) await requireNotUndone(session, input.earlier, isAnyOurs);
  return { data, tables, created };
}
