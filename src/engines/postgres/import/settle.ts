import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import type { UniqueIndex } from '../compare/relation.ts';
import { keyNames, rowSource, type TablePair } from '../compare/table-pair.ts';
import { quoteIdentifier } from '../identifier.ts';
import { going, losingReferences } from './row-locks.ts';
import type { Stage } from './stage.ts';
import { areDifferent, differs, indexValues, meetIn, refersTo, sameKey } from './stage-sql.ts';

/** What is to be done in the end: rows of each kind, as the stage is marked. */
export interface Settled {
  inserts: number;
  updates: number;
  /** approved updates of rows that are gone by now, and so are inserted */
  revived: number;
}

/**
 * Under the locks: marks each staged row with what has to be done to it, as production is now. Rows of which
 * nothing differs any more have vanished from the change.
 */
export async function settle(client: pg.Client, stage: Stage): Promise<Settled> {
  const { pair, rule, rows } = stage;
  if (pair.gone) return { inserts: stage.approved.missing, updates: 0, revived: 0 };
  const production = rowSource(pair, 'production', 't');
  const same = sameKey(pair, 't', 's');
  const here = `${same}${await exceptGone(client, stage)}`;
  const present = rule === 'replace' ? `CASE WHEN ${differs(pair, 't', 's')} THEN 'u' ELSE 'v' END` : `'v'`;
  const marked = await client.query(
    `UPDATE ${rows} AS s SET holdfast_how = ${present}::pg_catalog."char"
     FROM ${production} WHERE s.holdfast_how = 'i' AND ${here}`,
  );
  if (rule === 'insert-missing') {
    return { inserts: stage.approved.missing - (marked.rowCount ?? 0), updates: 0, revived: 0 };
  }
  let revived = 0;
  if (!pair.keyless) {
    await client.query(
      `UPDATE ${rows} AS s SET holdfast_how = 'v' FROM ${production}
       WHERE s.holdfast_how = 'u' AND ${same} AND NOT (${differs(pair, 't', 's')})`,
    );
    const { rowCount } = await client.query(
      `UPDATE ${rows} AS s SET holdfast_how = 'i'
       WHERE s.holdfast_how = 'u' AND NOT EXISTS (SELECT FROM ${production} WHERE ${same})`,
    );
    revived = rowCount ?? 0;
    await markReplaced(client, stage);
  }
  const counts = await client.query<{ inserts: string; updates: string }>(
    `SELECT count(*) FILTER (WHERE holdfast_how = 'i') AS inserts,
       count(*) FILTER (WHERE holdfast_how IN ('u', 'r')) AS updates FROM ${rows}`,
  );
  const { inserts, updates } = counts.rows[0] as { inserts: string; updates: string };
  return { inserts: Number(inserts), updates: Number(updates), revived };
}

/** Locates the rows of a table without a key. A key written otherwise may be held by a row that goes. */
async function exceptGone(
  client: pg.Client,
  { pair, gone, located, approved, drifted }: Stage,
): Promise<string> {
  if (approved.extra + drifted.extra === 0) return '';
  if (pair.keyless) {
    await client.query(
      `CREATE TEMPORARY TABLE ${located} AS SELECT t.holdfast_ctid, t.holdfast_tableoid
       FROM ${rowSource(pair, 'production', 't')} JOIN ${gone} AS g ON ${sameKey(pair, 't', 'g')}`,
    );
    await client.query(`ANALYZE ${located}`);
    await client.query(
      `SELECT count(*) FROM (SELECT FROM ${pair.production.source} AS t JOIN ${located} AS g
         ON t.ctid = g.holdfast_ctid AND t.tableoid = g.holdfast_tableoid FOR UPDATE OF t NOWAIT) AS locked`,
    );
    return '';
  }
  if (pair.keyIsExact) return '';
  return ` AND NOT EXISTS (SELECT FROM ${gone} AS g WHERE ${sameKey(pair, 't', 'g')})`;
}

/**
 * Rows that an UPDATE cannot set back are deleted and inserted instead: those whose identity is GENERATED ALWAYS
 * and differs, and those that hold a unique value which another row of the change is to get before they give it up.
 */
async function markReplaced(client: pg.Client, stage: Stage): Promise<void> {
  const { pair, rows } = stage;
  const { source, uniques } = pair.production;
  const mark = (condition: string) =>
    client.query(
      `UPDATE ${rows} AS s SET holdfast_how = 'r' FROM ${source} AS t
       WHERE s.holdfast_how = 'u' AND ${sameKey(pair, 't', 's')} AND (${condition})`,
    );
  for (const column of (await alwaysIdentity(client, pair)).map(quoteIdentifier)) {
    await mark(`t.${column} IS DISTINCT FROM s.${column}`);
  }
  for (const index of uniques) {
    if (!index.reads.some((column) => pair.hashed.includes(column))) continue;
    const wanted = `SELECT FROM ${heldBy(pair, rows, index, 'now')} AS h
      JOIN ${heldBy(pair, rows, index, 'then')} AS w ON ${meetIn(index, 'h', 'w')} AND NOT (${sameKey(pair, 'h', 'w')})
      WHERE ${sameKey(pair, 'h', 's')}`;
    await mark(`EXISTS (${wanted})`);
  }
}

/** What the rows that are updated hold in an index, now or then, with their keys. */
function heldBy(pair: TablePair, rows: string, index: UniqueIndex, when: 'now' | 'then'): string {
  const columns = pair.production.columns.map(({ name }) => {
    const side = when === 'then' && pair.hashed.includes(name) ? 'u' : 't';
    return `${side}.${quoteIdentifier(name)}`;
  });
  const keys = keyNames(pair).map(quoteIdentifier).join(', ');
  return `(SELECT ${keys}, ${indexValues(index)} FROM (SELECT ${columns.join(', ')}
      FROM ${pair.production.source} AS t JOIN ${rows} AS u ON ${sameKey(pair, 't', 'u')}
      WHERE u.holdfast_how IN ('u', 'r') OFFSET 0) AS x${index.predicate === null ? '' : ` WHERE ${index.predicate}`})`;
}

/** Columns that come back and that an UPDATE may not set. */
export async function alwaysIdentity(client: pg.Client, pair: TablePair): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT attname AS name FROM pg_catalog.pg_attribute
     WHERE attrelid = $1 AND attidentity = 'a' AND NOT attisdropped`,
    [pair.production.oid],
  );
  return rows.map(({ name }) => name).filter((name) => pair.hashed.includes(name));
}

/**
 * Foreign keys act on rows of other tables when a row goes or changes: nothing outside the approved change may be
 * touched. Throws PlanChanged where rows refer to what goes, and CheckFailed where only a delete could do it.
 */
export async function refuseCascades(client: pg.Client, stages: readonly Stage[]): Promise<void> {
  const byOid = new Map(stages.map((stage) => [stage.pair.production.oid, stage]));
  for (const stage of stages) {
    const { pair, rows } = stage;
    for (const { reference, losing, action } of losingReferences(stage)) {
      if (!'cnd'.includes(action)) continue;
      const refers = `EXISTS (SELECT FROM ${losing} AND ${refersTo(reference, 'c', 't')})`;
      const child = byOid.get(reference.oid);
      const staying = child === undefined ? '' : ` AND NOT (${leaves(child, reference.columns)})`;
      if (!(await exists(client, `${reference.source} AS c WHERE ${refers}${staying}`))) continue;
      throw new HoldfastError(
        'PlanChanged',
        `production has changed since the plan was approved: rows of ${reference.table} refer to rows of ${pair.table} that are to go (constraint ${reference.name})`,
        { hint: 'nothing was changed; look at the new plan and approve that' },
      );
    }
    for (const reference of pair.production.referencedBy) {
      if (reference.onDelete === 'a' || stage.rule === 'insert-missing' || pair.keyless) continue;
      const replaced = `EXISTS (SELECT FROM ${pair.production.source} AS t JOIN ${rows} AS s ON ${sameKey(pair, 't', 's')}
        WHERE s.holdfast_how = 'r' AND ${refersTo(reference, 'c', 't')})`;
      if (!(await exists(client, `${reference.source} AS c WHERE ${replaced}`))) continue;
      throw new HoldfastError(
        'CheckFailed',
        `rows of ${pair.table} exchange unique values, while ${reference.table} refers to them and would lose rows (constraint ${reference.name})`,
        {
          hint: 'nothing was changed; choose insert-missing or side-by-side, or make the unique constraint deferrable',
        },
      );
    }
  }
}

/** Whether row `c` of the child goes, or refers to something else afterwards. */
function leaves(child: Stage, columns: readonly string[]): string {
  const { pair, rows } = child;
  const gone = `EXISTS (SELECT FROM ${going(child)} WHERE t.ctid = c.ctid AND t.tableoid = c.tableoid)`;
  if (pair.keyless) return child.approved.extra + child.drifted.extra > 0 ? gone : 'false';
  const set = columns.filter((column) => pair.columns.includes(column));
  if (set.length === 0) return gone;
  return `${gone} OR EXISTS (SELECT FROM ${rows} AS s WHERE s.holdfast_how IN ('u', 'r')
    AND ${sameKey(pair, 'c', 's')} AND ${areDifferent(set, 'c', 's')})`;
}

async function exists(client: pg.Client, from: string): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(`SELECT EXISTS (SELECT FROM ${from}) AS found`);
  return rows[0]?.found === true;
}
