import type pg from 'pg';
import { quoteQualified } from '../identifier.ts';
import type { Locks, RowLock, TableLock } from '../import/locks.ts';
import { lockableTables } from '../import/row-locks.ts';
import { isParent, refersTo } from '../import/stage-sql.ts';
import type { CreatedTable } from './created-table.ts';
import { becomingRows, goingRows, losingRows, type UndoStage } from './stage.ts';

/** Everything that will be touched or looked at, so that none of it has to be waited for later. */
export async function locksOf(
  client: pg.Client,
  stages: readonly UndoStage[],
  dropped: readonly CreatedTable[],
): Promise<Locks> {
  const tables = new Map<string, TableLock>();
  const rows: RowLock[] = [];
  for (const { judged } of stages) {
    const { qualified, source } = judged.table.relation;
    tables.set(qualified, { qualified, source, mode: 'SHARE ROW EXCLUSIVE' });
  }
  for (const { relation } of dropped) {
    // With its foreign keys go triggers of the tables to which they refer.
    const sources = [
      relation?.qualified,
      ...(relation?.foreignKeys ?? []).map(({ parentSource }) => parentSource),
      ...(relation === null ? [] : await partitionedAbove(client, relation.oid)),
    ];
    for (const source of new Set(sources)) {
      if (source === undefined) continue;
      const qualified = source.replace(/^ONLY /, '');
      if (!tables.has(qualified)) tables.set(qualified, { qualified, source, mode: 'SHARE ROW EXCLUSIVE' });
      rows.push({ qualified, sql: `LOCK TABLE ${source} IN ACCESS EXCLUSIVE MODE NOWAIT` });
    }
  }
  const lockable = await lockableTables(
    client,
    stages.map(({ judged: { table } }) => table.relation),
  );
  const lock = (source: string, from: string, strength: string, alias: string) => {
    const qualified = source.replace(/^ONLY /, '');
    if (!tables.has(qualified)) tables.set(qualified, { qualified, source, mode: 'ROW SHARE' });
    const sql = `SELECT count(*) FROM (SELECT 1 FROM ${from} FOR ${strength} OF ${alias} NOWAIT) AS locked`;
    rows.push({ qualified, sql });
  };
  for (const stage of stages) {
    const { relation, types } = stage.judged.table;
    lock(relation.source, goingRows(stage), 'UPDATE', 't');
    lock(relation.source, becomingRows(stage), 'UPDATE', 't');
    for (const key of relation.foreignKeys) {
      if (!lockable.has(key.parentOid) || !key.columns.every((column) => types.has(column))) continue;
      const from = `${key.parentSource} AS p WHERE EXISTS (SELECT FROM ${stage.back} AS s WHERE ${isParent(key, 'p', 's')})`;
      lock(key.parentSource, from, 'KEY SHARE', 'p');
    }
    for (const reference of relation.referencedBy) {
      if (!lockable.has(reference.oid) || dropped.some((table) => table.relation?.oid === reference.oid))
        continue;
      for (const { from } of losingRows(stage, reference)) {
        const child = `${reference.source} AS c WHERE EXISTS (SELECT FROM ${from} AND ${refersTo(reference, 'c', 't')})`;
        lock(reference.source, child, 'KEY SHARE', 'c');
      }
    }
  }
  return { tables: [...tables.values()], rows };
}

/** A partition is taken out of its table, whose default partition may from then on take other rows. */
async function partitionedAbove(client: pg.Client, oid: number): Promise<string[]> {
  const { rows } = await client.query<{ schema: string; name: string }>(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class o
     JOIN pg_catalog.pg_inherits h ON h.inhrelid = o.oid
     JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = h.inhparent
     JOIN pg_catalog.pg_class c ON c.oid IN (p.partrelid, p.partdefid)
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE o.oid = $1::pg_catalog.oid AND o.relispartition AND c.oid <> o.oid
     ORDER BY c.oid = p.partrelid DESC`,
    [oid],
  );
  return rows.map(({ schema, name }) => `ONLY ${quoteQualified([schema, name])}`);
}
