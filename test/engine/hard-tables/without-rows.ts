import { KINDS } from './kinds.ts';

/** Of the many tables that differ in a name or a type only, some are enough here. */
export const SOME = KINDS.map((kind) => ({ ...kind, tables: kind.tables.slice(0, 4) }));
const TABLES = SOME.flatMap(({ tables }) => tables.map(({ name }) => name)).join(', ');
export const MADE = KINDS.map(({ made }) => made).join(';\n');
export const TRUNCATE = `TRUNCATE ${TABLES} RESTART IDENTITY`;
export const DROP = `DROP TABLE ${TABLES} CASCADE`;
/** A table that is made again needs no key. */
export const GONE = SOME.map(({ refused: _, said: __, ...kind }) => ({
  ...kind,
  ...withOwned(kind.sequences),
}));

/** Without a sequence that is no table's own: it is not gone, and stands where it stood. */
function withOwned(sequences: Record<string, string> = {}): { sequences: Record<string, string> } {
  return {
    sequences: Object.fromEntries(Object.entries(sequences).filter(([name]) => name.endsWith('_id_seq'))),
  };
}
