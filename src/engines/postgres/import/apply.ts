import type pg from 'pg';
import { alwaysIdentity } from '../compare/replaced.ts';
import { quoteIdentifier } from '../identifier.ts';
import { going } from './row-locks.ts';
import type { Stage } from './stage.ts';
import { sameKey } from './stage-sql.ts';

/** How many rows of a table were changed. */
export interface Applied {
  inserted: number;
  updated: number;
  deleted: number;
}

/**
 * Does all of the change in one statement, as the stages are marked: rows that go first, then updates, then rows
 * that come. So a unique value can go from one row to another, and foreign keys, which are looked at when the
 * statement ends, may refer to each other in any circle. In the order of the stages.
 */
export async function applyStages(client: pg.Client, stages: readonly Stage[]): Promise<Applied[]> {
  const [only] = stages;
  if (stages.length === 1 && only?.rule === 'insert-missing') {
    const { rowCount } = await client.query(insertOf(only));
    return [{ inserted: rowCount ?? 0, updated: 0, deleted: 0 }];
  }
  const parts: string[] = [];
  const counts: string[] = [];
  const count = (names: readonly string[]) =>
    names.length === 0 ? '0' : names.map((name) => `(SELECT count(*) FROM ${name})`).join(' + ');
  const steps: Record<'deletes' | 'replaces' | 'updates' | 'inserts', string[]> = {
    deletes: [],
    replaces: [],
    updates: [],
    inserts: [],
  };
  const add = (step: keyof typeof steps, index: number, statement: string | null) => {
    if (statement === null) return;
    const name = `${step}_${index}`;
    steps[step].push(name);
    parts.push(`${name} AS (${statement} RETURNING 1)`);
    counts.push(`(SELECT count(*) FROM ${name})::pg_catalog.int4 AS ${name}`);
  };
  for (const [index, stage] of stages.entries()) {
    add('deletes', index, deleteOf(stage));
    add('replaces', index, replacedOf(stage));
  }
  // Reading a part's rows to their end is what makes it happen before: a count is never less than nothing.
  parts.push(`cleared AS MATERIALIZED (SELECT ${count([...steps.deletes, ...steps.replaces])} AS n)`);
  for (const [index, stage] of stages.entries()) {
    add('updates', index, updateOf(stage, '(SELECT n FROM cleared) >= 0'));
  }
  parts.push(`updated AS MATERIALIZED (SELECT (SELECT n FROM cleared) + ${count(steps.updates)} AS n)`);
  for (const [index, stage] of stages.entries()) {
    add('inserts', index, `${insertOf(stage)} AND (SELECT n FROM updated) >= 0`);
  }
  const { rows } = await client.query<Record<string, number>>(
    `WITH ${parts.join(',\n')}\nSELECT ${counts.join(', ')}`,
  );
  const found = rows[0] ?? {};
  return stages.map((_, index) => {
    const replaced = found[`replaces_${index}`] ?? 0;
    return {
      inserted: (found[`inserts_${index}`] ?? 0) - replaced,
      updated: (found[`updates_${index}`] ?? 0) + replaced,
      deleted: found[`deletes_${index}`] ?? 0,
    };
  });
}

function insertOf({ pair, rows }: Stage): string {
  const columns = pair.columns.map(quoteIdentifier);
  return `INSERT INTO ${pair.production.qualified} (${columns.join(', ')}) OVERRIDING SYSTEM VALUE
    SELECT ${columns.map((column) => `s.${column}`).join(', ')} FROM ${rows} AS s
    WHERE s.holdfast_how IN ('i', 'r')`;
}

function deleteOf(stage: Stage): string | null {
  const { pair, gone, located, approved, drifted } = stage;
  if (approved.extra + drifted.extra === 0) return null;
  const which = pair.keyless
    ? `${located} AS g WHERE t.ctid = g.holdfast_ctid AND t.tableoid = g.holdfast_tableoid`
    : `${gone} AS g WHERE ${sameKey(pair, 't', 'g')}`;
  return `DELETE FROM ${pair.production.source} AS t USING ${which}`;
}

function replacedOf({ pair, rule, rows }: Stage): string | null {
  if (rule === 'insert-missing' || pair.keyless || pair.gone) return null;
  return `DELETE FROM ${pair.production.source} AS t USING ${rows} AS s
    WHERE s.holdfast_how = 'r' AND ${sameKey(pair, 't', 's')}`;
}

function updateOf(stage: Stage, after: string): string | null {
  const { pair, rule, rows } = stage;
  const fixed = new Set(alwaysIdentity(pair));
  const set = pair.hashed
    .filter((column) => !fixed.has(column))
    .map(quoteIdentifier)
    .map((column) => `${column} = s.${column}`);
  if (rule === 'insert-missing' || pair.keyless || pair.gone || set.length === 0) return null;
  return `UPDATE ${pair.production.source} AS t SET ${set.join(', ')} FROM ${rows} AS s
    WHERE s.holdfast_how = 'u' AND ${sameKey(pair, 't', 's')} AND ${after}`;
}

/** The rows of production as they are now that the change deletes or changes, each with `d` or `u` before it. */
export function replacedRows(stage: Stage, columns: readonly string[]): string | null {
  const { pair, rule, rows, approved, drifted } = stage;
  const values = columns.map((column) => `, t.${quoteIdentifier(column)}`).join('');
  const parts: string[] = [];
  if (approved.extra + drifted.extra > 0) parts.push(`SELECT 'd'${values} FROM ${going(stage)}`);
  if (rule !== 'insert-missing' && !pair.keyless) {
    parts.push(`SELECT 'u'${values} FROM ${pair.production.source} AS t
      JOIN ${rows} AS s ON ${sameKey(pair, 't', 's')} WHERE s.holdfast_how IN ('u', 'r')`);
  }
  return parts.length === 0 ? null : parts.join(' UNION ALL ');
}
