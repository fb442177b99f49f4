import type pg from 'pg';
import type { Run } from '../../../model/progress.ts';
import type { UndoPlanInput } from '../../contract/change.ts';
import { isChanged } from '../../undo-actions.ts';
import { fillRows, imagesDiffer, isPlace, sameKey } from './rows.ts';
import type { UndoneTable } from './undo-table.ts';

/** Finds out what has become of every row of the import, by its key; `transaction` as xmin shows it. */
export async function classify(
  client: pg.Client,
  table: UndoneTable,
  transaction: string,
  read: UndoPlanInput['read'],
  run: Run,
): Promise<void> {
  const { rows, data, key } = table;
  if (key === null) await findInserted(client, table, transaction);
  await fillRows(client, table, read, run);
  await client.query(`ANALYZE ${rows}`);
  run.progress({ phase: `looking at ${data.table}` });
  if (key !== null) {
    await findByKey(client, table, transaction);
    if (!table.keyIsExact) await settlePlaces(client, table);
    await client.query(`ANALYZE ${rows} (holdfast_kind, holdfast_state, holdfast_part, holdfast_place)`);
  }
  const counted = await client.query<{ changed: string; ours: string }>(
    `SELECT count(*) FILTER (WHERE ${isChanged('s')}) AS changed,
       count(*) FILTER (WHERE s.holdfast_state = 'o') AS ours FROM ${rows} AS s`,
  );
  table.changed = Number(counted.rows[0]?.changed);
  table.ours = Number(counted.rows[0]?.ours);
}

/** Rows that others have put back already as they were are not changed: there is nothing to do to them. */
async function findByKey(client: pg.Client, table: UndoneTable, transaction: string): Promise<void> {
  const { rows, relation, data } = table;
  const isSame =
    data.replaced === null
      ? 'false'
      : `s.holdfast_kind <> 'i' AND NOT (${imagesDiffer(table, data.columns, 't', 's')})`;
  await client.query(
    `UPDATE ${rows} AS s SET holdfast_part = t.tableoid, holdfast_place = t.ctid, holdfast_writer = t.xmin,
       holdfast_state = CASE WHEN t.xmin = $1::pg_catalog.xid THEN 'o' WHEN ${isSame} THEN 's' ELSE 'c' END
     FROM ${relation.source} AS t WHERE ${sameKey(table, 't', 's')}`,
    [transaction],
  );
}

/**
 * Where equal keys can be written differently, one row of production can be found for two of the import, which deleted
 * `bob` and inserted `Bob`: it is that one whose key it has to the letter, or else the inserted one. The other is gone.
 */
async function settlePlaces(client: pg.Client, table: UndoneTable): Promise<void> {
  const { rows, relation, data } = table;
  const differs = imagesDiffer(table, data.key ?? [], 't', 'r');
  await client.query(
    `UPDATE ${rows} AS s SET holdfast_state = 'a', holdfast_part = NULL, holdfast_place = NULL, holdfast_writer = NULL
     FROM (SELECT r.holdfast_n, pg_catalog.row_number() OVER (PARTITION BY r.holdfast_part, r.holdfast_place
         ORDER BY ${differs}, r.holdfast_kind <> 'i') AS rank
       FROM ${rows} AS r JOIN ${relation.source} AS t ON ${isPlace('t', 'r')}) AS o
     WHERE o.holdfast_n = s.holdfast_n AND o.rank > 1`,
  );
}

/** Without a key only the transaction that wrote them tells the import's rows. */
async function findInserted(client: pg.Client, table: UndoneTable, transaction: string): Promise<void> {
  const found = await client.query(
    `INSERT INTO ${table.rows} (holdfast_state, holdfast_part, holdfast_place, holdfast_writer)
     SELECT 'o', t.tableoid, t.ctid, t.xmin FROM ${table.relation.source} AS t
     WHERE t.xmin = $1::pg_catalog.xid ORDER BY t.tableoid, t.ctid`,
    [transaction],
  );
  const missing = table.data.counts.inserted - (found.rowCount ?? 0);
  table.unknown = Math.max(0, missing);
  table.surplus = Math.max(0, -missing);
}
