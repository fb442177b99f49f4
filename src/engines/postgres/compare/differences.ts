import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import type { ConflictRule } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import { copyOut } from './copy-out.ts';
import { DIFFERENCE_KINDS, type DifferenceKind, mergeDifferences } from './key-merge.ts';
import { decodeField } from './key-order.ts';
import { type KeyBatch, keyBatches, keyLine, LineWriter } from './keys-file.ts';
import { linesOf } from './line-window.ts';
import { hasChangedTypes, rowHash, type Side } from './row-values.ts';
import { keyNames, keyTexts, rowSource, type TablePair } from './table-pair.ts';

export { DIFFERENCE_KINDS, type DifferenceKind };

/**
 * A table's comparison on disk. `missing`, `changed` and `extra`: a line of COPY text for the key of each row that
 * differs, in key order. `<rule>.left`: first the key's column names, then the rows that the rule leaves alone,
 * each with its reason, its kind and its key line.
 */
const kindFile = (folder: string, kind: DifferenceKind): string => join(folder, kind);
const leftFile = (folder: string, rule: ConflictRule): string => join(folder, `${rule}.left`);

/** Why a row is left alone: forbidden is what breaks a constraint that is new since. */
export type Reason = 'orphan' | 'clash' | 'forbidden';

const KINDS: Record<ConflictRule, readonly DifferenceKind[]> = {
  'insert-missing': ['missing'],
  'restore-changed': ['missing', 'changed'],
  replace: ['missing', 'changed', 'extra'],
  'side-by-side': [],
};

/** The kinds of rows that a rule changes. */
export function ruleKinds(rule: ConflictRule): readonly DifferenceKind[] {
  return KINDS[rule];
}

export interface Sides {
  production: pg.Client;
  restored: pg.Client;
}

/** How many rows differ, and how many there are in the restored copy. */
export interface Differences {
  missing: number;
  changed: number;
  extra: number;
  restoredRows: number;
}

/**
 * Finds every row that differs and writes the keys into the folder, which may not hold a comparison yet. Reads
 * only; the restored side has to be in a transaction. A value that cannot be converted to a column's type of
 * now is compared by its text.
 */
export async function findDifferences(
  sides: Sides,
  pair: TablePair,
  folder: string,
  run: Run,
): Promise<Differences> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (pair.converts && hasChangedTypes(pair)) pair.converts = await canConvert(sides.restored, pair);
  const phase = `comparing ${pair.table}`;
  run.progress({ phase });
  const writers = new Map(DIFFERENCE_KINDS.map((kind) => [kind, new LineWriter(kindFile(folder, kind))]));
  const counts: Differences = { missing: 0, changed: 0, extra: 0, restoredRows: 0 };
  let bytes = 0;
  const restored = streamRows(sides.restored, pair, 'restored');
  const production = pair.gone ? null : streamRows(sides.production, pair, 'production');
  const width = pair.key.parts.length;
  const hashed = hashOf(pair, 'restored', 't') !== null;
  try {
    await mergeDifferences(
      restored,
      production ?? nothing(),
      pair.orders,
      (kind, line) => {
        counts[kind] += 1;
        return writers.get(kind)?.write(hashed ? line.subarray(0, keyLength(line, width)) : line);
      },
      (read) => {
        // The bytes of keys and hashes, since counting rows would cost more than comparing them.
        if (read - bytes < 1 << 20) return;
        bytes = read;
        const differing = counts.missing + counts.changed + counts.extra;
        const detail = `${differing.toLocaleString('en-US')} rows differ`;
        run.progress({ phase, done: read, unit: 'bytes', detail });
      },
    );
    counts.restoredRows = restored.rowCount;
  } finally {
    restored.destroy();
    production?.destroy();
    for (const writer of writers.values()) await writer.close();
  }
  run.progress({ phase, done: counts.restoredRows, total: counts.restoredRows, unit: 'rows' });
  return counts;
}

async function* nothing(): AsyncGenerator<Buffer> {}

/** The hash of what a row holds beside its key; null where the key is all of it. */
export function hashOf(pair: TablePair, side: Side, alias: string): string | null {
  return pair.keyless ? null : rowHash({ ...pair, columns: pair.hashed }, pair.hash, side, alias);
}

function streamRows(client: pg.Client, pair: TablePair, side: Side) {
  const keys = keyTexts(pair, side, 't');
  const hash = hashOf(pair, side, 't');
  const columns = [...keys.map(({ text }) => text), ...(hash === null ? [] : [hash])].join(', ');
  const order = keys.map((key) => key.order).join(', ');
  return copyOut(
    client,
    `COPY (SELECT ${columns} FROM ${rowSource(pair, side, 't')} ORDER BY ${order}) TO STDOUT`,
  );
}

const TAB = 0x09;

/** Where the last of a key's fields ends. */
function keyLength(line: Buffer, width: number): number {
  let end = -1;
  for (let field = 0; field < width; field += 1) end = line.indexOf(TAB, end + 1);
  return end;
}

/** Whether every value of the restored copy can be had in its column's type of now. */
async function canConvert(client: pg.Client, pair: TablePair): Promise<boolean> {
  await client.query('SAVEPOINT holdfast_convert');
  try {
    const hash = rowHash(pair, pair.hash, 'restored', 't');
    await client.query(`SELECT count(${hash}) FROM ${pair.restored.source} AS t`);
    return true;
  } catch (error) {
    const { code } = error as { code?: string };
    // A value that the type does not take, or no such type or conversion in the restored copy.
    if (code === undefined || !/^(?:22|23|42704|42846|0A000)/.test(code)) throw error;
    await client.query('ROLLBACK TO SAVEPOINT holdfast_convert');
    if (/^2/.test(code)) {
      pair.notices.push(
        `${pair.table}: a value of the restored copy does not fit the type that its column has now; unless its row is left out, the import will refuse it and change nothing`,
      );
    }
    return false;
  }
}

/** The rows of a kind that a rule changes, in key order: without those that it leaves alone. */
export async function* ruleBatches(
  folder: string,
  rule: ConflictRule,
  kind: DifferenceKind,
  width: number,
  size: number,
): AsyncGenerator<KeyBatch> {
  if (!ruleKinds(rule).includes(kind)) return;
  const left = await leftLines(folder, rule, kind);
  yield* keyBatches(kindFile(folder, kind), width, size, (line) => left.has(line));
}

/** The lines of their keys, as COPY reads them. */
export async function* ruleLines(
  folder: string,
  rule: ConflictRule,
  kind: DifferenceKind,
): AsyncGenerator<Buffer> {
  if (!ruleKinds(rule).includes(kind)) return;
  const left = await leftLines(folder, rule, kind);
  const file = createReadStream(kindFile(folder, kind), { highWaterMark: 1 << 18 });
  if (left.size === 0) return yield* file as AsyncIterable<Buffer>;
  for await (const lines of linesOf(file)) {
    const kept = lines.filter((line) => !left.has(line));
    if (kept.length > 0) yield Buffer.from(`${kept.join('\n')}\n`);
  }
}

/** All rows of a kind, whatever is left alone. */
export function kindBatches(
  folder: string,
  kind: DifferenceKind,
  width: number,
  size: number,
): AsyncGenerator<KeyBatch> {
  return keyBatches(kindFile(folder, kind), width, size);
}

async function leftLines(folder: string, rule: ConflictRule, kind: DifferenceKind): Promise<Set<string>> {
  const left = new Set<string>();
  let isHeader = true;
  for await (const lines of linesOf(createReadStream(leftFile(folder, rule)))) {
    for (const line of lines) {
      const [reason = '', of = ''] = line.split('\t', 2);
      if (!isHeader && of === kind) left.add(line.slice(reason.length + of.length + 2));
      isHeader = false;
    }
  }
  return left;
}

/** Writes what a rule leaves alone, each kind in its order, and gives the digest over all rows that it concerns. */
export async function writeLeft(
  pair: TablePair,
  folder: string,
  rule: ConflictRule,
  left: Readonly<Record<DifferenceKind, ReadonlyMap<string, Reason>>>,
): Promise<string> {
  const writer = new LineWriter(leftFile(folder, rule));
  await writer.write(Buffer.from(keyLine(keyNames(pair))));
  for (const kind of ruleKinds(rule)) {
    for (const [line, reason] of [...left[kind]].sort(([one], [other]) => (one < other ? -1 : 1))) {
      const written = writer.write(Buffer.from(`${reason}\t${kind}\t${line}`));
      if (written !== undefined) await written;
    }
  }
  await writer.close();
  return digestOf(folder, rule);
}

/** sha256 over the digests of the files that a rule reads. */
async function digestOf(folder: string, rule: ConflictRule): Promise<string> {
  const total = createHash('sha256');
  for (const path of [...ruleKinds(rule).map((kind) => kindFile(folder, kind)), leftFile(folder, rule)]) {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    total.update(hash.digest());
  }
  return total.digest('hex');
}

/**
 * The key's columns of a comparison. Throws ChecksumMismatch unless the folder holds what was approved under this
 * rule, and InstanceLost where it is gone.
 */
export async function checkFolder(
  table: string,
  folder: string,
  rule: ConflictRule,
  keysSha256: string,
): Promise<{ key: string[] }> {
  const digest = await digestOf(folder, rule).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new HoldfastError(
      'InstanceLost',
      `the list of approved rows of ${table} is gone with its instance`,
      {
        hint: 'start the recovery again: the plan is made anew',
      },
    );
  });
  if (digest !== keysSha256) {
    throw new HoldfastError(
      'ChecksumMismatch',
      `the list of approved rows of ${table} is not what was approved`,
      {
        hint: 'start the recovery again: somebody or something changed a file of the instance',
      },
    );
  }
  for await (const [line] of linesOf(createReadStream(leftFile(folder, rule)))) {
    if (line !== undefined) return { key: line.split('\t').map(decodeField) };
  }
  throw new HoldfastError('ChecksumMismatch', `the list of approved rows of ${table} is empty`);
}
