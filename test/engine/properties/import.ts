import { expect } from 'vitest';
import type { ImportRecord, TableComparison } from '../../../src/engines/contract/change.ts';
import { compare } from '../../../src/engines/postgres/compare/compare.ts';
import { importRows } from '../../../src/engines/postgres/import/import.ts';
import { verifyImport } from '../../../src/engines/postgres/import/verify.ts';
import { undo } from '../../../src/engines/postgres/undo/undo.ts';
import { ruleOf } from '../../../src/engines/rule-of.ts';
import { HoldfastError } from '../../../src/model/failure.ts';
import { memoryJournal, quietly, type Sides } from '../postgres-sides-fixture.ts';
import { memoryStore, plannedUndo } from '../postgres-undo-fixture.ts';
import type { Rule } from './outcome.ts';
import type { RandomTable } from './schema.ts';

/** Production and a copy, wherever that comes from. */
export type BothSides = Pick<Sides, 'production' | 'live' | 'copy' | 'input'>;

export type Plan = Map<string, TableComparison>;

export async function planOf(sides: BothSides, tables: readonly RandomTable[]): Promise<Plan | null> {
  try {
    const found = await compare(sides.input(tables.map(({ input }) => input)), quietly);
    return new Map(found.map((comparison) => [comparison.table, comparison]));
  } catch (error) {
    // No rule at all can be chosen.
    if (error instanceof HoldfastError && error.type === 'NotSupported') return null;
    throw error;
  }
}

export const changeOf = (plan: Plan, table: RandomTable, rule: Rule) =>
  ruleOf(plan.get(table.input) as TableComparison, rule);

export const leftAlone = (plan: Plan, table: RandomTable, rule: Rule): number => {
  const { change } = changeOf(plan, table, rule);
  return change.orphans + change.uniqueClashes;
};

export function isPossible(plan: Plan, tables: readonly RandomTable[], rule: Rule): boolean {
  return tables.every((table) => changeOf(plan, table, rule).refusal === null);
}

const MOST_TRIES = 8;

/**
 * As the activity does it: tried again where a lock was not had. Schemas that come and go by the hundred have the
 * server shorten its catalogs now and then, under locks for which a change that holds its own does not wait.
 */
async function tried<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const isBusy = error instanceof HoldfastError && error.type === 'LockNotAvailable';
      if (!isBusy || attempt === MOST_TRIES) throw error;
    }
  }
}

/** Does it, looks at what it says it did, and returns what takes it back and tells the rows left alone; null: none were changed. */
export async function importWith(
  sides: BothSides,
  plan: Plan,
  tables: readonly RandomTable[],
  conflict: Rule,
): Promise<() => Promise<number | null>> {
  const journal = memoryJournal();
  const store = memoryStore();
  const input = {
    ...sides.input(tables.map((table) => table.input)),
    ...{ conflict, drift: 0, comparisons: [...plan.values()], planDigest: 'digest' },
    ...{ journal, undo: store, database: 'shop', lockTimeoutMs: 3_000 },
  };
  const result = await tried(() => importRows(input, quietly));
  for (const table of tables) {
    const { inserts, updates, deletes } = changeOf(plan, table, conflict).change;
    expect(result.tables.find((other) => other.table === table.input)).toMatchObject({
      ...{ inserted: inserts, updated: updates, deleted: deletes, vanished: 0, drifted: 0 },
    });
  }
  const checks = await verifyImport(input, quietly);
  const failed = checks.filter(({ verdict }) => verdict !== 'pass');
  expect(failed.map(({ name, detail }) => `${name}: ${detail}`)).toEqual([]);
  const changes = result.tables.some(({ inserted, updated, deleted }) => inserted + updated + deleted > 0);
  return async () => {
    if (!changes) return null;
    const record = journal.records.at(-1) as ImportRecord;
    const planned = await plannedUndo(sides, record, store.read);
    const changesBack = planned.comparisons.map((comparison) => ruleOf(comparison, 'keep-changed'));
    expect(changesBack.map(({ refusal }) => refusal)).toEqual(changesBack.map(() => null));
    await tried(() => undo(planned, quietly));
    return changesBack.reduce((sum, { change }) => sum + change.orphans + change.uniqueClashes, 0);
  };
}
