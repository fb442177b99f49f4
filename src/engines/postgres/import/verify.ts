import type pg from 'pg';
import type { Check } from '../../../model/evidence.ts';
import { countOf } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import type { ImportInput, TableComparison } from '../../engine.ts';
import { ruleOf } from '../../rule-of.ts';
import { columnOf } from '../compare/describe.ts';
import { ruleBatches } from '../compare/differences.ts';
import { checkedForeignKeys } from '../compare/effects.ts';
import {
  absentParents,
  BATCH_ROWS,
  keyCondition,
  preferIndexes,
  transpose,
  unnest,
  type Values,
} from '../compare/lookup.ts';
import type { Relation } from '../compare/relation.ts';
import { locateTables } from '../compare/rule.ts';
import { describePair, type TablePair } from '../compare/table-pair.ts';
import { withConnection } from '../connection.ts';
import { quoteIdentifier } from '../identifier.ts';

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
}

/**
 * Looks again: every approved row is there, each that the import's own transaction left equals the restored
 * copy, and each refers to rows that exist. Rows that others have changed since are counted, not judged.
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
        const counts = await countRows(sides, pair, comparison, transactions, run);
        checks.push(...describeCounts(pair.table, counts));
      }
      return checks;
    }),
  );
}

function describeCounts(table: string, counts: Counts): Check[] {
  const rows = (amount: number) => countOf(amount, 'row');
  return [
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
  comparison: TableComparison,
  transactions: ReadonlySet<string>,
  run: Run,
): Promise<Counts> {
  const counts: Counts = { approved: 0, absent: 0, imported: 0, different: 0, others: 0, unreferenced: 0 };
  const total = ruleOf(comparison, 'insert-missing').change.inserts;
  for await (const batch of ruleBatches(
    comparison.keysFolder,
    'insert-missing',
    'missing',
    pair.key.parts.length,
    BATCH_ROWS,
  )) {
    run.signal.throwIfAborted();
    const [live, copy] = await Promise.all([
      hashRows(sides.production, pair, pair.production, batch.columns),
      hashRows(sides.restored, pair, pair.restored, batch.columns),
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
    counts.unreferenced += await countUnreferenced(sides, pair, batch.columns);
    counts.approved += batch.lines.length;
    run.progress({ phase: `verifying ${pair.table}`, done: counts.approved, total, unit: 'rows' });
  }
  return counts;
}

/** By position: a hash of the row's text, and the transaction that wrote it (its low 32 bits, as xmin shows it). */
async function hashRows(
  client: pg.Client,
  pair: TablePair,
  relation: Relation,
  keys: Values,
): Promise<({ transaction: string; hash: string } | undefined)[]> {
  const columns = pair.columns
    .filter((name) => columnOf(pair.production, name)?.fullType === columnOf(pair.restored, name)?.fullType)
    .map((name) => `t.${quoteIdentifier(name)}`);
  const { rows } = await client.query<[string, string, string]>({
    text: `SELECT holdfast_n, t.xmin::pg_catalog.text,
        pg_catalog.hashtextextended(ROW(${columns.join(', ')})::pg_catalog.text COLLATE pg_catalog."C", 0)::pg_catalog.text
      FROM ${unnest(keys.length)} JOIN ${relation.source} AS t ON ${keyCondition(pair.key, 't', relation)}`,
    values: [...keys],
    rowMode: 'array',
  });
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
