import { randomBytes } from 'node:crypto';
import { CONFLICT_RULES, type ConflictRule, countOf } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import { formatNameParts } from '../../../model/table.ts';
import type { CompareInput, RuleComparison, TableComparison } from '../../contract/change.ts';
import { type Connection, withConnection } from '../connection.ts';
import { requireDirect } from '../direct.ts';
import { quoteIdentifier } from '../identifier.ts';
import { besideNotices, refuseTaken } from './beside.ts';
import { type Differences, takeDifferences } from './differences.ts';
import { findEffects, leftOf, newConstraints, RULE_KINDS, type WritingRule } from './effects.ts';
import { createTables, prepareCopy } from './fill.ts';
import { countRule, hashKeys, type RuleCounts } from './keys-hash.ts';
import { takeLive } from './live.ts';
import { describePair, type TablePair } from './pair.ts';
import { readReferences } from './references.ts';
import { refuseUnentitled } from './rights.ts';
import { type Compared, comparedOf, type Scratch } from './scratch.ts';
import { isSameTable, partsOf } from './table.ts';

const WRITING = Object.keys(RULE_KINDS) as WritingRule[];

/**
 * What an import would do. Production is only read, all tables as of one moment; which rows differ is kept in a scratch db
 * on the restored copy's server, which says what follows from that. Tables come back in the order of their names. Throws
 * NotSupported, UnknownTable, PermissionDenied, ConnectionFailed.
 */
export async function compare(input: CompareInput, run: Run): Promise<TableComparison[]> {
  const schema = `holdfast_${randomBytes(8).toString('hex')}`;
  return withScratch(input, schema, run, async (scratch) => {
    const earlier = await scratch.work.query<{ name: string }>(
      "SELECT schema_name AS name FROM information_schema.schemata WHERE schema_name REGEXP '^holdfast_[0-9a-f]{16}$'",
    );
    await scratch.work.execute(`CREATE DATABASE ${quoteIdentifier(schema)} CHARACTER SET utf8mb4`);
    try {
      const comparisons = await withConnection(
        input.production,
        run,
        async (production) => {
          requireDirect(production, input.production);
          return compareTables(production, scratch, input, run);
        },
        { applicationName: 'compare', readOnly: true },
      );
      // What an earlier plan was made from is of no use any more.
      for (const { name } of earlier)
        await scratch.work.execute(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)}`);
      return comparisons;
    } catch (error) {
      await scratch.work.execute(`DROP DATABASE IF EXISTS ${quoteIdentifier(schema)}`).catch(() => {});
      throw error;
    }
  });
}

/** Two sessions at the restored copy's server, of which one reads what the other writes again. */
export function withScratch<T>(
  { restored }: Pick<CompareInput, 'restored'>,
  schema: string,
  run: Run,
  work: (scratch: Scratch) => Promise<T>,
): Promise<T> {
  const options = { applicationName: 'compare' };
  return withConnection(
    { ...restored, database: '' },
    run,
    async (writer) => {
      // Nobody needs the scratch db in a log, and nobody waits for it to be safe on a disk.
      await writer.execute('SET SESSION sql_log_bin = 0').catch(() => {});
      return withConnection(
        { ...restored, database: '' },
        run,
        (reader) => work({ schema, work: writer, reader }),
        { ...options, readOnly: true },
      );
    },
    options,
  );
}

/** The tables of a run in a fixed order, each once. */
export function orderedTables({ tables, production }: CompareInput): string[] {
  const named = new Map(tables.map((table) => [formatNameParts(partsOf(table, production.database)), table]));
  return [...named].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, table]) => table);
}

async function compareTables(
  production: Connection,
  scratch: Scratch,
  input: CompareInput,
  run: Run,
): Promise<TableComparison[]> {
  await production.query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
  const pairs: TablePair[] = [];
  for (const table of orderedTables(input)) {
    pairs.push(await describePair(production, scratch.reader, table, input.production.database));
  }
  await refuseTaken(production, pairs, input.copyId);
  await refuseUnentitled(production, pairs);
  requireSomeRule(pairs);
  const all = pairs.map((pair, index) => comparedOf(pair, scratch.schema, index));
  const differences = new Map<Compared, Differences>();
  for (const compared of all) {
    await createTables(scratch, compared);
    await prepareCopy(scratch, compared);
    // Where no row can come back, nobody needs to wait for what would.
    if (WRITING.every((rule) => compared.pair.refusals[rule] !== undefined)) continue;
    differences.set(compared, await takeDifferences(production, scratch, compared, run));
  }
  await takeLive(production, scratch, differences, run);
  requireSomeRule(pairs);
  await markEffects(production, scratch, all, run);
  const comparisons: TableComparison[] = [];
  for (const compared of all) comparisons.push(await describeComparison(scratch, compared, all, input));
  return comparisons;
}

/**
 * What each rule leaves alone. One whose own kinds of rows nobody has does the same as the one before it; one that cannot be
 * chosen is not looked into.
 */
async function markEffects(
  production: Connection,
  scratch: Scratch,
  all: readonly Compared[],
  run: Run,
): Promise<void> {
  const references = await readReferences(production, scratch, all);
  let last: WritingRule | null = null;
  for (const rule of WRITING) {
    if (all.some(({ pair }) => pair.refusals[rule] !== undefined)) continue;
    run.progress({ phase: `checking references and unique keys for ${rule}` });
    if (last === null || (await hasRows(scratch, all, RULE_KINDS[rule].length, last))) {
      await findEffects(scratch, all, references, rule, run.signal);
    } else {
      for (const { diff } of all) {
        await scratch.work.execute(
          `UPDATE ${diff} SET ${leftOf(rule)} = ${leftOf(last)} WHERE ${leftOf(last)} <> 0`,
        );
      }
    }
    last = rule;
  }
}

/** Whether any table has rows of the kinds that a rule changes and the one before it does not. */
async function hasRows(
  { work }: Scratch,
  all: readonly Compared[],
  kind: number,
  before: WritingRule,
): Promise<boolean> {
  for (const { diff } of all) {
    const [any] = await work.query(
      `SELECT 1 FROM ${diff} WHERE holdfast_kind > ${RULE_KINDS[before].length} AND holdfast_kind <= ${kind} LIMIT 1`,
    );
    if (any !== undefined) return true;
  }
  return false;
}

async function describeComparison(
  scratch: Scratch,
  compared: Compared,
  all: readonly Compared[],
  input: CompareInput,
): Promise<TableComparison> {
  const { pair, index } = compared;
  const [counted] = await scratch.work.query<{ rows: string }>(
    `SELECT COUNT(*) AS \`rows\` FROM ${pair.restored.qualified}`,
  );
  const restoredRows = Number(counted?.rows);
  const hashes = await hashKeys(scratch, compared);
  const rules: RuleComparison[] = [];
  for (const [at, conflict] of CONFLICT_RULES.entries()) {
    const beside = conflict === 'side-by-side';
    const counts = await countRule(scratch, compared, Math.min(at + 1, 3) as 1 | 2 | 3);
    rules.push({
      conflict,
      change: {
        table: pair.table,
        inserts: beside ? restoredRows : counts.missing,
        updates: beside ? 0 : counts.changed,
        deletes: beside ? 0 : counts.extra,
        orphans: beside ? 0 : counts.orphans,
        uniqueClashes: beside ? 0 : counts.clashes,
      },
      keysSha256: hashes[conflict],
      refusal: refusalOf(pair, conflict),
      notices: beside
        ? besideNotices(pair, restoredRows, input.copyId)
        : await ruleNotices(scratch, compared, conflict, counts),
    });
  }
  const { missing = 0 } = { missing: rules[0]?.change.inserts };
  return {
    table: pair.table,
    rules,
    keysFolder: `${scratch.schema}/${index}`,
    ...(pair.gone ? { gone: true as const } : {}),
    notices: [...pair.notices, ...(missing > 0 ? cascadeNotices(pair, all) : [])],
  };
}

/** What a rule that writes into the table itself leaves alone, and what it does to those who write beside it. */
async function ruleNotices(
  { work }: Scratch,
  compared: Compared,
  rule: WritingRule,
  counts: RuleCounts,
): Promise<string[]> {
  const { pair, diff } = compared;
  const { table, gone } = pair;
  const notices: string[] = [];
  const [kept] = await work.query<{ any: string | null }>(
    `SELECT MAX(1) AS \`any\` FROM ${diff} AS d WHERE d.holdfast_kind IN (2, 3) AND d.${leftOf(rule)} = 1`,
  );
  if (kept?.any !== null && rule !== 'insert-missing') {
    const children = [
      ...new Set(pair.production.referencedBy.map(({ child }) => formatNameParts(child))),
    ].sort();
    notices.push(`${table}: rows to which ${children.join(' or ')} still refers are left as they are`);
  }
  if (counts.forbidden > 0) {
    const names = newConstraints(compared).map(({ name }) => name);
    notices.push(
      `${table}: ${countOf(counts.forbidden, 'row')} of the restored copy would break ${names.join(' or ')}, which is new since, and ${counts.forbidden === 1 ? 'is' : 'are'} left out`,
    );
  }
  if (gone || rule === 'insert-missing') return notices;
  if (rule === 'replace') {
    notices.push(
      `${table}: who writes to it waits while the import reads the whole table again, keeps what it replaces and changes it; readers do not wait`,
    );
  } else if (counts.changed > 0) {
    notices.push(
      `${table}: who writes to these rows waits while the import keeps what it replaces and changes it; readers do not wait`,
    );
  }
  if (counts.changed + counts.extra > 0) {
    notices.push(
      `${table}: rows of this plan that are changed once more until the import are set back ${rule === 'replace' ? 'or deleted ' : ''}all the same; the undo keeps them as they were by then`,
    );
  }
  return notices;
}

/** Rows that an accident took along through ON DELETE CASCADE are easily forgotten. */
function cascadeNotices(pair: TablePair, all: readonly Compared[]): string[] {
  const changes: Record<string, string> = {
    CASCADE: 'deleted its rows with theirs (ON DELETE CASCADE)',
    'SET NULL': 'lost its references to them (ON DELETE SET NULL)',
  };
  return pair.production.referencedBy.flatMap(({ name, child, onDelete }) => {
    const change = changes[onDelete];
    const included = all.some((other) => isSameTable(other.pair.parts, child));
    if (change === undefined || isSameTable(child, pair.parts) || (onDelete === 'CASCADE' && included))
      return [];
    return [
      `${pair.table}: ${formatNameParts(child)} may have ${change}, by constraint ${name}; this recovery does not bring that back`,
    ];
  });
}

/** Why a rule cannot be chosen for a table, in words for people; null: it can. */
export function refusalOf(pair: TablePair, rule: ConflictRule): string | null {
  const refusal = pair.refusals[rule];
  return refusal === undefined ? null : [refusal.message, ...(refusal.hint ? [refusal.hint] : [])].join('; ');
}

/** Throws where there is no rule by which all these tables can be imported: nobody needs to wait for such a plan. */
function requireSomeRule(pairs: readonly TablePair[]): void {
  if (CONFLICT_RULES.some((rule) => pairs.every((pair) => pair.refusals[rule] === undefined))) return;
  throw pairs.flatMap((pair) => CONFLICT_RULES.flatMap((rule) => pair.refusals[rule] ?? []))[0];
}
