import { expect } from 'vitest';
import type { TableComparison } from '../../../src/engines/contract/change.ts';
import { quoteQualified } from '../../../src/engines/postgres/identifier.ts';
import { importRows } from '../../../src/engines/postgres/import/import.ts';
import { verifyImport } from '../../../src/engines/postgres/import/verify.ts';
import { undo } from '../../../src/engines/postgres/undo/undo.ts';
import { ruleOf } from '../../../src/engines/rule-of.ts';
import { CONFLICT_RULES, type ConflictRule } from '../../../src/model/plan.ts';
import { parseNameParts } from '../../../src/model/table.ts';
import { memoryJournal, quietly, type Sides } from '../postgres-sides-fixture.ts';
import { memoryStore, plannedUndo } from '../postgres-undo-fixture.ts';
import type { HardKind, HardTable } from './kind.ts';

interface Row {
  /** null in a table without a key */
  key: string | null;
  row: string;
}
/** Null: the table is not there. */
type Rows = Row[] | null;

type Read = Sides['live'];

/** The rows of a table itself, not of those that inherit from it, as text and whatever their order. */
export async function rowsOf(read: Read, { name, key }: HardTable): Promise<Rows> {
  const literal = `'${name.replaceAll("'", "''")}'`;
  const [there] = await read(`SELECT pg_catalog.to_regclass(${literal}) IS NOT NULL AS there`);
  if (there?.there !== true) return null;
  const rows = await read(`SELECT (${key ?? 'NULL'})::text AS key, ROW(t.*)::text AS row FROM ${name} t
    WHERE tableoid = ${literal}::regclass OR tableoid IN (SELECT relid FROM pg_partition_tree(${literal}::regclass))`);
  return sorted(rows as unknown as Row[]);
}

function sorted(rows: Row[]): Row[] {
  return rows.toSorted((one, other) => (one.row < other.row ? -1 : one.row > other.row ? 1 : 0));
}

/** What a rule makes of a table. */
function expected(rule: ConflictRule, before: Rows, copy: Row[]): Rows {
  if (rule === 'side-by-side') return before;
  const kept = before ?? [];
  if (rule === 'replace') return copy;
  const [first, second] = rule === 'insert-missing' ? [kept, copy] : [copy, kept];
  const keys = new Set(first.map(({ key }) => key));
  return sorted([...first, ...second.filter(({ key }) => !keys.has(key))]);
}

type Content = Record<string, Rows>;

async function contentOf(read: Read, kinds: readonly HardKind[]): Promise<Content> {
  const content: Content = {};
  for (const table of kinds.flatMap(({ tables }) => tables)) content[table.name] = await rowsOf(read, table);
  return content;
}

/**
 * Imports tables of these kinds by one rule after the other, and takes each import back: what the rule says is in
 * production, nothing is left alone, the import verifies, and the undo gives back exactly what was there.
 */
export async function expectEveryRule(sides: Sides, kinds: readonly HardKind[]): Promise<void> {
  for (const rule of CONFLICT_RULES) {
    const taken = kinds.filter(({ refused }) => refused?.[rule] === undefined);
    await expectRefused(
      sides,
      kinds.filter((kind) => !taken.includes(kind)),
      rule,
    );
    if (taken.length > 0) await expectRule(sides, taken, rule);
  }
}

async function expectRefused(sides: Sides, kinds: readonly HardKind[], rule: ConflictRule): Promise<void> {
  for (const { refused, tables } of kinds) {
    const plan = await sides.plan(tables.map(({ name }) => name));
    const reasons = plan.comparisons.map((comparison) => ruleOf(comparison, rule).refusal ?? '');
    expect(reasons.join('\n')).toMatch(refused?.[rule] as RegExp);
    await expect(importRows({ ...plan, conflict: rule }, quietly)).rejects.toMatchObject({
      message: expect.stringMatching(/./),
    });
  }
}

async function expectRule(sides: Sides, kinds: readonly HardKind[], rule: ConflictRule): Promise<void> {
  const [before, copy] = [await contentOf(sides.live, kinds), await contentOf(sides.copy, kinds)];
  await restartSequences(sides, kinds);
  const store = memoryStore();
  const journal = memoryJournal();
  const names = kinds.flatMap(({ tables }) => tables.map(({ name }) => name));
  const plan = { ...(await sides.plan(names, journal)), conflict: rule, undo: store };
  expectNothingLeft(plan.comparisons, rule);
  for (const { said } of kinds) {
    if (said !== undefined)
      expect(plan.comparisons.flatMap(({ notices }) => notices).join('\n')).toMatch(said);
  }
  const result = await importRows(plan, quietly);
  const imported = await contentOf(sides.live, kinds);
  const wanted = Object.entries(copy).map(([name, rows]) => [
    name,
    expected(rule, before[name] ?? null, rows as Row[]),
  ]);
  expectSame(imported, Object.fromEntries(wanted));
  if (rule === 'side-by-side') {
    for (const [index, { table, created }] of result.tables.entries()) {
      const kept = kinds
        .flatMap(({ tables }) => tables)
        .find(({ name }) => name === plan.comparisons[index]?.table);
      if (kept === undefined) throw new Error(`${table} was not named`);
      const name = quoteQualified(parseNameParts(created as string));
      expectSame(
        { [name]: await rowsOf(sides.live, { ...kept, name }) },
        { [name]: copy[kept.name] ?? null },
      );
    }
  } else {
    await expectSequencesPast(sides, kinds, rule);
  }
  expect((await verifyImport(plan, quietly)).filter(({ verdict }) => verdict !== 'pass')).toEqual([]);

  const record = journal.records.at(-1);
  if (record?.undo == null) return expectSame(imported, before);
  const input = await plannedUndo(sides, record, store.read);
  await undo(input, quietly);
  expectSame(await contentOf(sides.live, kinds), before);
  if (rule !== 'replace' || result.tables.some(({ created }) => created !== null)) return;
  const [own] = await input.journal.read();
  const again = await plannedUndo(sides, own as NonNullable<typeof own>, input.undo.read);
  await undo(again, quietly);
  expectSame(await contentOf(sides.live, kinds), imported);
  const [last] = await again.journal.read();
  await undo(await plannedUndo(sides, last as NonNullable<typeof last>, again.undo.read), quietly);
  expectSame(await contentOf(sides.live, kinds), before);
}

/** In a failure a few of the rows that differ are shown. */
function expectSame(found: Content, wanted: Content): void {
  const different = Object.entries(wanted).flatMap(([name, should]): object[] => {
    const there = found[name] ?? null;
    if ((there === null) !== (should === null)) return [{ name, there: there !== null }];
    const [more, less] = [without(there, should), without(should, there)];
    return more.length + less.length === 0 ? [] : [{ name, more: more.slice(0, 5), less: less.slice(0, 5) }];
  });
  expect(different).toEqual([]);
}

/** The rows of one that the other does not have as often. */
function without(one: Rows, other: Rows): string[] {
  const counts = new Map<string, number>();
  for (const { row } of other ?? []) counts.set(row, (counts.get(row) ?? 0) + 1);
  return (one ?? []).flatMap(({ row }) => {
    const count = counts.get(row) ?? 0;
    counts.set(row, count - 1);
    return count > 0 ? [] : [row];
  });
}

function expectNothingLeft(comparisons: readonly TableComparison[], rule: ConflictRule): void {
  for (const comparison of comparisons) {
    const { refusal, change } = ruleOf(comparison, rule);
    expect([comparison.table, refusal, change.orphans, change.uniqueClashes]).toEqual([
      comparison.table,
      null,
      0,
      0,
    ]);
  }
}

/** As after TRUNCATE … RESTART IDENTITY: whatever comes back is beyond them. */
async function restartSequences(sides: Sides, kinds: readonly HardKind[]): Promise<void> {
  for (const name of sequencesOf(kinds).map(([name]) => name)) {
    await sides.live(`ALTER SEQUENCE IF EXISTS ${name} RESTART`);
  }
}

async function expectSequencesPast(
  sides: Sides,
  kinds: readonly HardKind[],
  rule: ConflictRule,
): Promise<void> {
  for (const [sequence, table] of sequencesOf(kinds)) {
    const [came] = await sides.copy(`SELECT max(abs(id))::int AS furthest FROM ${table}`);
    const [next] = await sides.live(`SELECT abs(nextval('${sequence}'))::int AS next`);
    if (came?.furthest === null) continue;
    expect([rule, sequence, Number(next?.next) > Number(came?.furthest)]).toEqual([rule, sequence, true]);
  }
}

function sequencesOf(kinds: readonly HardKind[]): [string, string][] {
  return kinds.flatMap(({ sequences }) => Object.entries(sequences ?? {}));
}
