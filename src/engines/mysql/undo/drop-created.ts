import { planChanged } from '../../approved.ts';
import type { Connection } from '../connection.ts';
import { quoteTable } from '../identifier.ts';
import { shareNowait } from '../import/references.ts';
import { type CreatedTable, contentOf } from './created-table.ts';

/** DROP TABLE is in no transaction: until the commit of the rest nobody else may write into tables that go. */
export const dropLocks = (session: Connection, tables: readonly CreatedTable[]): string[] =>
  tables.flatMap(({ table }) =>
    table === null ? [] : [`SELECT COUNT(*) FROM ${table.qualified} ${shareNowait(session)}`],
  );

/** Throws PlanChanged where a table is not what it was when it was judged. */
export async function requireSameContent(
  session: Connection,
  { data, table, rows, isChanged }: CreatedTable,
  qualified = table?.qualified,
): Promise<void> {
  if (table === null || qualified === undefined) return;
  const now = await contentOf(session, { ...table, qualified });
  const isKnown = isChanged || data.createdId === null || data.createdId === now.id;
  if (now.rows !== rows || !isKnown) throw planChanged(`others have changed rows of ${data.created}`);
}

/**
 * Drops tables after the commit. Under a name of ours first, where nobody writes into them any more: one into which
 * somebody wrote since gets its name back. `nameOf` gives names that a later attempt removes.
 */
export async function dropTables(
  session: Connection,
  tables: readonly CreatedTable[],
  nameOf: (index: number) => string,
): Promise<void> {
  const going = tables.flatMap((created, index) => {
    const { table } = created;
    return table === null ? [] : [{ created, table, going: quoteTable([table.schema, nameOf(index)]) }];
  });
  if (going.length === 0) return;
  const rename = (all: typeof going, isBack: boolean) => {
    const pairs = all.map(({ table, going: name }) =>
      isBack ? [name, table.qualified] : [table.qualified, name],
    );
    return session.execute(`RENAME TABLE ${pairs.map((pair) => pair.join(' TO ')).join(', ')}`);
  };
  await rename(going, false);
  for (const { created, going: name } of going) {
    await requireSameContent(session, created, name).catch(async (error: unknown) => {
      await rename(going, true);
      throw error;
    });
  }
  // They may refer to each other.
  await session.execute('SET SESSION foreign_key_checks = 0');
  await session.execute(`DROP TABLE ${going.map(({ going: name }) => name).join(', ')}`);
  await session.execute('SET SESSION foreign_key_checks = 1');
}
