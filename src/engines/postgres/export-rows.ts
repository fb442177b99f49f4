import type pg from 'pg';
import { HoldfastError } from '../../model/failure.ts';
import { formatNameParts, parseNameParts } from '../../model/table.ts';
import type { TableComparison } from '../contract/change.ts';
import type { ExportInput } from '../contract/read.ts';
import { ruleOf } from '../rule-of.ts';
import { checkFolder, ruleBatches } from './compare/differences.ts';
import type { KeyBatch } from './compare/keys-file.ts';
import { BATCH_ROWS, keyCondition, preferIndexes } from './compare/lookup.ts';
import { locateTables } from './compare/rule.ts';
import { describePair, keyTexts, rowSource, type TablePair } from './compare/table-pair.ts';
import { withConnection } from './connection.ts';
import { quoteIdentifier, quoteLiteral } from './identifier.ts';

/** The rows of a restored table that one rule would bring back, in pieces: queries for COPY. */
export interface RuleRows {
  /** gives the columns, and no row */
  header: string;
  queries: () => AsyncGenerator<string>;
  /** how many rows all the queries have to give */
  expected: number;
}

type Rows = NonNullable<ExportInput['rows']>;

/**
 * What this rule brings back of a table: absent rows, and changed ones where the rule takes them back; neither what
 * it leaves alone nor what it would delete, which the copy has not. Null: the whole table (`side-by-side`).
 * Throws ChecksumMismatch and InstanceLost where the comparison's files are not what they were.
 */
export async function ruleRows(
  input: ExportInput & { rows: Rows },
  client: pg.Client,
  table: string,
  signal: AbortSignal,
): Promise<RuleRows | null> {
  const { conflict, comparisons } = input.rows;
  const comparison = comparisonOf(comparisons, table);
  const { change, keysSha256 } = ruleOf(comparison, conflict);
  if (conflict === 'side-by-side') return null;
  const { key } = await checkFolder(table, comparison.keysFolder, conflict, keysSha256);
  const pair = await readPair(input, client, table, signal);
  await preferIndexes(client, !pair.keyless);
  const columns = pair.restored.columns.map((column) => `t.${quoteIdentifier(column.name)}`).join(', ');
  return {
    header: `SELECT ${columns} FROM ${pair.restored.source} AS t WHERE false`,
    queries: async function* () {
      for (const kind of ['missing', 'changed'] as const) {
        const batches = ruleBatches(comparison.keysFolder, conflict, kind, key.length, BATCH_ROWS);
        for await (const batch of batches) yield batchQuery(pair, columns, batch);
      }
    },
    expected: change.inserts + change.updates,
  };
}

function comparisonOf(comparisons: readonly TableComparison[], table: string): TableComparison {
  const found = comparisons.find((one) => formatNameParts(parseNameParts(one.table).slice(-2)) === table);
  if (found !== undefined) return found;
  throw new HoldfastError('InvalidInput', `${table} has not been compared`, {
    hint: 'start the recovery again',
  });
}

async function readPair(
  input: ExportInput & { rows: Rows },
  restored: pg.Client,
  table: string,
  signal: AbortSignal,
): Promise<TablePair> {
  const { production } = locateTables({ ...input, production: input.rows.production, copyId: '' });
  const session = { signal, applicationName: 'export', readOnly: true };
  return withConnection(production, session, (live) => describePair(live, restored, table));
}

/** COPY takes no parameters, and a standby no temporary table: the keys stand in the statement as literals. */
function batchQuery(pair: TablePair, columns: string, batch: KeyBatch): string {
  const arrays = batch.columns.map((values) => `${quoteLiteral(arrayLiteral(values))}::pg_catalog.text[]`);
  const names = batch.columns.map((_, index) => `holdfast_${index + 1}`);
  const conditions = [keyCondition(pair.key, 't', pair.restored)];
  // Where unequal texts can be equal keys, the row of the very key is meant.
  if (!pair.keyIsExact) {
    for (const [index, { text }] of keyTexts(pair, 'restored', 't').entries()) {
      conditions.push(`(${text})::pg_catalog.text = holdfast.holdfast_${index + 1} COLLATE pg_catalog."C"`);
    }
  }
  return `SELECT ${columns}
    FROM unnest(${arrays.join(', ')}) WITH ORDINALITY AS holdfast(${names.join(', ')}, holdfast_n)
    JOIN ${rowSource(pair, 'restored', 't')} ON ${conditions.join(' AND ')} ORDER BY holdfast_n`;
}

function arrayLiteral(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}
