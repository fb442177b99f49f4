import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import type { Run } from '../../../model/progress.ts';
import type { CompareInput, TableComparison } from '../../engine.ts';
import { withConnection } from '../connection.ts';
import { requireDirect } from '../direct.ts';
import { copyOut } from './copy-out.ts';
import { findEffects, type MissingRows } from './effects.ts';
import { insertOrder } from './insert-order.ts';
import { mergeMissing } from './key-merge.ts';
import { keyExpression, keyOrder } from './key-order.ts';
import { keysFileOf, LineWriter, splitMissing } from './keys-file.ts';
import { preferIndexes } from './lookup.ts';
import type { Relation } from './relation.ts';
import { locateTables, refusedRules } from './rule.ts';
import { describePair, keyColumnsOf, keyNames, type TablePair } from './table-pair.ts';

/**
 * What an import would do: reads both sides, each in one snapshot for all the tables, and writes the keys of the
 * rows that come back under the instance's directory. Nothing is written to either server. Tables come back in
 * the order of their names. Throws NotSupported, UnknownTable, PermissionDenied, ConnectionFailed.
 */
export async function compare(input: CompareInput, run: Run): Promise<TableComparison[]> {
  const { tables, production, restored } = locateTables(input);
  const directory = join(input.place.directory, 'compare', randomUUID());
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const options = { applicationName: 'compare', readOnly: true, signal: run.signal };
  return withConnection(production, options, (live) =>
    withConnection(restored, options, async (copy) => {
      const sides = { production: live, restored: copy };
      // What the import needs is said before a person has approved it.
      await requireDirect(live, production);
      await Promise.all([openSnapshot(live), openSnapshot(copy)]);
      const pairs: TablePair[] = [];
      for (const table of tables) pairs.push(await describePair(live, copy, table));
      const rows: MissingRows[] = [];
      for (const [index, pair] of insertOrder(pairs).entries()) {
        const folder = join(directory, String(index));
        await mkdir(folder, { mode: 0o700 });
        rows.push(await findMissing(sides, pair, folder, run));
      }
      run.progress({ phase: 'checking references and unique keys' });
      await Promise.all([preferIndexes(live, true), preferIndexes(copy, true)]);
      await findEffects(sides, rows, run.signal);
      const comparisons: TableComparison[] = [];
      for (const found of rows) comparisons.push(await describeComparison(found, rows));
      return comparisons.sort((left, right) => tables.indexOf(left.table) - tables.indexOf(right.table));
    }),
  );
}

/** Repeatable read: every table as of one moment, and no writes, on a standby too. */
export async function openSnapshot(client: pg.Client): Promise<void> {
  await client.query("SELECT pg_catalog.set_config('work_mem', '64MB', false)");
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
}

async function findMissing(
  sides: { production: pg.Client; restored: pg.Client },
  pair: TablePair,
  folder: string,
  run: Run,
): Promise<MissingRows> {
  const phase = `comparing ${pair.table}`;
  run.progress({ phase });
  const missingFile = join(folder, 'missing');
  const writer = new LineWriter(missingFile);
  let missing = 0;
  let bytes = 0;
  const restored = streamKeys(sides.restored, pair, pair.restored);
  const production = streamKeys(sides.production, pair, pair.production);
  try {
    await mergeMissing(
      restored,
      production,
      keyColumnsOf(pair.key, pair.production).map(keyOrder),
      (lines) => {
        missing += countLines(lines);
        return writer.write(lines);
      },
      (read) => {
        // The bytes of the keys, since counting rows would cost more than comparing them.
        if (read - bytes < 1 << 20) return;
        bytes = read;
        run.progress({
          phase,
          done: read,
          unit: 'bytes',
          detail: `${missing.toLocaleString('en-US')} rows missing`,
        });
      },
    );
  } finally {
    restored.destroy();
    production.destroy();
    await writer.close();
  }
  run.progress({ phase, done: restored.rowCount, total: restored.rowCount, unit: 'rows' });
  return { pair, folder, missingFile, missing, orphans: new Set(), clashes: new Set() };
}

/** A key's columns as COPY text, in key order. Row hashes are not needed while only absent rows matter. */
function streamKeys(client: pg.Client, pair: TablePair, relation: Relation) {
  const expressions = keyColumnsOf(pair.key, relation).map((column) => keyExpression(column, 't'));
  const columns = expressions.map(({ text }) => text).join(', ');
  const order = expressions.map((expression) => expression.order).join(', ');
  return copyOut(client, `COPY (SELECT ${columns} FROM ${relation.source} AS t ORDER BY ${order}) TO STDOUT`);
}

function countLines(lines: Buffer): number {
  let count = 0;
  for (let at = lines.indexOf(0x0a); at !== -1; at = lines.indexOf(0x0a, at + 1)) count += 1;
  return count;
}

async function describeComparison(rows: MissingRows, all: readonly MissingRows[]): Promise<TableComparison> {
  const { pair, orphans, clashes } = rows;
  const keysFile = keysFileOf(rows.folder);
  const { inserts, keysSha256 } = await splitMissing(rows.missingFile, keysFile, keyNames(pair), rows);
  const change = {
    table: pair.table,
    inserts,
    updates: 0,
    deletes: 0,
    orphans: orphans.size,
    uniqueClashes: clashes.size,
  };
  return {
    table: pair.table,
    rules: [
      { conflict: 'insert-missing', change, keysSha256, refusal: null, notices: [] },
      ...refusedRules(pair.table),
    ],
    keysFolder: rows.folder,
    notices: [...pair.notices, ...(rows.missing > 0 ? cascadeNotices(pair, all) : [])],
  };
}

/** Rows that an accident took along through ON DELETE CASCADE are easily forgotten. */
function cascadeNotices(pair: TablePair, all: readonly MissingRows[]): string[] {
  const included = new Set(all.map((rows) => rows.pair.production.oid));
  const changes: Record<string, string> = {
    c: 'deleted its rows with theirs (ON DELETE CASCADE)',
    n: 'lost its references to them (ON DELETE SET NULL)',
    d: 'lost its references to them (ON DELETE SET DEFAULT)',
  };
  return pair.production.referencedBy.flatMap(({ name, table, oid, onDelete }) => {
    const change = changes[onDelete];
    if (change === undefined || (onDelete === 'c' && included.has(oid))) return [];
    return [
      `${pair.table}: ${table} may have ${change}, by constraint ${name}; this recovery does not bring that back`,
    ];
  });
}
