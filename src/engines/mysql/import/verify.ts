import type { Check } from '../../../model/evidence.ts';
import { countOf } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import { formatNameParts } from '../../../model/table.ts';
import type { ImportInput } from '../../contract/change.ts';
import { besideParts } from '../compare/beside.ts';
import { withScratch } from '../compare/compare.ts';
import { isActive, ownKeys, type WritingRule } from '../compare/effects.ts';
import { createTables, loadLive } from '../compare/fill.ts';
import { lookUp } from '../compare/lookup.ts';
import { describePair, type TablePair } from '../compare/pair.ts';
import {
  type Compared,
  comparedOf,
  hashOf,
  keyColumns,
  type Scratch,
  sameKey,
  sameValues,
} from '../compare/scratch.ts';
import { columnsOf, describeTable } from '../compare/table.ts';
import { readValue } from '../compare/values.ts';
import { type Connection, withConnection } from '../connection.ts';
import { quoteIdentifier } from '../identifier.ts';
import { hashSumSql, rowHashSql } from '../row-hash.ts';
import { scratchOf } from './import.ts';

interface Counts {
  approved: number;
  absent: number;
  different: number;
  leaving: number;
  remaining: number;
  unreferenced: number;
}

/**
 * Looks again: every approved row is there, and refers to rows that exist; every row that was to go is gone. The import's
 * own transaction has seen before its commit that each row equals the restored copy's: one that does not by now was
 * changed by others since, which is counted, not judged. Reads only in production.
 */
export async function verifyImport(input: ImportInput, run: Run): Promise<Check[]> {
  const options = { applicationName: 'verify import', readOnly: true };
  return withConnection(
    input.production,
    run,
    (production) =>
      withScratch(input, scratchOf(input.comparisons), run, async (scratch) => {
        const checks: Check[] = [];
        for (const [index, { table }] of input.comparisons.entries()) {
          run.progress({ phase: `verifying ${table}` });
          const pair = await describePair(production, scratch.reader, table, input.production.database);
          if (input.conflict === 'side-by-side')
            checks.push(await checkBeside(production, scratch, pair, input.copyId));
          else {
            const compared = comparedOf(pair, scratch.schema, index);
            checks.push(
              ...describeCounts(table, await countRows(production, scratch, compared, input.conflict, run)),
            );
          }
        }
        return checks;
      }),
    options,
  );
}

/** Whether the copy beside a table is the restored one. */
async function checkBeside(
  production: Connection,
  { reader }: Scratch,
  pair: TablePair,
  copyId: string,
): Promise<Check> {
  const parts = besideParts(pair, copyId);
  const name = `import of ${pair.table}: copy beside it`;
  const made = await describeTable(production, parts);
  if (made === null)
    return { name, verdict: 'fail', detail: `${formatNameParts(parts)} is not in production` };
  const look = async (session: Connection, table: string) => {
    const [row] = await session.query<{ count: string; sum: string }>(
      `SELECT COUNT(*) AS count, ${hashSumSql(rowHashSql(pair.restored.columns, 't'))} AS sum FROM ${table} AS t`,
    );
    return row as { count: string; sum: string };
  };
  const [live, copy] = [await look(production, made.qualified), await look(reader, pair.restored.qualified)];
  const isEqual = live.count === copy.count && live.sum === copy.sum;
  return {
    name,
    // Who has written to it since cannot be told from what the import wrote.
    verdict: isEqual ? 'pass' : 'inconclusive',
    detail: `${formatNameParts(parts)} has ${countOf(Number(live.count), 'row')}, ${isEqual ? 'equal to' : 'not the same as'} the restored copy${isEqual ? '' : ': others may have written to it since'}`,
  };
}

async function countRows(
  production: Connection,
  scratch: Scratch,
  compared: Compared,
  rule: WritingRule,
  run: Run,
): Promise<Counts> {
  const { pair, diff, index, copy } = compared;
  const counts = { ...(await countKeys(production, scratch, compared, rule, run)), unreferenced: 0 };
  for (const [at, key] of ownKeys(compared).entries()) {
    const parent = await describeTable(production, key.parent as [string, string]);
    if (parent === null) continue;
    const filled = key.columns.map((name) => `c.${quoteIdentifier(name)} IS NOT NULL`).join(' AND ');
    const from = `FROM ${diff} AS d JOIN ${copy} AS c ON ${sameKey(pair, 'd', 'c')} WHERE ${isActive(rule, 'd', [1, 2])} AND ${filled}`;
    const values = columnsOf(pair.production, key.columns).map((column) => readValue(column, 'c'));
    const there = await lookUp(production, scratch, {
      values: `SELECT DISTINCT ${values.join(', ')} ${from}`,
      table: key.parent,
      by: columnsOf(parent, key.parentColumns),
      into: `found_parents_${index}_${at}`,
    });
    const [row] = await scratch.work.query<{ n: string }>(
      `SELECT COUNT(*) AS n ${from} AND NOT EXISTS (SELECT 1 FROM ${there} AS p WHERE ${sameValues(key.columns, 'c', 'p', key.parentColumns)})`,
    );
    counts.unreferenced += Number(row?.n);
  }
  return counts;
}

async function countKeys(
  production: Connection,
  scratch: Scratch,
  compared: Compared,
  rule: WritingRule,
  run: Run,
): Promise<Omit<Counts, 'unreferenced'>> {
  const { pair, diff, copy, index } = compared;
  const sum = (condition: string, value = 'd.holdfast_count') =>
    `CAST(IFNULL(SUM(IF(${condition}, ${value}, 0)), 0) AS SIGNED)`;
  const [coming, going] = [isActive(rule, 'd', [1, 2]), isActive(rule, 'd', [3])];
  let now: string;
  let counted: Record<'absent' | 'different' | 'remaining', string>;
  if (pair.key === null) {
    // Which of several equal rows came back cannot be told: how many there are can.
    const again = comparedOf(pair, scratch.schema, index, true);
    await createTables(scratch, again);
    await loadLive(production, scratch, { ...again, pair: { ...pair, gone: false } }, run);
    now = again.live;
    const [have, wanted] = [
      'CAST(IFNULL(n.holdfast_count, 0) AS SIGNED)',
      'CAST(IFNULL(c.holdfast_count, 0) AS SIGNED)',
    ];
    counted = {
      absent: sum(coming, `GREATEST(0, ${wanted} - ${have})`),
      different: '0',
      remaining: sum(going, `LEAST(d.holdfast_count, GREATEST(0, ${have} - ${wanted}))`),
    };
  } else {
    const keys = keyColumns(pair);
    now = await lookUp(production, scratch, {
      values: `SELECT ${keys.map((column) => readValue(column, 'd')).join(', ')} FROM ${diff} AS d WHERE ${isActive(rule, 'd')}`,
      ...{ table: pair.parts, by: keys, hash: hashOf(pair, 't'), into: `found_rows_${index}` },
    });
    const key = quoteIdentifier(keys[0]?.name as string);
    counted = {
      absent: sum(`${coming} AND n.${key} IS NULL`),
      different: sum(`${coming} AND n.holdfast_hash <> ${hashOf(pair, 'c')}`),
      // As it was before the import: one that came later differs, or is somebody's to explain.
      remaining: sum(`${going} AND n.holdfast_hash = d.holdfast_was`),
    };
  }
  const [row] = await scratch.work.query<Record<keyof Counts, string>>(
    `SELECT ${sum(coming)} AS approved, ${sum(going)} AS leaving, ${counted.absent} AS absent,
       ${counted.different} AS different, ${counted.remaining} AS remaining
     FROM ${diff} AS d LEFT JOIN ${now} AS n ON ${sameKey(pair, 'n', 'd')} LEFT JOIN ${copy} AS c ON ${sameKey(pair, 'c', 'd')}`,
  );
  const numbers = Object.entries(row ?? {}).map(([name, value]) => [name, Number(value)]);
  return Object.fromEntries(numbers) as unknown as Counts;
}

function describeCounts(table: string, counts: Counts): Check[] {
  const rows = (amount: number) => countOf(amount, 'row');
  const check = (name: string, bad: number, good: string, detail: string): Check => ({
    name: `import of ${table}: ${name}`,
    verdict: bad === 0 ? 'pass' : 'fail',
    detail: bad === 0 ? good : detail,
  });
  const { approved, absent, different, leaving, remaining, unreferenced } = counts;
  return [
    ...(leaving === 0
      ? []
      : [
          check(
            'rows gone',
            remaining,
            `all ${rows(leaving)} that were to go are gone`,
            `${rows(remaining)} of ${leaving.toLocaleString('en-US')} that were to go are still there`,
          ),
        ]),
    check(
      'rows present',
      absent,
      `all ${rows(approved)} that were approved are in production`,
      `${rows(absent)} of ${approved.toLocaleString('en-US')} approved are not in production`,
    ),
    check(
      'rows equal',
      0,
      `${rows(approved - absent)} brought back, each equal to the restored copy when the import committed${different === 0 ? '' : `; ${rows(different)} were written by others since`}`,
      '',
    ),
    check(
      'references',
      unreferenced,
      'every row refers to rows that exist',
      `${rows(unreferenced)} refer to rows that do not exist`,
    ),
  ];
}
