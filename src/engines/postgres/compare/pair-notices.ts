import { columnOf } from './describe.ts';
import { isAlike, type Relation } from './relation.ts';

/** How the table differs from what it was, as far as rows that come back are concerned. */
export function describeDifferences(
  table: string,
  production: Relation,
  restored: Relation,
  columns: readonly string[],
): string[] {
  const notices: string[] = [];
  for (const column of production.columns) {
    const before = columnOf(restored, column.name);
    if (before === undefined) {
      notices.push(`${table}: column ${column.name} is new since; rows that come back get its default`);
    } else if (before.fullType !== column.fullType && columns.includes(column.name)) {
      notices.push(
        `${table}: column ${column.name} was ${before.fullType} and is ${column.fullType} now; its values are converted by their text`,
      );
    }
  }
  for (const column of restored.columns) {
    if (columnOf(production, column.name) !== undefined || column.generated) continue;
    notices.push(`${table}: column ${column.name} has been dropped since; its values do not come back`);
  }
  for (const index of production.uniques) {
    if (!index.exclusion || restored.uniques.some((other) => isAlike(index, other))) continue;
    notices.push(
      `${table}: exclusion constraint ${index.name} is new since; whether rows that come back exclude each other is checked by the import only, which then changes nothing`,
    );
  }
  if (production.parents.length > 0) {
    notices.push(
      `${table} is a part of ${production.parents.join(', ')}: only its own rows are compared and come back`,
    );
  }
  if (production.hasInheritors) {
    notices.push(
      `${table}: tables that inherit from it are not included; name them too where they lost rows`,
    );
  }
  return notices;
}

/** A large object is no part of the row that names it. */
export function largeObjectNotices(table: string, restored: Relation): string[] {
  if (!restored.hasLargeObjects) return [];
  return restored.columns
    .filter((column) => column.baseType === 'oid')
    .map(
      ({ name }) =>
        `${table}: column ${name} may name large objects; these are not compared and do not come back`,
    );
}
