/**
 * What a dump in the custom format holds: the lines of `pg_restore --list`, which `pg_restore --use-list` takes again.
 * Of a line `215; 1259 16397 TABLE public orders postgres` the kind, schema, name and owner are one text: names may
 * have spaces in them, so a line is never split, only compared with what a thing of that name would be.
 */
const LINE = /^\d+; \d+ \d+ (.*)$/;

/**
 * What never comes into a restored copy: what would act by itself or take something from elsewhere, what holds
 * secrets, settings that may name a library that the site lacks, large objects, and rows that are computed.
 */
const LEFT_OUT = [
  'EVENT TRIGGER',
  'SUBSCRIPTION',
  'PUBLICATION',
  'USER MAPPING',
  'DATABASE PROPERTIES',
  'BLOB',
  'MATERIALIZED VIEW DATA',
];

/** Lines of definitions: everything but rows, positions of sequences, and what is left out. */
export function definitions(list: string): string[] {
  return entriesOf(list)
    .filter(({ what }) => !ROWS.test(what))
    .filter(({ what }) => !LEFT_OUT.some((kind) => what.startsWith(kind)))
    .map(({ line }) => line);
}

/** A table, or a sequence, as the restored definitions have it. */
export interface Owned {
  schema: string;
  name: string;
  owner: string;
}

const ROWS = /^(?:TABLE DATA|SEQUENCE SET) /;

/** Lines of the rows of every table and of the positions of every sequence. */
export function allRows(list: string): string[] {
  return entriesOf(list)
    .filter(({ what }) => ROWS.test(what))
    .map(({ line }) => line);
}

/** Lines of the rows of these tables and of the positions of these sequences, in the order of the dump. */
export function rowsOf(list: string, tables: readonly Owned[], sequences: readonly Owned[]): string[] {
  const wanted = new Set([
    ...tables.map((table) => `TABLE DATA ${described(table)}`),
    ...sequences.map((sequence) => `SEQUENCE SET ${described(sequence)}`),
  ]);
  return entriesOf(list)
    .filter(({ what }) => wanted.has(what))
    .map(({ line }) => line);
}

/** pg_restore writes a line break in a name as a space (source: PostgreSQL `dumputils.c`, sanitize_line). */
const described = ({ schema, name, owner }: Owned): string =>
  `${schema} ${name} ${owner}`.replaceAll(/[\r\n]/g, ' ');

function entriesOf(list: string): { line: string; what: string }[] {
  return list.split('\n').flatMap((line) => {
    const what = LINE.exec(line)?.[1];
    return what === undefined ? [] : [{ line, what }];
  });
}
