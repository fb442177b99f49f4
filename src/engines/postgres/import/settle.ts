import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import type { Reference, UniqueIndex } from '../compare/relation.ts';
import { alwaysIdentity, mayMove } from '../compare/replaced.ts';
import { keyNames, rowSource, type TablePair } from '../compare/table-pair.ts';
import { quoteIdentifier } from '../identifier.ts';
import { going, losingReferences } from './row-locks.ts';
import type { Stage } from './stage.ts';
import { differs, indexValues, meetIn, refersTo, sameKey } from './stage-sql.ts';

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
  if (rule === 'insert-missing' && !(await isAnyThere(client, stage, same))) {
    return { inserts: stage.approved.missing, updates: 0, revived: 0 };
  }
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

/** Mostly none is. An index alone can say so; to mark rows, those of production themselves have to be read. */
async function isAnyThere(client: pg.Client, { pair, rows }: Stage, same: string): Promise<boolean> {
  // Numbers were staged in their order: sorting them again is no work, while a hash table of them is.
  const inOrder = pair.orders.every((order) => order !== 'bytes');
  if (inOrder) await client.query('SET LOCAL enable_hashjoin = off');
  const found = await client.query<{ any: boolean }>(
    `SELECT count(*) > 0 AS any FROM ${rows} AS s JOIN ${rowSource(pair, 'production', 't')} ON ${same}`,
  );
  if (inOrder) await client.query('RESET enable_hashjoin');
  return found.rows[0]?.any === true;
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
  for (const column of alwaysIdentity(pair).map(quoteIdentifier)) {
    await mark(`t.${column} IS DISTINCT FROM s.${column}`);
  }
  for (const index of uniques) {
    // What can wait for the transaction's end does.
    if (index.deferrable || !mayMove(pair, index.reads)) continue;
    const wanted = `SELECT FROM ${heldBy(pair, rows, index, 'now')} AS h
      JOIN ${heldBy(pair, rows, index, 'then')} AS w ON ${meetIn(index, 'h', 'w')} AND NOT (${sameKey(pair, 'h', 'w')})
      WHERE ${sameKey(pair, 'h', 's')}`;
    await mark(`EXISTS (${wanted})`);
  }
}

/** What the rows that are updated hold in an index, now or then, with their keys. */
function heldBy(pair: TablePair, rows: string, index: UniqueIndex, when: 'now' | 'then'): string {
  const { columns, source } = pair.production;
  const computed = when === 'now' ? [] : columns.filter(({ generation }) => generation !== null);
  const given = columns
    .filter((column) => !computed.includes(column))
    .map(
      ({ name }) => `${when === 'then' && pair.hashed.includes(name) ? 'u' : 't'}.${quoteIdentifier(name)}`,
    );
  const values = `SELECT ${given.join(', ')} FROM ${source} AS t JOIN ${rows} AS u ON ${sameKey(pair, 't', 'u')}
      WHERE u.holdfast_how IN ('u', 'r') OFFSET 0`;
  const all = computed
    .map(({ name, generation }) => `, (${generation}) AS ${quoteIdentifier(name)}`)
    .join('');
  const keys = keyNames(pair).map(quoteIdentifier).join(', ');
  return `(SELECT ${keys}, ${indexValues(index)} FROM (SELECT y.*${all} FROM (${values}) AS y OFFSET 0) AS x${
    index.predicate === null ? '' : ` WHERE ${index.predicate}`
  })`;
}

/**
 * Foreign keys act on rows of other tables when a row goes or changes: nothing outside the approved change may be
 * touched, and no row that comes. Throws PlanChanged: the plan has left such rows alone, as production was then.
 */
export async function refuseCascades(client: pg.Client, stages: readonly Stage[]): Promise<void> {
  const byOid = new Map(stages.map((stage) => [stage.pair.production.oid, stage]));
  for (const stage of stages) {
    const { table } = stage.pair;
    for (const { reference, losing, action } of losingReferences(stage)) {
      if (!'cnd'.includes(action)) continue;
      if (!(await isReferred(client, reference, losing, byOid.get(reference.oid)))) continue;
      throw beyondPlan(`rows of ${reference.table} refer to rows of ${table} that are to go`, reference);
    }
    for (const reference of stage.pair.production.referencedBy) {
      if (reference.onDelete === 'a' || stage.rule === 'insert-missing' || stage.pair.keyless) continue;
      if (!(await isReferred(client, reference, rowsReplaced(stage), byOid.get(reference.oid)))) continue;
      throw beyondPlan(
        `rows of ${table} exchange unique values, and rows of ${reference.table} refer to them`,
        reference,
      );
    }
  }
}

function beyondPlan(what: string, { name }: Reference): HoldfastError {
  return new HoldfastError(
    'PlanChanged',
    `production has changed since the plan was approved: ${what} (constraint ${name})`,
    { hint: 'nothing was changed; look at the new plan and approve that' },
  );
}

/** Whether, when all is done, a row of the child refers to one of these rows `t`. */
async function isReferred(
  client: pg.Client,
  reference: Reference,
  rows: string,
  child: Stage | undefined,
): Promise<boolean> {
  const values = reference.parentColumns.map((column) => `t.${quoteIdentifier(column)}`).join(', ');
  const parents = `(SELECT ${values} FROM ${rows}) AS t`;
  const referring = `${parents} JOIN ${reference.source} AS c ON ${refersTo(reference, 'c', 't')}`;
  if (child === undefined) return exists(client, referring);
  const { pair, approved, drifted } = child;
  const stays =
    approved.extra + drifted.extra === 0
      ? 'true'
      : `NOT EXISTS (SELECT FROM ${going(child)} WHERE t.ctid = c.ctid AND t.tableoid = c.tableoid)`;
  if (pair.keyless) return exists(client, `${referring} WHERE ${stays}`);
  const next = reference.columns.map((column) => (pair.columns.includes(column) ? 'n' : 'c'));
  const later = `${referring} LEFT JOIN ${child.rows} AS n
      ON n.holdfast_how IN ('u', 'r') AND ${sameKey(pair, 'c', 'n')}
    WHERE ${stays} AND (n.holdfast_how IS NULL OR (${refersTo(reference, next, 't')}))`;
  if (await exists(client, later)) return true;
  if (next.includes('c')) return false;
  const coming = `${parents} JOIN ${child.rows} AS c ON ${refersTo(reference, 'c', 't')}`;
  return exists(client, `${coming} WHERE c.holdfast_how IN ('i', 'u', 'r')`);
}

/** The rows `t` of production that are deleted and inserted again. */
function rowsReplaced({ pair, rows }: Stage): string {
  return `${pair.production.source} AS t JOIN ${rows} AS s ON ${sameKey(pair, 't', 's')} WHERE s.holdfast_how = 'r'`;
}

async function exists(client: pg.Client, from: string): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(`SELECT EXISTS (SELECT FROM ${from}) AS found`);
  return rows[0]?.found === true;
}
