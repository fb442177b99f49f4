import { randomUUID } from 'node:crypto';
import type { ImportRecord, UndoInput, UndoPlanInput } from '../../src/engines/contract/change.ts';
import { importRows } from '../../src/engines/mysql/import/import.ts';
import { planUndo } from '../../src/engines/mysql/undo/plan.ts';
import type { ConflictRule, UndoRule } from '../../src/model/plan.ts';
import { quietly } from './mysql-server.ts';
import { memoryJournal, type Sides } from './mysql-sides-fixture.ts';
import { memoryStore } from './postgres-undo-fixture.ts';

export interface Imported {
  record: ImportRecord;
  read: UndoPlanInput['read'];
}

/** Imports by a rule, and gives what is needed to take it back. */
export async function importBy(sides: Sides, tables: string[], conflict: ConflictRule): Promise<Imported> {
  const store = memoryStore();
  const journal = memoryJournal();
  const plan = await sides.plan(tables, { conflict, journal });
  await importRows({ ...plan, undo: store }, quietly);
  const record = journal.records.at(-1);
  if (record === undefined) throw new Error('nothing was imported');
  return { record, read: store.read };
}

/** What has been planned, and is to be done. */
export async function plannedUndo(
  sides: Pick<Sides, 'production'>,
  { record, read }: Imported,
  conflict: UndoRule = 'keep-changed',
): Promise<UndoInput & { undo: ReturnType<typeof memoryStore>; journal: ReturnType<typeof memoryJournal> }> {
  const store = memoryStore();
  const planned = { production: sides.production, record, undo: store, read };
  return {
    ...planned,
    ...{ comparisons: await planUndo(planned, quietly), conflict, planDigest: randomUUID() },
    ...{ journal: memoryJournal(), database: 'shop', lockTimeoutMs: 3_000 },
  };
}

/** What takes an undo itself back. */
export const undoneBy = (input: Awaited<ReturnType<typeof plannedUndo>>): Imported => {
  const record = input.journal.records.at(-1);
  if (record === undefined) throw new Error('nothing was taken back');
  return { record, read: input.undo.read };
};

export const SHOP = [
  `CREATE TABLE customers (id INT AUTO_INCREMENT PRIMARY KEY, email VARCHAR(50) UNIQUE, balance DECIMAL(10,2))`,
  `CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer INT, note TEXT, before_id INT, KEY (before_id),
     FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE,
     FOREIGN KEY (before_id) REFERENCES orders (id))`,
  `INSERT INTO customers VALUES ${Array.from({ length: 20 }, (_, n) => `(${n + 1},'c${n + 1}',${n})`).join(',')}`,
  `INSERT INTO orders VALUES ${Array.from({ length: 100 }, (_, n) => `(${n + 1},${1 + (n % 20)},'order ${n}',${n >= 50 ? 1 + (n % 10) : 'NULL'})`).join(',')}`,
];
