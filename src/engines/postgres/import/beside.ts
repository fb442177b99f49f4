import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import { formatNameParts } from '../../../model/table.ts';
import type { AppliedChange, ImportInput, ImportResult, UndoTable } from '../../contract/change.ts';
import { ruleOf } from '../../rule-of.ts';
import { besideName } from '../compare/beside.ts';
import type { Sides } from '../compare/differences.ts';
import type { Relation } from '../compare/relation.ts';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../identifier.ts';
import { type Changed, commitLocked } from './change.ts';
import { grantedByDefault } from './default-grants.ts';
import { undoData } from './undo-writer.ts';

/**
 * Puts whole copies of the restored tables beside production's: plain tables with the columns, the primary key and
 * the comment of then, and values where columns are computed. Nobody but the user who makes them may read them.
 * Nothing that exists is touched, so nothing is locked.
 */
export async function copyBeside(
  sides: Sides,
  input: ImportInput,
  relations: readonly Relation[],
  run: Run,
): Promise<ImportResult> {
  return commitLocked(sides.production, input, { tables: [], rows: [] }, run, async (): Promise<Changed> => {
    const tables: AppliedChange[] = [];
    const kept: UndoTable[] = [];
    for (const [index, relation] of relations.entries()) {
      const { change } = ruleOf(
        input.comparisons[index] as ImportInput['comparisons'][number],
        'side-by-side',
      );
      const parts = [relation.schema, besideName(relation.name, input.copyId)];
      const inserted = await copyTable(sides, relation, parts, change.inserts, run);
      const created = formatNameParts(parts);
      tables.push({ ...change, inserted, updated: 0, deleted: 0, vanished: 0, drifted: 0, created });
      kept.push(await createdTable(sides.production, relation, parts, inserted));
    }
    return { tables, undo: await undoData(sides.production, input.undo, kept, tables) };
  });
}

/** What takes a table that was made away again. */
export async function createdTable(
  client: pg.Client,
  relation: Relation,
  parts: readonly string[],
  inserted: number,
): Promise<UndoTable> {
  const { rows } = await client.query<{ id: string }>(
    'SELECT $1::pg_catalog.regclass::pg_catalog.oid::pg_catalog.text AS id',
    [quoteQualified(parts)],
  );
  return {
    table: formatNameParts([relation.schema, relation.name]),
    created: formatNameParts(parts),
    createdId: rows[0]?.id ?? null,
    ...{ key: null, columns: [], inserted: null, replaced: null },
    counts: { inserted, updated: 0, deleted: 0 },
  };
}

async function copyTable(
  { production, restored }: Sides,
  relation: Relation,
  parts: readonly string[],
  expected: number,
  run: Run,
): Promise<number> {
  const name = quoteQualified(parts);
  const table = formatNameParts([relation.schema, relation.name]);
  const columns = relation.columns.map((column) => quoteIdentifier(column.name));
  await production.query(`CREATE TABLE ${name} (${await columnDefinitions(restored, relation)})`);
  await closeToOthers(production, relation, name);
  const into = production.query(copyFrom(`COPY ${name} FROM STDIN`));
  const out = restored.query(
    copyTo(`COPY (SELECT ${columns.join(', ')} FROM ${relation.source}) TO STDOUT`, {
      highWaterMark: 1 << 18,
    }),
  );
  run.progress({ phase: `copying ${table} beside it`, done: 0, total: expected, unit: 'rows' });
  await pipeline(out, into, { signal: run.signal });
  const copied = into.rowCount ?? 0;
  if (copied !== expected) {
    throw new HoldfastError(
      'CheckFailed',
      `the restored copy gave ${copied} of ${expected} rows of ${table}`,
      {
        hint: 'start the recovery again: the restored copy is not what the plan was made from',
      },
    );
  }
  const primary = relation.uniques.find((index) => index.primary);
  if (primary !== undefined) {
    const key = primary.parts.map((part) => quoteIdentifier(part.column as string));
    await production.query(`ALTER TABLE ${name} ADD PRIMARY KEY (${key.join(', ')})`);
  }
  const comment = await commentOf(restored, relation);
  const text = comment ?? `${table} as Holdfast restored it`;
  await production.query(`COMMENT ON TABLE ${name} IS ${quoteLiteral(text)}`);
  return copied;
}

/** Whoever may not read the table, or not all of its rows, may not read them in the copy either. */
async function closeToOthers(production: pg.Client, relation: Relation, name: string): Promise<void> {
  for (const role of await grantedByDefault(production, [relation.schema])) {
    await production.query(`REVOKE ALL ON TABLE ${name} FROM ${role}`);
  }
  const { rows } = await production.query<{ guarded: boolean }>(
    `SELECT relrowsecurity AS guarded FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)`,
    [relation.qualified],
  );
  if (!relation.rowSecurity && rows[0]?.guarded !== true) return;
  await production.query(`ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY`);
}

async function columnDefinitions(restored: pg.Client, relation: Relation): Promise<string> {
  const { rows } = await restored.query<{ name: string; schema: string; collation: string }>(
    `SELECT a.attname AS name, n.nspname AS schema, l.collname AS collation FROM pg_catalog.pg_attribute a
     JOIN pg_catalog.pg_type t ON t.oid = a.atttypid JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
     JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
     WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attcollation <> t.typcollation`,
    [relation.oid],
  );
  const collations = new Map(rows.map((row) => [row.name, quoteQualified([row.schema, row.collation])]));
  return relation.columns
    .map(({ name, fullType, notNull }) => {
      const collation = collations.get(name);
      return `${quoteIdentifier(name)} ${fullType}${collation === undefined ? '' : ` COLLATE ${collation}`}${
        notNull ? ' NOT NULL' : ''
      }`;
    })
    .join(', ');
}

async function commentOf(restored: pg.Client, relation: Relation): Promise<string | null> {
  const { rows } = await restored.query<{ comment: string | null }>(
    `SELECT pg_catalog.obj_description($1, 'pg_class') AS comment`,
    [relation.oid],
  );
  return rows[0]?.comment ?? null;
}
