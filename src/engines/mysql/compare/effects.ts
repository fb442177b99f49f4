import { quoteIdentifier } from '../identifier.ts';

import type { References } from './references.ts';
import { type Compared, keyColumns, listOf, type Scratch, sameKey, sameValues } from './scratch.ts';
import { columnOf, columnsOf, type ForeignKey, isSameTable, type UniqueIndex } from './table.ts';

/** Why a row is left alone, as `left_1` to `left_3` of the rules say it; 0: it is not. */
export const ORPHAN = 1;
export const CLASH = 2;
/** it would break a constraint that is new since */
export const FORBIDDEN = 3;

/** The rules that write into a table, and the kinds of rows that each changes. */
export const RULE_KINDS = { 'insert-missing': [1], 'restore-changed': [1, 2], replace: [1, 2, 3] } as const;
export type WritingRule = keyof typeof RULE_KINDS;

export const leftOf = (rule: WritingRule): string => `left_${RULE_KINDS[rule].length}`;

/** SQL: a row of a difference that the rule changes. `among`: of these kinds only. */
export function isActive(rule: WritingRule, alias: string, among: readonly number[] = [1, 2, 3]): string {
  const kinds = RULE_KINDS[rule].filter((kind) => among.includes(kind));
  if (kinds.length === 0) return 'FALSE';
  return `(${alias}.holdfast_kind IN (${kinds.join(', ')}) AND ${alias}.${leftOf(rule)} = 0)`;
}

export const anyNull = (names: readonly string[], alias: string) =>
  names.map((name) => `${alias}.${quoteIdentifier(name)} IS NULL`).join(' OR ');

export const among = (all: readonly Compared[], parts: readonly string[]): Compared | undefined =>
  all.find(({ pair }) => isSameTable(pair.parts, parts));

/** Foreign keys of which the rows that come bring the values along. */
export const ownKeys = ({ pair: { production, restored } }: Compared): ForeignKey[] =>
  production.foreignKeys.filter(({ columns }) =>
    columns.every((name) => columnOf(restored, name) !== undefined),
  );

/** A row that is changed keeps its key. */
export function losingKinds({ pair: { key } }: Compared, { parentColumns }: ForeignKey): string {
  return parentColumns.every((name) => key?.includes(name)) ? '3' : '2, 3';
}

/**
 * Marks the rows that a rule leaves alone, judged by what the tables will hold in the end: whose unique values another
 * row holds (clash), whose parent will not be there, or, where they would go or give up a value, to which another row
 * will still refer (orphan). Each can take others with it, so it is asked again until there are no more.
 */
export async function findEffects(
  scratch: Scratch,
  all: readonly Compared[],
  references: References,
  rule: WritingRule,
  signal: AbortSignal,
): Promise<void> {
  for (let any = true; any; ) {
    any = false;
    for (const compared of all) {
      for (const [reason, query] of questions(compared, all, references, rule)) {
        signal.throwIfAborted();
        const { found } = compared;
        // By a table of its own: MySQL does not let an UPDATE ask about the table that it changes.
        await scratch.work.execute(`DELETE FROM ${found}`);
        await scratch.work.execute(
          `INSERT INTO ${found} SELECT DISTINCT ${listOf(keyColumns(compared.pair), 'd')} ${query}`,
        );
        const { foundRows } = await scratch.work.execute(
          `UPDATE ${compared.diff} AS d JOIN ${found} AS f ON ${sameKey(compared.pair, 'd', 'f')}
           SET d.${leftOf(rule)} = ${reason} WHERE d.${leftOf(rule)} = 0`,
        );
        any ||= foundRows > 0;
      }
    }
  }
}

function* questions(
  compared: Compared,
  all: readonly Compared[],
  references: References,
  rule: WritingRule,
): Generator<[number, string]> {
  const { pair, diff, copy, live } = compared;
  const coming = `FROM ${diff} AS d JOIN ${copy} AS c ON ${sameKey(pair, 'd', 'c')}`;
  for (const { condition } of newConstraints(compared)) {
    yield [
      FORBIDDEN,
      `FROM ${diff} AS d JOIN (SELECT * FROM ${copy} WHERE ${condition}) AS c ON ${sameKey(pair, 'd', 'c')} WHERE ${isActive(rule, 'd', [1, 2])}`,
    ];
  }
  for (const index of checkedUniques(compared)) {
    yield [
      CLASH,
      `${coming} JOIN ${live} AS l ON ${sameUnique(index, 'l', 'c')} AND NOT (${sameKey(pair, 'l', 'c')})
       LEFT JOIN ${diff} AS o ON ${sameKey(pair, 'o', 'l')} AND ${isActive(rule, 'o', [2, 3])}
       WHERE ${isActive(rule, 'd', [1, 2])} AND o.holdfast_kind IS NULL`,
    ];
    if (!isNew(compared, index)) continue;
    const [first, second] = [listOf(keyColumns(pair), 'c2'), listOf(keyColumns(pair), 'c')];
    yield [
      CLASH,
      `${coming} JOIN ${copy} AS c2 ON ${sameUnique(index, 'c2', 'c')} AND (${first}) < (${second})
       JOIN ${diff} AS o ON ${sameKey(pair, 'o', 'c2')} AND ${isActive(rule, 'o', [1, 2])}
       WHERE ${isActive(rule, 'd', [1, 2])}`,
    ];
  }
  // Who gives a unique value to another row is deleted and inserted again, which a trigger would see.
  if (rule === 'restore-changed' && pair.production.triggers.length > 0) {
    for (const index of checkedUniques(compared)) {
      yield [
        CLASH,
        `${coming} JOIN ${live} AS l ON ${sameUnique(index, 'l', 'c')} AND NOT (${sameKey(pair, 'l', 'c')})
         WHERE ${isActive(rule, 'd', [1, 2])}`,
      ];
    }
  }
  for (const reference of ownKeys(compared)) {
    const { columns, parentColumns } = reference;
    const parent = among(all, reference.parent);
    const has = (table: string) =>
      `EXISTS (SELECT 1 FROM ${table} AS p WHERE ${sameValues(columns, 'c', 'p', parentColumns)})`;
    const known = references.parents.get(reference) ?? null;
    const there =
      parent !== undefined
        ? inTheEnd(parent, rule, columns, 'c', parentColumns)
        : known === null
          ? 'FALSE'
          : has(known);
    yield [
      ORPHAN,
      `${coming} WHERE ${isActive(rule, 'd', [1, 2])} AND NOT (${anyNull(columns, 'c')}) AND NOT ${there}`,
    ];
  }
  if (rule === 'insert-missing') return;
  for (const reference of pair.production.referencedBy) {
    const { columns, parentColumns } = reference;
    const child = among(all, reference.child);
    const known = references.children.get(reference);
    const referred =
      child !== undefined
        ? inTheEnd(child, rule, parentColumns, 'l', columns)
        : `EXISTS (SELECT 1 FROM ${known} AS p WHERE ${sameValues(parentColumns, 'l', 'p', columns)})`;
    yield [
      ORPHAN,
      `FROM ${diff} AS d JOIN ${live} AS l ON ${sameKey(pair, 'd', 'l')}
       WHERE d.holdfast_kind IN (${losingKinds(compared, reference)}) AND ${isActive(rule, 'd', [2, 3])}
         AND NOT (${anyNull(parentColumns, 'l')}) AND NOT ${inTheEnd(compared, rule, parentColumns, 'l', parentColumns)} AND ${referred}`,
    ];
  }
}

/**
 * What production refuses of a row since: its name for people, and SQL over the copy's columns that is true for such rows.
 * Without a key a copy of all columns is not at hand, and the import says so.
 */
export function newConstraints({
  pair: { key, production, restored, columns },
}: Compared): { name: string; condition: string }[] {
  if (key === null) return [];
  const filled = columnsOf(production, columns).filter(
    ({ name, nullable }) => !nullable && columnOf(restored, name)?.nullable === true,
  );
  const checks = production.checks.filter(({ clause }) => {
    const read = [...clause.replaceAll(/'(?:[^'\\]|\\.|'')*'/gs, '').matchAll(/`((?:[^`]|``)+)`/g)];
    const isKnown = read.every(([, name = '']) => columns.includes(name.replaceAll('``', '`')));
    return isKnown && !restored.checks.some((other) => other.clause === clause);
  });
  return [
    ...filled.map(({ name }) => ({
      name: `NOT NULL of column ${name}`,
      condition: `${quoteIdentifier(name)} IS NULL`,
    })),
    ...checks.map(({ name, clause }) => ({ name: `check ${name}`, condition: `NOT (${clause})` })),
  ];
}

/** SQL: whether in the end a row of the table has these values of `alias`. Columns that do not come back stay as they are. */
function inTheEnd(
  { pair, live, copy, diff }: Compared,
  rule: WritingRule,
  names: readonly string[],
  alias: string,
  columns: readonly string[],
): string {
  const staying = `SELECT 1 FROM ${live} AS pl LEFT JOIN ${diff} AS pd ON ${sameKey(pair, 'pd', 'pl')}
    AND ${isActive(rule, 'pd', [2, 3])} WHERE ${sameValues(names, alias, 'pl', columns)} AND pd.holdfast_kind IS NULL`;
  const isThere = columns.every((name) => columnOf(pair.restored, name) !== undefined);
  const coming = `SELECT 1 FROM ${copy} AS pc JOIN ${diff} AS pd ON ${sameKey(pair, 'pd', 'pc')}
    AND ${isActive(rule, 'pd', [1, 2])} WHERE ${sameValues(names, alias, 'pc', columns)}`;
  const kept = `SELECT 1 FROM ${live} AS pl JOIN ${diff} AS pd ON ${sameKey(pair, 'pd', 'pl')}
    AND ${isActive(rule, 'pd', [2])} WHERE ${sameValues(names, alias, 'pl', columns)}`;
  return `(EXISTS (${staying}) OR EXISTS (${isThere ? coming : kept}))`;
}

/** Unique indexes in which rows that come back could meet others. The key's own is not: equal keys are one row. */
export function checkedUniques({ pair: { production, restored, key } }: Compared): UniqueIndex[] {
  return production.uniques.filter(
    ({ parts }) =>
      parts.every(({ column }) => column !== null && columnOf(restored, column) !== undefined) &&
      !(
        parts.length === key?.length &&
        parts.every(({ column, length }) => length === null && key.includes(column as string))
      ),
  );
}

/** The copy keeps no two rows apart by it. */
function isNew({ pair: { restored, converted } }: Compared, { parts }: UniqueIndex): boolean {
  const essence = (index: UniqueIndex) => JSON.stringify(index.parts);
  if (parts.some(({ column }) => converted.includes(column as string))) return true;
  return !restored.uniques.some((other) => essence(other) === essence({ name: '', parts }));
}

export function sameUnique({ parts }: UniqueIndex, one: string, other: string): string {
  return parts
    .map(({ column, length }) => {
      const value = (alias: string) => {
        const whole = `${alias}.${quoteIdentifier(column as string)}`;
        return length === null ? whole : `LEFT(${whole}, ${length})`;
      };
      return `${value(one)} = ${value(other)}`;
    })
    .join(' AND ');
}
