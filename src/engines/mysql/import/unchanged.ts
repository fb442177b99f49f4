import { planChanged } from '../../approved.ts';
import type { TablePair } from '../compare/pair.ts';
import { describeTable, type Table } from '../compare/table.ts';
import type { Connection } from '../connection.ts';
import { MAKING } from './marker.ts';

/** Under the locks: throws PlanChanged where a table is not what it was when the change was prepared. */
export async function requireSameTable(
  session: Connection,
  { table, parts, gone, production }: TablePair,
): Promise<void> {
  const now = await describeTable(session, parts);
  const isSame = now === null || gone ? now === null && gone : form(now) === form(production);
  if (!isSame) throw planChanged(`${table} has been altered`);
}

/** What the change depends on: rows and their number come and go, and tables that this import makes refer to it already. */
function form({ bytes: _, referencedBy, ...table }: Table): string {
  const others = referencedBy.filter(({ child }) => child[1]?.startsWith(MAKING) !== true);
  return JSON.stringify({ ...table, referencedBy: others });
}
