import type { ForeignKey, Reference, UniqueIndex } from '../compare/relation.ts';
import { keyNames, type TablePair } from '../compare/table-pair.ts';
import { quoteIdentifier } from '../identifier.ts';
import type { Stage } from './stage.ts';

/** `t` is a row of production, `s` one of the stage, `g` one of the keys that go. */
export function sameKey(pair: TablePair, one: string, other: string): string {
  return keyNames(pair)
    .map(
      (column, index) =>
        `${one}.${quoteIdentifier(column)} ${pair.key.parts[index]?.equals} ${other}.${quoteIdentifier(column)}`,
    )
    .join(' AND ');
}

/** Whether two rows are not byte for byte the same in these columns. */
export function areDifferent(columns: readonly string[], one: string, other: string): string {
  if (columns.length === 0) return 'false';
  // Without the cast it would be a comparison column by column, which some types do not have.
  const image = (alias: string) =>
    `ROW(${columns.map((column) => `${alias}.${quoteIdentifier(column)}`).join(', ')})::pg_catalog.record`;
  return `${image(one)} OPERATOR(pg_catalog.*<>) ${image(other)}`;
}

/** Whether the stage's row is not what production has. */
export function differs(pair: TablePair, t: string, s: string): string {
  return areDifferent(pair.hashed, t, s);
}

/** Whether a row `c` of the child (an alias, or one for each column) refers to row `t` of the parent. */
export function refersTo(reference: Reference, c: string | readonly string[], t: string): string {
  const child = (index: number) => (typeof c === 'string' ? c : c[index]);
  return reference.columns
    .map(
      (column, index) =>
        `${t}.${quoteIdentifier(reference.parentColumns[index] as string)} ${reference.equals[index]} ${child(index)}.${quoteIdentifier(column)}`,
    )
    .join(' AND ');
}

/** Whether `p` is the parent of the stage's row `s`. */
export function isParent(key: ForeignKey, p: string, s: string): string {
  return key.columns
    .map(
      (column, index) =>
        `${p}.${quoteIdentifier(key.parentColumns[index] as string)} ${key.equals[index]} ${s}.${quoteIdentifier(column)}`,
    )
    .join(' AND ');
}

/** Whether two rows, each a subquery with `holdfast_1`, `holdfast_2`, …, meet in a unique index. */
export function meetIn(index: UniqueIndex, one: string, other: string): string {
  return index.parts
    .map((part, at) => {
      const [left, right] = [`${one}.holdfast_${at + 1}`, `${other}.holdfast_${at + 1}`];
      const equal = `${left} ${part.equals} ${right}`;
      return index.nullsDistinct ? equal : `(${equal} OR (${left} IS NULL AND ${right} IS NULL))`;
    })
    .join(' AND ');
}

/** The index's expressions as `holdfast_1`, …, over the columns of a row. */
export function indexValues(index: UniqueIndex): string {
  return index.parts.map((part, at) => `(${part.expression}) AS holdfast_${at + 1}`).join(', ');
}

/** Whether the change may give a row of the table other values in these columns. */
export function mayChange(stage: Stage, columns: readonly string[]): boolean {
  return stage.rule !== 'insert-missing' && columns.some((column) => stage.pair.hashed.includes(column));
}
