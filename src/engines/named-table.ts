import { HoldfastError } from '../model/failure.ts';
import { formatNameParts, parseNameParts } from '../model/table.ts';

/** A table that somebody named. `schema`: where it is, which MySQL calls a database. */
export interface NamedTable {
  /** as it was written */
  text: string;
  schema: string;
  name: string;
}

/** What a server has under a table's name. */
export interface Relation {
  schema: string;
  name: string;
  /** `a view`; null: a table */
  other: string | null;
}

/** What is said in an engine's words. */
export interface NameHints {
  /** where no table with a similar name is */
  where: string;
  /** what a name without its schema means */
  bare: string;
}

/** The names of these tables as `schema.table`, each once. Throws UnknownTable, with the nearest names. */
export function resolveNames(
  wanted: readonly NamedTable[],
  relations: readonly Relation[],
  hints: NameHints,
): string[] {
  return [...new Set(wanted.map((table) => resolveName(table, relations, hints)))];
}

/** Tables that manifests know, and the server does not have any more. `known`: as `schema.table`. */
export function goneTables(relations: readonly Relation[], known: readonly string[]): Relation[] {
  const present = new Set(relations.map(({ schema, name }) => formatNameParts([schema, name])));
  const gone = new Set(known.filter((table) => !present.has(table)));
  return [...gone].map((table) => {
    const [schema = '', name = ''] = parseNameParts(table);
    return { schema, name, other: null };
  });
}

function resolveName(table: NamedTable, relations: readonly Relation[], hints: NameHints): string {
  const found = relations.find((one) => one.name === table.name && one.schema === table.schema);
  if (found?.other === null) return formatNameParts([found.schema, found.name]);
  if (found !== undefined) {
    throw new HoldfastError('UnknownTable', `${table.text} is ${found.other}, not a table`, {
      hint: 'name the tables that its rows come from',
    });
  }
  const near = nearest(
    table,
    relations.filter(({ other }) => other === null),
  );
  const names = near.map(({ schema, name }) => formatNameParts([schema, name])).join(' or ');
  const isElsewhere = parseNameParts(table.text).length === 1 && near.some(({ name }) => name === table.name);
  throw new HoldfastError(
    'UnknownTable',
    `there is no table ${formatNameParts([table.schema, table.name])}`,
    {
      hint:
        near.length === 0
          ? `there is no table with a similar name ${hints.where}`
          : `did you mean ${names}?${isElsewhere ? ` ${hints.bare}` : ''}`,
    },
  );
}

/** The same name in another schema or case first, then by edits. */
function nearest(table: NamedTable, relations: readonly Relation[]): Relation[] {
  const name = table.name.toLowerCase();
  const limit = Math.max(2, Math.ceil(name.length / 3));
  const isBeside = ({ schema }: Relation) => Number(schema === table.schema);
  return relations
    .map((one) => ({ one, edits: editDistance(one.name.toLowerCase(), name) }))
    .filter(({ edits }) => edits <= limit)
    .sort((a, b) => a.edits - b.edits || isBeside(b.one) - isBeside(a.one))
    .slice(0, 3)
    .map(({ one }) => one);
}

/** Levenshtein's distance; names have at most 64 characters. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** Of a table that is not in a restored copy. `spelled`: how a name has to be written, where production has none either. */
export function lackingTable(table: string, isInProduction: boolean, spelled: string): HoldfastError {
  return isInProduction
    ? new HoldfastError('UnknownTable', `the restored copy has no table ${table}`, {
        hint: 'at the target it did not exist yet, or was called otherwise: choose another target',
      })
    : new HoldfastError('UnknownTable', `there is no table ${table}`, { hint: spelled });
}
