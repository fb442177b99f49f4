import type { Run } from '../../../model/progress.ts';
import type { UndoInput } from '../../contract/change.ts';
import { withConnection } from '../connection.ts';
import { planChanged } from '../import/import-error.ts';
import { type CreatedTable, contentOf } from './created-table.ts';

/**
 * Holds tables that go while the other rows are changed, and drops them after that has committed: DROP TABLE is in no
 * transaction. LOCK TABLES lets nobody write into them in between. Throws PlanChanged where they are not what they were
 * when they were judged, LockNotAvailable.
 */
export async function withDropped<T>(
  input: UndoInput,
  tables: readonly CreatedTable[],
  run: Run,
  work: () => Promise<T>,
): Promise<T> {
  const going = tables.flatMap(({ table }) => table ?? []);
  if (going.length === 0) return work();
  const options = { applicationName: 'undo', lockTimeoutMs: input.lockTimeoutMs };
  return withConnection(
    { ...input.production, database: '' },
    run,
    async (session) => {
      // With them on, tables on the other side of foreign keys would be locked, too, and could not be changed.
      await session.execute('SET SESSION foreign_key_checks = 0');
      await session.execute(`LOCK TABLES ${going.map(({ qualified }) => `${qualified} WRITE`).join(', ')}`);
      for (const { data, table, rows, isChanged } of tables) {
        if (table === null) continue;
        const now = await contentOf(session, table);
        const isKnown = isChanged || data.createdId === null || data.createdId === now.id;
        if (now.rows !== rows || !isKnown) throw planChanged(`others have changed rows of ${data.created}`);
      }
      const done = await work();
      await session.execute(`DROP TABLE ${going.map(({ qualified }) => qualified).join(', ')}`);
      return done;
    },
    options,
  );
}
