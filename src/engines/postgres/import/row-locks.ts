import type pg from 'pg';
import type { DifferenceKind } from '../compare/differences.ts';
import type { Relation } from '../compare/relation.ts';
import { locksAroundGone } from './gone-locks.ts';
import { type Locks, type RowLock, strongest } from './locks.ts';
import type { Stage } from './stage.ts';
import { areDifferent, isParent, mayChange, refersTo, sameKey } from './stage-sql.ts';

/**
 * Everything that the change will touch or look at, so that none of it has to be waited for later: its tables
 * against other writers, the rows that change or go, the parents of rows that come, the children of rows that go.
 */
export async function locksOf(client: pg.Client, stages: readonly Stage[], drift: number): Promise<Locks> {
  const gone = stages.filter(({ pair }) => pair.gone).map(({ pair }) => pair);
  const tables = await locksAroundGone(client, gone);
  for (const { pair, rule } of stages) {
    if (pair.gone) continue;
    const { qualified, source } = pair.production;
    // Which rows drift concerns is known under the lock only: nobody may hold one of them by then.
    const mode = rule === 'replace' && drift > 0 ? 'EXCLUSIVE' : 'SHARE ROW EXCLUSIVE';
    tables.push({ qualified, source, mode });
  }
  const there = stages.filter(({ pair }) => !pair.gone);
  const lockable = await lockableTables(
    client,
    there.map(({ pair }) => pair.production),
  );
  const rows: RowLock[] = [];
  const add = (source: string, sql: string) => {
    const qualified = source.replace(/^ONLY /, '');
    tables.push({ qualified, source, mode: 'ROW SHARE' });
    rows.push({ qualified, sql });
  };
  for (const stage of there) {
    const { pair } = stage;
    for (const sql of ownRows(stage)) add(stage.pair.production.source, sql);
    if (mayAdd(stage)) {
      for (const key of stage.pair.production.foreignKeys) {
        if (!lockable.has(key.parentOid) || !key.columns.every((c) => stage.pair.columns.includes(c)))
          continue;
        const on = isParent(key, 'p', 's');
        add(
          key.parentSource,
          locking(
            `${key.parentSource} AS p WHERE EXISTS (SELECT FROM ${stage.rows} AS s WHERE ${on})`,
            'KEY SHARE',
            'p',
          ),
        );
      }
    }
    for (const { reference, losing } of losingReferences(stage)) {
      if (pair.keyless || !lockable.has(reference.oid)) continue;
      const from = `${reference.source} AS c WHERE EXISTS (SELECT FROM ${losing} AND ${refersTo(reference, 'c', 't')})`;
      add(reference.source, locking(from, 'KEY SHARE', 'c'));
    }
  }
  return { tables: strongest(tables), rows };
}

const locking = (from: string, strength: string, alias: string) =>
  `SELECT count(*) FROM (SELECT 1 FROM ${from} FOR ${strength} OF ${alias} NOWAIT) AS locked`;

/** Rows come that are not there, or have other references by then. */
const mayAdd = (stage: Stage) => amount(stage, 'missing') + amount(stage, 'changed') > 0;

const amount = ({ approved, drifted }: Stage, kind: DifferenceKind) => approved[kind] + drifted[kind];

function ownRows(stage: Stage): string[] {
  const { pair, rows, gone } = stage;
  const { source, uniques } = pair.production;
  const found: string[] = [];
  if (pair.keyless) return found;
  if (amount(stage, 'changed') > 0) {
    // What others may refer to takes the stronger lock when it changes.
    const referable = uniques.some(({ reads }) => mayChange(stage, reads));
    const from = `${source} AS t JOIN ${rows} AS s ON ${sameKey(pair, 't', 's')} WHERE s.holdfast_how = 'u'`;
    found.push(locking(from, referable ? 'UPDATE' : 'NO KEY UPDATE', 't'));
  }
  if (amount(stage, 'extra') > 0) {
    found.push(locking(`${source} AS t JOIN ${gone} AS g ON ${sameKey(pair, 't', 'g')}`, 'UPDATE', 't'));
  }
  return found;
}

/** The rows `t` of production that go. Those of a table without a key have to be located first: see apply.ts. */
export function going({ pair, gone, located }: Stage): string {
  const { source } = pair.production;
  if (!pair.keyless) return `${source} AS t JOIN ${gone} AS g ON ${sameKey(pair, 't', 'g')}`;
  return `${source} AS t JOIN ${located} AS g ON t.ctid = g.holdfast_ctid AND t.tableoid = g.holdfast_tableoid`;
}

/** Foreign keys to rows that go, or that may lose what others refer to, with these rows `t` as FROM and WHERE. */
export function losingReferences(stage: Stage) {
  const { pair, rows } = stage;
  const { source, referencedBy } = pair.production;
  return referencedBy.flatMap((reference) => {
    const losing: { losing: string; action: string }[] = [];
    if (amount(stage, 'extra') > 0) {
      losing.push({
        losing: `${going(stage)} WHERE true`,
        action: reference.onDelete,
      });
    }
    const columns = reference.parentColumns.filter((column) => pair.columns.includes(column));
    if (amount(stage, 'changed') > 0 && mayChange(stage, columns)) {
      losing.push({
        losing: `${source} AS t JOIN ${rows} AS s ON ${sameKey(pair, 't', 's')}
          WHERE s.holdfast_how IN ('u', 'r') AND ${areDifferent(columns, 't', 's')}`,
        action: reference.onUpdate,
      });
    }
    return losing.map((found) => ({ reference, ...found }));
  });
}

/** The tables beside whose rows the configured user may lock; others are left to their own triggers. */
export async function lockableTables(
  client: pg.Client,
  relations: readonly Pick<Relation, 'foreignKeys' | 'referencedBy'>[],
): Promise<Set<number>> {
  const oids = relations.flatMap(({ foreignKeys, referencedBy }) => [
    ...foreignKeys.map((key) => key.parentOid),
    ...referencedBy.map((reference) => reference.oid),
  ]);
  const { rows } = await client.query<{ oid: string }>(
    `SELECT oid::pg_catalog.text AS oid FROM unnest($1::pg_catalog.oid[]) AS oid
     WHERE pg_catalog.has_table_privilege(oid, 'UPDATE') AND pg_catalog.has_table_privilege(oid, 'SELECT')`,
    [oids],
  );
  return new Set(rows.map(({ oid }) => Number(oid)));
}
