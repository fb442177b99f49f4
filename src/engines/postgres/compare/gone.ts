import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import type { ConflictRule } from '../../../model/plan.ts';
import { formatNameParts, parseNameParts } from '../../../model/table.ts';
import { quoteIdentifier, quoteQualified } from '../identifier.ts';
import type { Relation } from './relation.ts';
import { nameOf, type TablePair } from './table-pair.ts';

/** What production has around a table that is gone. */
export interface Surroundings {
  /** null: the schema is gone too */
  mayCreate: boolean | null;
  /** names of tables that production has, of those around the table: its parents, and what referred to it */
  there: ReadonlySet<string>;
}

export async function readSurroundings(production: pg.Client, restored: Relation): Promise<Surroundings> {
  const names = [
    ...restored.parents,
    ...restored.foreignKeys.map(({ parent }) => parent),
    ...restored.referencedBy.map(({ table }) => table),
  ];
  const { rows } = await production.query<{ create: boolean | null; there: string[] }>(
    `SELECT (SELECT pg_catalog.has_schema_privilege(oid, 'CREATE') FROM pg_catalog.pg_namespace
         WHERE nspname = $1) AS create,
       ARRAY(SELECT name FROM unnest($2::pg_catalog.text[], $3::pg_catalog.text[]) AS u(name, quoted)
         WHERE pg_catalog.to_regclass(quoted) IS NOT NULL) AS there`,
    [restored.schema, names, names.map((name) => quoteQualified(parseNameParts(name)))],
  );
  return { mayCreate: rows[0]?.create ?? null, there: new Set(rows[0]?.there) };
}

/** The table as it will be in production: nothing there refers to it, and nothing rewrites what comes into it. */
export function asGone(restored: Relation, { mayCreate }: Surroundings): Relation {
  return {
    ...restored,
    referencedBy: [],
    rewrites: { insert: false, update: false, delete: false },
    enabledTriggers: 0,
    rights: {
      select: true,
      insert: true,
      update: true,
      delete: true,
      lock: true,
      create: mayCreate === true,
      owner: true,
      triggers: true,
    },
  };
}

const RULES: readonly ConflictRule[] = ['insert-missing', 'restore-changed', 'replace', 'side-by-side'];

export function refuseGone(
  table: string,
  { schema }: Relation,
  { mayCreate }: Surroundings,
): Partial<Record<ConflictRule, HoldfastError>> {
  if (mayCreate === true) return {};
  const refusal =
    mayCreate === null
      ? new HoldfastError('NotSupported', `${table} and its schema ${schema} are gone in production`, {
          hint: `create the schema there first: CREATE SCHEMA ${quoteIdentifier(schema)}`,
        })
      : new HoldfastError(
          'PermissionDenied',
          `${table} is gone in production, and the configured user may not create it again in schema ${schema}`,
          { hint: 'grant CREATE on the schema' },
        );
  return Object.fromEntries(RULES.map((rule) => [rule, refusal]));
}

export function goneNotices(table: string, restored: Relation, { there }: Surroundings): string[] {
  const own = formatNameParts([restored.schema, restored.name]);
  const lost = restored.referencedBy.filter(
    (reference) => reference.table !== own && there.has(reference.table),
  );
  return [
    `${table} is gone in production: it is created again with its indexes, constraints, triggers, grants, comments and sequences, under every rule but side-by-side; views and functions that went with it are not`,
    ...lost.map(
      (reference) =>
        `${table}: a foreign key of ${reference.table} went with it and does not come back by itself: ALTER TABLE ${quoteQualified(
          parseNameParts(reference.table),
        )} ADD CONSTRAINT ${quoteIdentifier(reference.name)} ${reference.definition}`,
    ),
  ];
}

/** A table that is gone cannot be created again while one to which it refers, or of which it is a part, is gone too, unless both come back. */
export function refuseWithoutParents(pairs: readonly TablePair[]): void {
  const coming = new Set(pairs.map(nameOf));
  for (const pair of pairs) {
    const parent = pair.goneParents.find((name) => !coming.has(name));
    if (parent === undefined) continue;
    const refusal = new HoldfastError(
      'NotSupported',
      `${pair.table} ${pair.restored.parents.includes(parent) ? 'is a part of' : 'refers to'} ${parent}, which is gone in production too`,
      { hint: `name ${parent} among the tables too, or choose side-by-side` },
    );
    for (const rule of RULES) if (rule !== 'side-by-side') pair.refusals[rule] ??= refusal;
  }
}
