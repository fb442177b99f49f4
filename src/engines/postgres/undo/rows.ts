import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { StoredObject } from '../../../model/backup.ts';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import type { UndoPlanInput } from '../../contract/change.ts';
import { writeUndoData } from '../../undo-stream.ts';
import { quoteIdentifier } from '../identifier.ts';
import type { UndoneTable } from './undo-table.ts';

/**
 * Every row of a table's undo data, in a temporary table of the session: of an inserted row the key, of a replaced one
 * all columns as they were. Beside them, filled in later:
 * - `holdfast_n` their order; `holdfast_kind` what the import did: `i` inserted, `u` updated, `d` deleted
 * - `holdfast_state` what has become of the row: `a` absent, `o` as the import left it, `c` changed by others,
 *   `s` again the same as before the import
 * - `holdfast_part`, `holdfast_place` the row that is there now, by tableoid and ctid; `holdfast_writer` its xmin
 * - `holdfast_left` null, or why nothing happens to it after all: `o` orphan, `c` clash. `r`: an update that is
 *   done by deleting and inserting it, so that a unique value is free in between
 */
const MARKS = [
  `holdfast_state pg_catalog."char" NOT NULL DEFAULT 'a'`,
  'holdfast_part pg_catalog.oid',
  'holdfast_place pg_catalog.tid',
  'holdfast_writer pg_catalog.xid',
  'holdfast_left pg_catalog."char"',
];

/** Makes the table, empty. Expects a session that may write. Throws PermissionDenied. */
export async function createRows(client: pg.Client, table: UndoneTable): Promise<void> {
  const { rows, types, relation } = table;
  const columns = [...types].map(([name, type]) => `, t.${quoteIdentifier(name)}::${type}`);
  const marks = MARKS.map((mark) => `ADD ${mark}`).join(', ');
  await client
    .query(
      `BEGIN READ WRITE;
       CREATE TEMPORARY TABLE ${rows} AS SELECT 'i'::pg_catalog."char" AS holdfast_kind${columns.join('')}
         FROM ${relation.source} AS t WITH NO DATA;
       ALTER TABLE ${rows} ALTER holdfast_kind SET DEFAULT 'i',
         ADD holdfast_n pg_catalog.int8 GENERATED ALWAYS AS IDENTITY, ${marks};
       COMMIT`,
    )
    .catch(async (error: { code?: string }) => {
      await client.query('ROLLBACK');
      if (error.code !== '42501') throw error;
      throw new HoldfastError('PermissionDenied', 'the configured user may make no temporary tables', {
        hint: 'grant it TEMPORARY on the database',
      });
    });
}

/** Fills it. Throws ChecksumMismatch, and NotSupported where the columns do not take their own values any more. */
export async function fillRows(
  client: pg.Client,
  table: UndoneTable,
  read: UndoPlanInput['read'],
  run: Run,
): Promise<void> {
  const { data, rows, generated } = table;
  run.progress({ phase: `reading the undo data of ${data.table}` });
  const copyIn = async (objects: StoredObject[] | null, columns: readonly string[]) => {
    if (objects === null) return;
    const into = client.query(copyFrom(`COPY ${rows} (${columns.join(', ')}) FROM STDIN`));
    await writeUndoData(objects, read, into, run.signal).catch((error: { code?: string }) => {
      if (error.code?.startsWith('22') !== true) throw error;
      throw new HoldfastError(
        'NotSupported',
        `the import into ${data.table} cannot be taken back: its columns do not take the values any more that they had`,
        { hint: 'recover to the moment before the import instead: holdfast restore pitr' },
      );
    });
  };
  await copyIn(data.inserted, (data.key ?? []).map(quoteIdentifier));
  await copyIn(data.replaced, ['holdfast_kind', ...data.columns.map(quoteIdentifier)]);
  if (generated.size === 0 || data.replaced === null) return;
  const computed = [...generated].map(([name, expression]) => `${quoteIdentifier(name)} = ${expression}`);
  await client.query(`UPDATE ${rows} SET ${computed.join(', ')} WHERE holdfast_kind <> 'i'`);
}

/** SQL: rows `s` of a table's undo data and `t` of the table itself are the same row. */
export function sameKey({ key }: UndoneTable, t: string, s: string): string {
  return (key?.parts ?? [])
    .map(({ column, equals }) => {
      const name = quoteIdentifier(column as string);
      return `${t}.${name} ${equals} ${s}.${name}`;
    })
    .join(' AND ');
}

/** SQL: row `t` is the one that was found for `s`. */
export function isPlace(t: string, s: string): string {
  return `${t}.tableoid = ${s}.holdfast_part AND ${t}.ctid = ${s}.holdfast_place`;
}

/** SQL: two rows differ in these columns, be it in how an equal value is written. */
export function imagesDiffer(
  { types }: Pick<UndoneTable, 'types'>,
  columns: readonly string[],
  one: string,
  other: string,
): string {
  // Without the cast it would be a comparison column by column, which some types do not have.
  const image = (alias: string) =>
    `ROW(${columns.map((name) => `${alias}.${quoteIdentifier(name)}::${types.get(name)}`).join(', ')})::pg_catalog.record`;
  return `${image(one)} OPERATOR(pg_catalog.*<>) ${image(other)}`;
}
