import type pg from 'pg';
import type { Run } from '../../../model/progress.ts';
import type { AppliedChange, TableComparison } from '../../engine.ts';
import { ruleOf } from '../../rule-of.ts';
import { keyNames } from '../compare/table-pair.ts';
import { quoteIdentifier } from '../identifier.ts';
import type { Stage } from './stage.ts';

/** How many rows of a stage came back; the others are in production by now. */
export interface Applied {
  table: string;
  applied: number;
  vanished: number;
}

/** Inserts the staged rows whose key production still lacks; parents first, as the stages are ordered. */
export async function insertMissing(
  client: pg.Client,
  stages: readonly Stage[],
  run: Run,
): Promise<Applied[]> {
  const applied: Applied[] = [];
  const total = stages.reduce((sum, stage) => sum + stage.rows, 0);
  let done = 0;
  for (const stage of stages) {
    run.progress({ phase: `inserting into ${stage.pair.table}`, done, total, unit: 'rows' });
    const { rowCount } = await client.query(insertStatement(stage));
    applied.push({ table: stage.pair.table, applied: rowCount ?? 0, vanished: stage.rows - (rowCount ?? 0) });
    done += stage.rows;
  }
  return applied;
}

function insertStatement({ pair, name }: Stage): string {
  const columns = pair.columns.map(quoteIdentifier);
  const same = keyNames(pair).map(
    (column, index) =>
      `t.${quoteIdentifier(column)} ${pair.key.parts[index]?.equals} s.${quoteIdentifier(column)}`,
  );
  return `INSERT INTO ${pair.production.qualified} (${columns.join(', ')}) OVERRIDING SYSTEM VALUE
    SELECT ${columns.map((column) => `s.${column}`).join(', ')} FROM ${name} AS s
    WHERE NOT EXISTS (SELECT FROM ${pair.production.source} AS t WHERE ${same.join(' AND ')})`;
}

/** The result in the order of the comparisons. */
export function describeApplied(comparisons: readonly TableComparison[], applied: readonly Applied[]) {
  return comparisons.map((comparison): AppliedChange => {
    const done = applied.find((other) => other.table === comparison.table);
    return {
      ...ruleOf(comparison, 'insert-missing').change,
      inserted: done?.applied ?? 0,
      updated: 0,
      deleted: 0,
      vanished: done?.vanished ?? 0,
      drifted: 0,
      created: null,
    };
  });
}
