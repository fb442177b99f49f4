import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { CONFLICT_RULES, type ConflictRule } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import { formatNameParts } from '../../../model/table.ts';
import type { CompareInput, RuleComparison, TableComparison } from '../../contract/change.ts';
import { withConnection } from '../connection.ts';
import { requireDirect } from '../direct.ts';
import { requireLogged } from '../members.ts';
import { besideNotices, refuseTaken } from './beside.ts';
import { type DifferenceKind, findDifferences, ruleKinds, type Sides, writeLeft } from './differences.ts';
import { findEffects } from './effects.ts';
import { refuseWithoutParents } from './gone.ts';
import { parentsFirst } from './insert-order.ts';
import { LeftRows, type TableDifferences } from './judged.ts';
import { refuseLacking } from './lacking.ts';
import { preferIndexes } from './lookup.ts';
import { findNewConstraints } from './new-constraints.ts';
import { refuseUnplaced } from './partitions.ts';
import { locateTables, refusalOf, requireSomeRule } from './rule.ts';
import { cascadeNotices, ruleNotices } from './rule-notices.ts';
import { describePair, type TablePair } from './table-pair.ts';

/**
 * What an import would do: reads both sides, each in one snapshot for all the tables, and writes the keys of the
 * rows that come back under the instance's directory. Nothing is written to either server. Tables come back in
 * the order of their names. Throws NotSupported, UnknownTable, PermissionDenied, ConnectionFailed.
 */
export async function compare(input: CompareInput, run: Run): Promise<TableComparison[]> {
  const { tables, production, restored } = locateTables(input);
  const folder = join(input.place.directory, 'compare');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const earlier = await readdir(folder);
  const directory = join(folder, randomUUID());
  await mkdir(directory, { mode: 0o700 });
  const options = { applicationName: 'compare', readOnly: true, signal: run.signal };
  const comparisons = await withConnection(production, options, (live) =>
    withConnection(restored, options, async (copy) => {
      const sides = { production: live, restored: copy };
      // What the import needs is said before a person has approved it.
      await requireDirect(live, production);
      await Promise.all([openSnapshot(live), openSnapshot(copy)]);
      const pairs: TablePair[] = [];
      for (const table of tables) pairs.push(await describePair(live, copy, table));
      const named = pairs.map(({ restored: { schema, name } }) => formatNameParts([schema, name]));
      await requireLogged(copy, named);
      refuseWithoutParents(pairs);
      await refuseLacking(sides, pairs);
      await refuseUnplaced(copy, pairs);
      for (const pair of pairs) await findNewConstraints(copy, pair);
      await refuseTaken(live, pairs, input.copyId);
      requireSomeRule(pairs);
      const found: TableDifferences[] = [];
      for (const [index, pair] of parentsFirst(pairs).entries()) {
        const place = join(directory, String(index));
        found.push({ pair, folder: place, counts: await findDifferences(sides, pair, place, run) });
      }
      await Promise.all([preferIndexes(live, true), preferIndexes(copy, true)]);
      const effects = await findAllEffects(sides, found, run);
      const comparisons: TableComparison[] = [];
      for (const table of found) comparisons.push(await describeComparison(table, found, effects, input));
      return comparisons.sort((left, right) => tables.indexOf(left.table) - tables.indexOf(right.table));
    }),
  );
  // What an earlier plan was made from is of no use any more; another attempt's that began since may be.
  for (const name of earlier) await rm(join(folder, name), { recursive: true, force: true });
  return comparisons;
}

/** Repeatable read: every table as of one moment, and no writes, on a standby too. */
export async function openSnapshot(client: pg.Client): Promise<void> {
  // Compiling (JIT) the hash of a row costs more than it saves up to several million rows.
  await client.query(
    "SELECT pg_catalog.set_config('work_mem', '64MB', false), pg_catalog.set_config('jit', 'off', false)",
  );
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
}

type AllEffects = Map<ConflictRule, Map<TableDifferences, LeftRows>>;

/**
 * What each rule leaves alone. A rule whose own kinds of rows nobody has does the same as the one before it; one
 * that cannot be chosen is not looked into.
 */
async function findAllEffects(
  sides: Sides,
  tables: readonly TableDifferences[],
  run: Run,
): Promise<AllEffects> {
  const none = new Map(tables.map((table) => [table, new LeftRows()]));
  const effects: AllEffects = new Map([['side-by-side', none]]);
  const has = (kind: DifferenceKind) => tables.some(({ counts }) => counts[kind] > 0);
  let last: Map<TableDifferences, LeftRows> | null = null;
  for (const rule of ['insert-missing', 'restore-changed', 'replace'] as const) {
    if (tables.some(({ pair }) => pair.refusals[rule] !== undefined)) {
      effects.set(rule, none);
      continue;
    }
    run.progress({ phase: `checking references and unique keys for ${rule}` });
    if (last === null || has(ruleKinds(rule).at(-1) as DifferenceKind)) {
      last = await findEffects(sides, tables, rule, run.signal);
    }
    effects.set(rule, last);
  }
  return effects;
}

async function describeComparison(
  table: TableDifferences,
  all: readonly TableDifferences[],
  effects: AllEffects,
  input: CompareInput,
): Promise<TableComparison> {
  const { pair, folder, counts } = table;
  const rules: RuleComparison[] = [];
  for (const conflict of CONFLICT_RULES) {
    const left = effects.get(conflict)?.get(table) as LeftRows;
    const kinds = ruleKinds(conflict);
    const changing = (kind: DifferenceKind) => (kinds.includes(kind) ? counts[kind] - left[kind].size : 0);
    const beside = conflict === 'side-by-side';
    rules.push({
      conflict,
      change: {
        table: pair.table,
        inserts: beside ? counts.restoredRows : changing('missing'),
        updates: changing('changed'),
        deletes: changing('extra'),
        orphans: left.count('orphan'),
        uniqueClashes: left.count('clash'),
      },
      keysSha256: await writeLeft(pair, folder, conflict, left),
      refusal: refusalOf(pair, conflict),
      notices: beside ? besideNotices(pair, counts, input.copyId) : ruleNotices(table, conflict, left),
    });
  }
  const { missing } = counts;
  return {
    table: pair.table,
    rules,
    keysFolder: folder,
    ...(pair.gone ? { gone: true as const } : {}),
    notices: [...pair.notices, ...(missing > 0 ? cascadeNotices(pair, all) : [])],
  };
}
