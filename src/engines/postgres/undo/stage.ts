import type pg from 'pg';
import type { UndoRule } from '../../../model/plan.ts';
import { actionsOf } from '../../undo-actions.ts';
import type { Reference } from '../compare/relation.ts';
import { quoteIdentifier } from '../identifier.ts';
import type { Judged } from './judge.ts';
import { imagesDiffer, sameKey } from './rows.ts';

/**
 * What is to be done to one table, as temporary views of its undo data. Every row that is there has the transaction
 * that wrote it when it was judged beside it: where another has written it since, it is not the same row any more.
 */
export interface UndoStage {
  judged: Judged;
  /** rows that go: key (or place), `holdfast_writer` */
  out: string;
  /** rows as they were: all columns, `holdfast_how` (`i`, `u`, `r` for deleted and inserted), `holdfast_writer` */
  back: string;
}

/** Stages what was judged last. */
export async function stageUndo(
  client: pg.Client,
  judged: Judged,
  index: number,
  rule: UndoRule,
): Promise<UndoStage> {
  const { rows, types, data } = judged.table;
  const actions = actionsOf(rule);
  const out = `pg_temp.${quoteIdentifier(`holdfast_out_${index}`)}`;
  const back = `pg_temp.${quoteIdentifier(`holdfast_back_${index}`)}`;
  const known = data.key?.map(quoteIdentifier) ?? [
    'holdfast_part AS holdfast_tableoid',
    'holdfast_place AS holdfast_ctid',
  ];
  const columns = [...types.keys()].map((name) => `${quoteIdentifier(name)}, `);
  await client.query(
    `CREATE TEMPORARY VIEW ${out} AS SELECT ${known.join(', ')}, holdfast_writer FROM ${rows} AS s
     WHERE ${actions.deletes('s')};
     CREATE TEMPORARY VIEW ${back} AS SELECT ${columns.join('')}holdfast_writer,
       CASE WHEN ${actions.inserts('s')} THEN 'i' ELSE coalesce(holdfast_left, 'u') END AS holdfast_how
     FROM ${rows} AS s WHERE ${actions.comes('s')}`,
  );
  return { judged, out, back };
}

/** Rows `t` of the table joined to `s`, which is `out`: those that go. */
export function goingRows(stage: UndoStage): string {
  return `${stage.judged.table.relation.source} AS t JOIN ${stage.out} AS s ON ${isGoing(stage, 't', 's')}`;
}

/** Rows `t` joined to `s`, which is `back`: those that become, or are replaced by, what they were. */
export function becomingRows(stage: UndoStage): string {
  return `${stage.judged.table.relation.source} AS t JOIN ${stage.back} AS s ON ${isBecoming(stage, 't', 's')}`;
}

export function isGoing({ judged: { table } }: UndoStage, row: string, staged: string): string {
  const same =
    table.key === null
      ? `${row}.tableoid = ${staged}.holdfast_tableoid AND ${row}.ctid = ${staged}.holdfast_ctid`
      : sameKey(table, row, staged);
  return `${same} AND ${row}.xmin = ${staged}.holdfast_writer`;
}

export function isBecoming({ judged: { table } }: UndoStage, row: string, staged: string): string {
  return table.key === null
    ? 'false'
    : `${sameKey(table, row, staged)} AND ${staged}.holdfast_how <> 'i' AND ${row}.xmin = ${staged}.holdfast_writer`;
}

/** Rows `t` that go, or whose values that others may refer to change, as FROM and WHERE; with what the key does then. */
export function losingRows(stage: UndoStage, reference: Reference): { from: string; action: string }[] {
  const { table, counts } = stage.judged;
  const found: { from: string; action: string }[] = [];
  if (counts.deletes > 0) found.push({ from: `${goingRows(stage)} WHERE true`, action: reference.onDelete });
  if (counts.replaces > 0)
    found.push({
      from: `${becomingRows(stage)} WHERE s.holdfast_how = 'r'`,
      action: reference.onDelete,
    });
  const columns = reference.parentColumns.filter((column) => table.types.has(column));
  if (counts.updates > 0 && columns.length > 0) {
    found.push({
      from: `${becomingRows(stage)} WHERE s.holdfast_how = 'u' AND ${imagesDiffer(table, columns, 't', 's')}`,
      action: reference.onUpdate,
    });
  }
  return found;
}
