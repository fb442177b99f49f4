import type pg from 'pg';
import { quoteIdentifier } from '../identifier.ts';
import { columnOf } from './describe.ts';
import type { CheckConstraint, Column } from './relation.ts';
import type { TablePair } from './table-pair.ts';

/** What production refuses by now, and a row of the restored copy may have. */
export interface NewConstraint {
  /** for people: `constraint positive` */
  name: string;
  /** SQL over a row `t` of the restored copy that breaks it */
  broken: string;
}

/**
 * Finds constraints that are new since: rows that break one are left alone. Where that cannot be told from the
 * restored copy, a notice says so.
 */
export async function findNewConstraints(restored: pg.Client, pair: TablePair): Promise<void> {
  if (pair.gone) return;
  for (const column of pair.production.columns) {
    const before = columnOf(pair.restored, column.name);
    if (before === undefined || !pair.columns.includes(column.name)) continue;
    const value = `t.${quoteIdentifier(column.name)}`;
    if (column.notNull && !before.notNull) {
      pair.newConstraints.push({ name: `NOT NULL of column ${column.name}`, broken: `${value} IS NULL` });
    }
    const broken = column.fullType === before.fullType ? null : misfit(value, before, column);
    if (broken !== null) {
      pair.newConstraints.push({ name: `the type ${column.fullType} of column ${column.name}`, broken });
    }
  }
  const before = new Set(pair.restored.checks.map(({ expression }) => expression));
  for (const check of pair.production.checks) {
    if (before.has(check.expression)) continue;
    const broken = `(${check.expression}) IS FALSE`;
    if (await canBeAsked(restored, pair, check, broken)) {
      pair.newConstraints.push({ name: `constraint ${check.name}`, broken });
    } else {
      pair.notices.push(
        `${pair.table}: constraint ${check.name} is new since, and over what the restored copy lacks; whether rows that come back break it is checked by the import only, which then changes nothing`,
      );
    }
  }
}

const INTEGERS: Readonly<Record<string, string>> = {
  smallint: '-32768 AND 32767',
  integer: '-2147483648 AND 2147483647',
  bigint: '-9223372036854775808 AND 9223372036854775807',
};

/** SQL for whether a value is too long or too large for a column's type of now; null where that is not known. */
function misfit(value: string, before: Column, now: Column): string | null {
  const length = /^character(?: varying)?\((\d+)\)$/.exec(now.fullType)?.[1];
  if (length !== undefined) {
    // Spaces at the end are cut off without a word.
    return `pg_catalog.char_length(pg_catalog.rtrim(${value}::pg_catalog.text)) > ${length}`;
  }
  const range = INTEGERS[now.fullType];
  if (range === undefined || !['int2', 'int4', 'int8', 'numeric'].includes(before.baseType)) return null;
  return `(${value} NOT BETWEEN ${range} OR ${value} <> pg_catalog.trunc(${value}))`;
}

/** Whether the restored copy has all that the constraint reads, as production will have it. */
async function canBeAsked(
  restored: pg.Client,
  pair: TablePair,
  { reads }: CheckConstraint,
  broken: string,
): Promise<boolean> {
  const known = (name: string) =>
    columnOf(pair.restored, name)?.fullType === columnOf(pair.production, name)?.fullType;
  if (!reads.every(known)) return false;
  await restored.query('SAVEPOINT holdfast_constraint');
  try {
    await restored.query(`SELECT FROM ${pair.restored.source} AS t WHERE ${broken} LIMIT 0`);
    return true;
  } catch (error) {
    // A function or a type that is new since.
    if (!/^42/.test((error as { code?: string }).code ?? '')) throw error;
    await restored.query('ROLLBACK TO SAVEPOINT holdfast_constraint');
    return false;
  }
}
