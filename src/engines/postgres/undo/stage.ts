import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { Run } from '../../../model/progress.ts';
import type { UndoPlanInput } from '../../engine.ts';
import { BATCH_ROWS } from '../compare/lookup.ts';
import type { Reference } from '../compare/relation.ts';
import { quoteIdentifier } from '../identifier.ts';
import { ACTIONS, isActive, type Judged } from './judge.ts';
import { undoLines } from './undo-lines.ts';

/**
 * What is to be done to one table, in temporary tables of the session. Every row that is there has the transaction
 * that wrote it when it was judged beside it: where another has written it since, it is not the same row any more.
 */
export interface UndoStage {
  judged: Judged;
  /** rows that go: key (or place), `holdfast_writer` */
  out: string;
  /** rows as they were: all columns, `holdfast_how` (`i`, `u`, `r` for deleted and inserted), `holdfast_writer` */
  back: string;
  counts: { deletes: number; updates: number; replaces: number; inserts: number };
}

/** Stages what a judgement does to a table. `transaction` is the import's, as xmin shows it. */
export async function stageUndo(
  client: pg.Client,
  judged: Judged,
  index: number,
  transaction: string,
  read: UndoPlanInput['read'],
  run: Run,
): Promise<UndoStage> {
  const count = (action: number) =>
    judged.actions.filter((one, ordinal) => one === action && isActive(judged, ordinal)).length;
  const stage: UndoStage = {
    judged,
    out: `pg_temp.${quoteIdentifier(`holdfast_out_${index}`)}`,
    back: `pg_temp.${quoteIdentifier(`holdfast_back_${index}`)}`,
    counts: {
      deletes: count(ACTIONS.delete),
      updates: count(ACTIONS.update),
      replaces: count(ACTIONS.replace),
      inserts: count(ACTIONS.insert),
    },
  };
  const { data, relation } = judged.table;
  const columns = data.columns.map(quoteIdentifier).join(', ');
  const key = keyColumns(stage).map(({ of, name }) => `${of} AS ${name}`);
  await client.query(
    `CREATE TEMPORARY TABLE ${stage.out} AS
       SELECT ${key.join(', ')}, t.xmin AS holdfast_writer FROM ${relation.source} AS t WITH NO DATA`,
  );
  await client.query(
    `CREATE TEMPORARY TABLE ${stage.back} AS
       SELECT ${columns}, ''::pg_catalog.text AS holdfast_how, t.xmin AS holdfast_writer FROM ${relation.source} AS t WITH NO DATA`,
  );
  run.progress({ phase: `staging ${data.table}` });
  const names = keyColumns(stage).map(({ name }) => name);
  await copyIn(
    client,
    `${stage.out} (${names.join(', ')}, holdfast_writer)`,
    goingLines(judged, transaction, read, run),
    run,
  );
  await copyIn(
    client,
    `${stage.back} (${columns}, holdfast_how, holdfast_writer)`,
    comingLines(judged, transaction, read, run),
    run,
  );
  await client.query(`ANALYZE ${stage.out}`);
  await client.query(`ANALYZE ${stage.back}`);
  return stage;
}

async function copyIn(
  client: pg.Client,
  target: string,
  lines: AsyncIterable<Buffer>,
  run: Run,
): Promise<void> {
  const into = client.query(copyFrom(`COPY ${target} FROM STDIN`));
  await pipeline(Readable.from(lines, { objectMode: false }), into, { signal: run.signal });
}

async function* goingLines(judged: Judged, transaction: string, read: UndoPlanInput['read'], run: Run) {
  const { table, actions } = judged;
  const isGoing = (ordinal: number) => actions[ordinal] === ACTIONS.delete && isActive(judged, ordinal);
  if (table.placed > 0) {
    const places = [...table.ordinals].filter(([, ordinal]) => isGoing(ordinal));
    for (let at = 0; at < places.length; at += BATCH_ROWS) {
      const lines = places.slice(at, at + BATCH_ROWS).map(([place]) => `${place}\t${transaction}\n`);
      yield Buffer.from(lines.join(''));
    }
  }
  for await (const lines of undoLines({ ...table.data, replaced: null }, read, run.signal, BATCH_ROWS)) {
    const going = lines.filter(({ ordinal }) => isGoing(ordinal + table.placed));
    const texts = going.map(
      ({ text, ordinal }) => `${text}\t${table.writers.get(ordinal + table.placed) ?? transaction}\n`,
    );
    if (texts.length > 0) yield Buffer.from(texts.join(''));
  }
}

const HOW: Record<number, string> = {
  [ACTIONS.insert]: 'i',
  [ACTIONS.update]: 'u',
  [ACTIONS.replace]: 'r',
};

async function* comingLines(judged: Judged, transaction: string, read: UndoPlanInput['read'], run: Run) {
  const { table, actions } = judged;
  for await (const lines of undoLines(table.data, read, run.signal, BATCH_ROWS)) {
    const texts = lines.flatMap(({ text, kind, ordinal: line }) => {
      const ordinal = line + table.placed;
      if (kind === 'i' || !isActive(judged, ordinal)) return [];
      const how = HOW[actions[ordinal] as number] as string;
      const writer = how === 'i' ? '\\N' : (table.writers.get(ordinal) ?? transaction);
      return `${text}\t${how}\t${writer}\n`;
    });
    if (texts.length > 0) yield Buffer.from(texts.join(''));
  }
}

function keyColumns({ judged }: Pick<UndoStage, 'judged'>): { of: string; name: string }[] {
  const { data } = judged.table;
  if (data.key === null) {
    return [
      { of: 't.tableoid', name: 'holdfast_tableoid' },
      { of: 't.ctid', name: 'holdfast_ctid' },
    ];
  }
  return data.key.map((name) => ({ of: `t.${quoteIdentifier(name)}`, name: quoteIdentifier(name) }));
}

/** Rows `t` of the table joined to `s`, which is `out`: those that go. */
export function goingRows(stage: UndoStage): string {
  return `${stage.judged.table.relation.source} AS t JOIN ${stage.out} AS s ON ${isGoing(stage, 't', 's')}`;
}

/** Rows `t` joined to `s`, which is `back`: those that become, or are replaced by, what they were. */
export function becomingRows(stage: UndoStage): string {
  return `${stage.judged.table.relation.source} AS t JOIN ${stage.back} AS s ON ${isBecoming(stage, 't', 's')}`;
}

export function isGoing(stage: UndoStage, row: string, staged: string): string {
  const { key } = stage.judged.table;
  const same =
    key === null
      ? `${row}.tableoid = ${staged}.holdfast_tableoid AND ${row}.ctid = ${staged}.holdfast_ctid`
      : sameKey(stage, row, staged);
  return `${same} AND ${row}.xmin = ${staged}.holdfast_writer`;
}

export function isBecoming(stage: UndoStage, row: string, staged: string): string {
  return stage.judged.table.key === null
    ? 'false'
    : `${sameKey(stage, row, staged)} AND ${row}.xmin = ${staged}.holdfast_writer`;
}

function sameKey({ judged }: UndoStage, row: string, staged: string): string {
  return (judged.table.key?.parts ?? [])
    .map(({ column, equals }) => {
      const name = quoteIdentifier(column as string);
      return `${row}.${name} ${equals} ${staged}.${name}`;
    })
    .join(' AND ');
}

/** Rows `t` that go, or whose values that others may refer to change, as FROM and WHERE; with what the key does then. */
export function losingRows(stage: UndoStage, reference: Reference): { from: string; action: string }[] {
  const { data } = stage.judged.table;
  const { counts } = stage;
  const found: { from: string; action: string }[] = [];
  if (counts.deletes > 0) found.push({ from: `${goingRows(stage)} WHERE true`, action: reference.onDelete });
  const columns = reference.parentColumns
    .filter((column) => data.columns.includes(column))
    .map(quoteIdentifier);
  if (counts.updates + counts.replaces > 0 && columns.length > 0) {
    const differs = columns.map((column) => `t.${column} IS DISTINCT FROM s.${column}`).join(' OR ');
    found.push({
      from: `${becomingRows(stage)} WHERE (${differs})`,
      action: reference.onUpdate,
    });
  }
  return found;
}
