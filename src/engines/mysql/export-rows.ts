import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { formatNameParts, parseNameParts } from '../../model/table.ts';
import type { TableComparison } from '../contract/change.ts';
import type { ExportInput } from '../contract/read.ts';
import { ruleOf } from '../rule-of.ts';
import { isActive } from './compare/effects.ts';
import { hashKeys } from './compare/keys-hash.ts';
import { describePair } from './compare/pair.ts';
import { comparedOf, hashOf, listOf, sameKey } from './compare/scratch.ts';
import { type Column, columnsOf } from './compare/table.ts';
import { type Connection, withConnection } from './connection.ts';
import { refusalOf } from './error.ts';
import { csvValue } from './export-csv.ts';

export interface RuleRows {
  columns: Column[];
  queries: string[];
  /** how many rows all the queries have to give; null: nobody counted */
  expected: number | null;
}

/**
 * What this rule brings back of a table: absent rows, and changed ones where the rule takes them back; neither what
 * it leaves alone nor what it would delete, which the copy has not. Null: the whole table (`side-by-side`). Throws
 * CheckFailed where the comparison is not what it was.
 */
export async function ruleRows(
  { rows: { comparisons, conflict, production } }: ExportInput & { rows: NonNullable<ExportInput['rows']> },
  restored: Connection,
  table: string,
  run: Run,
): Promise<RuleRows | null> {
  const comparison = comparisonOf(comparisons, table);
  const { change, keysSha256 } = ruleOf(comparison, conflict);
  if (conflict === 'side-by-side') return null;
  const session = { applicationName: 'export', readOnly: true };
  const pair = await withConnection(
    production,
    run,
    (live) => describePair(live, restored, table, production.database),
    session,
  );
  const [schema = '', index = ''] = comparison.keysFolder.split('/');
  const compared = comparedOf(pair, schema, Number(index));
  const hashes = await hashKeys({ schema, work: restored, reader: restored }, compared).catch(
    (error: unknown) => {
      if (refusalOf(error) === null) throw error;
      return null;
    },
  );
  if (hashes?.[conflict] !== keysSha256) {
    throw new HoldfastError('CheckFailed', `the comparison of ${table} is not what it was`, {
      hint: 'start the recovery again',
    });
  }
  // Converted rows have only the columns that come back.
  const isConverted = pair.converted.length > 0;
  const columns = isConverted ? columnsOf(pair.production, pair.columns) : pair.restored.columns;
  const values = columns.map((column) => csvValue(column, 'c')).join(', ');
  const { rows, diff } = compared;
  const wanted = isActive(conflict, 'd', [1, 2]);
  // Of equal rows only so many come back. By name: `*` leaves invisible columns out.
  const numbered = `SELECT ${hashOf(pair, 'r')} AS holdfast_hash, ${listOf(columns, 'r')}, ROW_NUMBER() OVER (PARTITION BY ${hashOf(pair, 'r')}) AS holdfast_n FROM ${rows} AS r`;
  const from =
    pair.key === null
      ? `(${numbered}) AS c JOIN ${diff} AS d ON d.holdfast_hash = c.holdfast_hash AND c.holdfast_n <= d.holdfast_count`
      : `${diff} AS d JOIN ${rows} AS c ON ${sameKey(pair, 'd', 'c')}`;
  return {
    columns,
    queries: [`SELECT ${values} FROM ${from} WHERE ${wanted}`],
    expected: change.inserts + change.updates,
  };
}

function comparisonOf(comparisons: readonly TableComparison[], table: string): TableComparison {
  const found = comparisons.find((one) => formatNameParts(parseNameParts(one.table)) === table);
  if (found !== undefined) return found;
  throw new HoldfastError('InvalidInput', `${table} has not been compared`, {
    hint: 'start the recovery again',
  });
}
