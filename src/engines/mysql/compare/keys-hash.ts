import { createHash } from 'node:crypto';
import type { ConflictRule } from '../../../model/plan.ts';
import { CONFLICT_RULES } from '../../../model/plan.ts';
import { quoteIdentifier } from '../identifier.ts';
import { type Compared, KINDS, keyColumns, listOf, type Scratch } from './scratch.ts';
import { readValue } from './values.ts';

/** What a rule does to a table, in rows. */
export interface RuleCounts {
  missing: number;
  changed: number;
  extra: number;
  orphans: number;
  clashes: number;
  forbidden: number;
}

/** Per rule, sha256 over the keys that differ in order, with what becomes of each. */
export async function hashKeys(
  { reader }: Scratch,
  { pair, diff }: Compared,
): Promise<Record<ConflictRule, string>> {
  const keys = keyColumns(pair);
  const hashes = CONFLICT_RULES.map(() =>
    createHash('sha256').update(keys.map(({ name }) => name).join('\0')),
  );
  const values = keys.map((column) => `HEX(${readValue(column, 'd')})`).join(', ');
  const rows = reader.stream(
    `SELECT CONCAT_WS(',', d.holdfast_kind, d.holdfast_count, ${values}), d.left_1, d.left_2, d.left_3
     FROM ${diff} AS d ORDER BY ${listOf(keys, 'd')}`,
  );
  for await (const [key, ...left] of rows) {
    const kind = Number(String(key).split(',', 1)[0]);
    for (const [at, hash] of hashes.entries()) {
      // The fourth is side-by-side, which leaves nothing alone.
      if (at < 3 && kind > at + 1) continue;
      hash.update(`\n${key};${left[at] ?? ''}`);
    }
  }
  return Object.fromEntries(
    CONFLICT_RULES.map((rule, at) => [rule, (hashes[at] as (typeof hashes)[number]).digest('hex')]),
  ) as Record<ConflictRule, string>;
}

/** Of one rule: the rows of each kind that it changes, and those that it leaves alone. */
export async function countRule({ work }: Scratch, { diff }: Compared, rule: 1 | 2 | 3): Promise<RuleCounts> {
  const left = quoteIdentifier(`left_${rule}`);
  const count = (condition: string) => `CAST(IFNULL(SUM(IF(${condition}, holdfast_count, 0)), 0) AS SIGNED)`;
  const kinds = KINDS.map((name, at) =>
    at < rule ? `${count(`holdfast_kind = ${at + 1} AND ${left} = 0`)} AS ${name}` : `0 AS ${name}`,
  );
  const [row] = await work.query<Record<keyof RuleCounts, string>>(
    `SELECT ${kinds.join(', ')}, ${count(`${left} = 1`)} AS orphans, ${count(`${left} = 2`)} AS clashes,
       ${count(`${left} = 3`)} AS forbidden FROM ${diff}`,
  );
  const numbers = Object.entries(row ?? {}).map(([name, value]) => [name, Number(value)]);
  return Object.fromEntries(numbers) as unknown as RuleCounts;
}
