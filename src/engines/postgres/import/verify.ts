import type pg from 'pg';
import type { Check } from '../../../model/evidence.ts';
import { type ConflictRule, countOf } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import { formatNameParts } from '../../../model/table.ts';
import type { ImportInput, TableComparison } from '../../contract/change.ts';
import { ruleOf } from '../../rule-of.ts';
import { besideName } from '../compare/beside.ts';
import { columnOf } from '../compare/describe.ts';
import { type DifferenceKind, ruleBatches } from '../compare/differences.ts';
import {
  absentParents,
  BATCH_ROWS,
  keyCondition,
  preferIndexes,
  transpose,
  unnest,
  type Values,
} from '../compare/lookup.ts';
import { checkedForeignKeys } from '../compare/parents.ts';
import type { Side } from '../compare/row-values.ts';
import { locateTables } from '../compare/rule.ts';
import { describePair, rowSource, type TablePair } from '../compare/table-pair.ts';
import { withConnection } from '../connection.ts';
import { quoteIdentifier, quoteQualified } from '../identifier.ts';

interface Sides {
  production: pg.Client;
  restored: pg.Client;
}

interface Counts {
  approved: number;
  absent: number;
  /** still as the import's own transaction left them, and of these: not as in the restored copy */
  imported: number;
  different: number;
  /** inserted or changed by somebody else */
  others: number;
  unreferenced: number;
  /** rows that were to go, and of these: still there as they were before the import */
  leaving: number;
  remaining: number;
}

/**
 * Looks again: every approved row is there, each that the import's own transaction left equals the restored
 * copy, and each refers to rows that exist; every row that was to go is gone. Rows that others have changed since
 * are counted, not judged.
 */
export async function verifyImport(input: ImportInput, run: Run): Promise<Check[]> {
  const { production, restored } = locateTables(input);
  const options = { applicationName: 'verify import', readOnly: true, signal: run.signal };
  const transactions = new Set(
    (await input.journal.read())
      .filter((record) => record.planDigest === input.planDigest)
      .map((record) => String(BigInt(record.transaction) & 0xffffffffn)),
  );
  return withConnection(production, options, (live) =>
    withConnection(restored, options, async (copy) => {
      const sides = { production: live, restored: copy };
      await Promise.all([preferIndexes(live, true), preferIndexes(copy, true)]);
      const checks: Check[] = [];
      for (const comparison of input.comparisons) {
        const pair = await describePair(live, copy, comparison.table);
        if (input.conflict === 'side-by-side') {
          checks.push(await checkBeside(sides, pair, input.copyId, transactions));
          continue;
        }
        const counts = await countRows(sides, pair, { comparison, rule: input.conflict }, transactions, run);
        checks.push(...describeCounts(pair.table, counts));
      }
      return checks;
    }),
  );
}

/** Whether the copy beside a table is the restored one; once others have written to it, that is theirs to judge. */
async function checkBeside(
  { production, restored }: Sides,
  { table, restored: relation }: TablePair,
  copyId: string,
  transactions: ReadonlySet<string>,
): Promise<Check> {
  const columns = relation.columns.map(({ name }) => `t.${quoteIdentifier(name)}`).join(', ');
  const look = async (client: pg.Client, source: string) => {
    const { rows } = await client.query<{ rows: string; sum: string; others: string }>(
      `SELECT count(*) AS rows, count(*) FILTER (WHERE NOT t.xmin::pg_catalog.text = ANY ($1)) AS others,
         sum(pg_catalog.hashtextextended(ROW(${columns})::pg_catalog.text COLLATE pg_catalog."C", 0)) AS sum
       FROM ${source} AS t`,
      [[...transactions]],
    );
    return rows[0] as { rows: string; sum: string; others: string };
  };
  const parts = [relation.schema, besideName(relation.name, copyId)];
  const name = `import of ${table}: copy beside it`;
  const { rows: there } = await production.query<{ there: boolean }>(
    'SELECT pg_catalog.to_regclass($1) IS NOT NULL AS there',
    [quoteQualified(parts)],
  );
  if (there[0]?.there !== true) {
    return { name, verdict: 'fail', detail: `${formatNameParts(parts)} is not in production` };
  }
  const [live, copy] = await Promise.all([
    look(production, quoteQualified(parts)),
    look(restored, relation.source),
  ]);
  const count = countOf(Number(live.rows), 'row');
  if (Number(live.others) > 0) {
    return {
      name,
      verdict: 'inconclusive',
      detail: `others have written to ${formatNameParts(parts)} since`,
    };
  }
  const isEqual = live.rows === copy.rows && live.sum === copy.sum;
  return {
    name,
    verdict: isEqual ? 'pass' : 'fail',
    detail: `${formatNameParts(parts)} has ${count}, ${isEqual ? 'equal to' : 'not the same as'} the restored copy`,
  };
}

function describeCounts(table: string, counts: Counts): Check[] {
  const rows = (amount: number) => countOf(amount, 'row');
  const gone: Check = {
    name: `import of ${table}: rows gone`,
    verdict: counts.remaining === 0 ? 'pass' : 'fail',
    detail:
      counts.remaining === 0
        ? `all ${rows(counts.leaving)} that were to go are gone`
        : `${rows(counts.remaining)} of ${counts.leaving.toLocaleString('en-US')} that were to go are still there`,
  };
  return [
    ...(counts.leaving === 0 ? [] : [gone]),
    {
      name: `import of ${table}: rows present`,
      verdict: counts.absent === 0 ? 'pass' : 'fail',
      detail:
        counts.absent === 0
          ? `all ${rows(counts.approved)} that were approved are in production`
          : `${rows(counts.absent)} of ${counts.approved.toLocaleString('en-US')} approved are not in production`,
    },
    {
      name: `import of ${table}: rows equal`,
      verdict: counts.different === 0 ? 'pass' : 'fail',
      detail: `${rows(counts.imported)} brought back, ${counts.different.toLocaleString('en-US')} differ from the restored copy${
        counts.others === 0 ? '' : `; ${rows(counts.others)} were written by others since`
      }`,
    },
    {
      name: `import of ${table}: references`,
      verdict: counts.unreferenced === 0 ? 'pass' : 'fail',
      detail:
        counts.unreferenced === 0
          ? 'every row refers to rows that exist'
          : `${rows(counts.unreferenced)} refer to rows that do not exist`,
    },
  ];
}

async function countRows(
  sides: Sides,
  pair: TablePair,
  { comparison, rule }: { comparison: TableComparison; rule: ConflictRule },
  transactions: ReadonlySet<string>,
  run: Run,
): Promise<Counts> {
  const counts: Counts = {
    ...{ approved: 0, absent: 0, imported: 0, different: 0, others: 0, unreferenced: 0 },
    ...{ leaving: 0, remaining: 0 },
  };
  const { inserts, updates, deletes } = ruleOf(comparison, rule).change;
  const progress = () => {
    const [done, total] = [counts.approved + counts.leaving, inserts + updates + deletes];
    run.progress({ phase: `verifying ${pair.table}`, done, total, unit: 'rows' });
  };
  const batches = (kind: DifferenceKind) =>
    ruleBatches(comparison.keysFolder, rule, kind, pair.key.parts.length, BATCH_ROWS);
  for (const kind of ['missing', 'changed'] as const) {
    for await (const batch of batches(kind)) {
      run.signal.throwIfAborted();
      const [live, copy] = await Promise.all([
        hashRows(sides.production, pair, 'production', batch.columns),
        hashRows(sides.restored, pair, 'restored', batch.columns),
      ]);
      for (let position = 0; position < batch.lines.length; position += 1) {
        const row = live[position];
        if (row === undefined) counts.absent += 1;
        else if (!transactions.has(row.transaction)) counts.others += 1;
        else {
          counts.imported += 1;
          if (row.hash !== copy[position]?.hash) counts.different += 1;
        }
      }
      if (!pair.keyless) counts.unreferenced += await countUnreferenced(sides, pair, batch.columns);
      counts.approved += batch.lines.length;
      progress();
    }
  }
  for await (const batch of batches('extra')) {
    run.signal.throwIfAborted();
    const live = await hashRows(sides.production, pair, 'production', batch.columns);
    counts.remaining += live.filter(
      (row) => row !== undefined && isBefore(row.transaction, transactions),
    ).length;
    counts.leaving += batch.lines.length;
    progress();
  }
  if (pair.keyless && counts.remaining > 0) {
    // Which of several equal rows came later cannot be told: any that did may stand for one that went.
    counts.remaining = Math.max(
      0,
      counts.remaining - (await countLater(sides.production, pair, transactions)),
    );
  }
  return counts;
}

/** Whether a row was written before each of these transactions, all as the low 32 bits of their ids. */
function isBefore(transaction: string, transactions: ReadonlySet<string>): boolean {
  const distance = (of: string) => (Number(of) - Number(transaction)) >>> 0;
  return [...transactions].every((other) => distance(other) > 0 && distance(other) < 2 ** 31);
}

async function countLater(
  client: pg.Client,
  pair: TablePair,
  transactions: ReadonlySet<string>,
): Promise<number> {
  const { rows } = await client.query<{ transaction: string; count: string }>(
    `SELECT t.xmin::pg_catalog.text AS transaction, count(*) AS count FROM ${pair.production.source} AS t GROUP BY 1`,
  );
  return rows
    .filter(({ transaction }) => !transactions.has(transaction) && !isBefore(transaction, transactions))
    .reduce((all, { count }) => all + Number(count), 0);
}

/** By position: a hash of the row's text, and the transaction that wrote it (its low 32 bits, as xmin shows it). */
async function hashRows(
  client: pg.Client,
  pair: TablePair,
  side: Side,
  keys: Values,
): Promise<({ transaction: string; hash: string } | undefined)[]> {
  const columns = pair.columns
    .filter((name) => columnOf(pair.production, name)?.fullType === columnOf(pair.restored, name)?.fullType)
    .map((name) => `t.${quoteIdentifier(name)}`);
  if (pair.keyless) await preferIndexes(client, false);
  const { rows } = await client.query<[string, string, string]>({
    text: `SELECT holdfast_n, t.${pair.keyless ? 'holdfast_' : ''}xmin::pg_catalog.text,
        pg_catalog.hashtextextended(ROW(${columns.join(', ')})::pg_catalog.text COLLATE pg_catalog."C", 0)::pg_catalog.text
      FROM ${unnest(keys.length)} JOIN ${rowSource(pair, side, 't')} ON ${keyCondition(pair.key, 't', pair[side])}`,
    values: [...keys],
    rowMode: 'array',
  });
  if (pair.keyless) await preferIndexes(client, true);
  const found: ({ transaction: string; hash: string } | undefined)[] = [];
  for (const [position, transaction, hash] of rows) found[Number(position) - 1] = { transaction, hash };
  return found;
}

async function countUnreferenced(sides: Sides, pair: TablePair, keys: Values): Promise<number> {
  let count = 0;
  for (const key of checkedForeignKeys(pair)) {
    const columns = key.columns.map((column) => `t.${quoteIdentifier(column)}`);
    const { rows } = await sides.production.query<string[]>({
      text: `SELECT DISTINCT ${columns.map((column) => `${column}::pg_catalog.text`).join(', ')}
        FROM ${unnest(keys.length)} JOIN ${pair.production.source} AS t
          ON ${keyCondition(pair.key, 't', pair.production)}
        WHERE ${columns.map((column) => `${column} IS NOT NULL`).join(' AND ')}`,
      values: [...keys],
      rowMode: 'array',
    });
    if (rows.length === 0) continue;
    count += (await absentParents(sides.production, key, transpose(rows, columns.length))).size;
  }
  return count;
}
