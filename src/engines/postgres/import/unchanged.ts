import type pg from 'pg';
import { planChanged } from '../../approved.ts';
import { describeIfThere } from '../compare/describe.ts';
import type { Relation } from '../compare/relation.ts';
import { keyNames, type TablePair } from '../compare/table-pair.ts';

export function requireSameKey(pair: TablePair, approved: readonly string[]): void {
  if (approved.join('\0') !== keyNames(pair).join('\0')) throw planChanged(`the key of ${pair.table}`);
}

/** Under the locks: throws PlanChanged where a table is not what it was when the change was prepared. */
export async function requireSameTable(client: pg.Client, pair: TablePair): Promise<void> {
  const now = await describeIfThere(client, pair.table);
  const isSame = now === null || pair.gone ? now === null && pair.gone : form(now) === form(pair.production);
  if (!isSame) throw planChanged(`${pair.table} has been altered`);
}

/** What the change depends on: rows and their number come and go. */
function form(relation: Relation): string {
  const { oid, source, columns, uniques, foreignKeys, referencedBy, rewrites, rowSecurityActive } = relation;
  return JSON.stringify([
    ...[oid, source, columns, uniques, foreignKeys, referencedBy, rewrites, rowSecurityActive],
  ]);
}
