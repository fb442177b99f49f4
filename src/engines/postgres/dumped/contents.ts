/**
 * What a dump in the custom format holds: the lines of `pg_restore --list`, of which `pg_restore --use-list` needs the
 * number alone. Of a line `215; 1259 16397 TABLE public orders postgres` the kind, schema, name and owner are one text:
 * names may have spaces in them, so a line is never split, only compared with what a thing of that name would be.
 */
const LINE = /^(\d+); \d+ \d+ (.*)$/;

/**
 * What never comes into a restored copy: what would act by itself or take something from elsewhere, what holds
 * secrets, settings that may name a library that the site lacks, large objects, and rows that are computed.
 */
const LEFT_OUT =
  /^(?:(?:COMMENT|ACL|SECURITY LABEL) - )?(?:EVENT TRIGGER|SUBSCRIPTION|PUBLICATION|USER MAPPING|DATABASE PROPERTIES|BLOB|LARGE OBJECT|MATERIALIZED VIEW DATA)/;
const ROWS = /^(?:TABLE DATA|SEQUENCE SET) /;
const TRIGGERS = /^(?:COMMENT \S.* )?TRIGGER /;

/** A table, or a sequence, as the restored definitions have it. */
export interface Owned {
  schema: string;
  name: string;
  /** schema, name and owner as a list has them, and without the owner, who may be missing in the copy */
  listed: string;
  listedOfAnyone: string;
}

export interface Contents {
  /** all definitions but triggers */
  definitions: string[];
  /**
   * made when the rows are there: switching triggers off for the rows would leave all of them switched on, also those
   * that production has switched off
   */
  triggers: string[];
  /** the rows of every table and the positions of every sequence */
  rows: string[];
  /** those of these tables and sequences, in the order of the dump */
  rowsOf(tables: readonly Owned[], sequences: readonly Owned[]): string[];
}

/** Numbers of entries, as a list file has them. */
export function contentsOf(list: string): Contents {
  const entries = list.split('\n').flatMap((line) => {
    const [, id, what] = LINE.exec(line) ?? [];
    return id === undefined || what === undefined || LEFT_OUT.test(what) ? [] : [{ id: `${id};`, what }];
  });
  const these = (chosen: (what: string) => boolean) =>
    entries.filter(({ what }) => chosen(what)).map(({ id }) => id);
  return {
    definitions: these((what) => !ROWS.test(what) && !TRIGGERS.test(what)),
    triggers: these((what) => TRIGGERS.test(what)),
    rows: these((what) => ROWS.test(what)),
    rowsOf: (tables, sequences) => {
      const all = entries.filter(({ what }) => ROWS.test(what));
      const wanted = new Set([
        ...tables.flatMap((table) => entriesOf(all, 'TABLE DATA', table)),
        ...sequences.flatMap((sequence) => entriesOf(all, 'SEQUENCE SET', sequence)),
      ]);
      return all.map(({ id }) => id).filter((id) => wanted.has(id));
    },
  };
}

interface Entry {
  id: string;
  what: string;
}

/** Where the owner could not be made here, rows of a table whose name begins alike may come with it: no harm. */
function entriesOf(all: readonly Entry[], kind: string, { listed, listedOfAnyone }: Owned): string[] {
  const exact = all.filter(({ what }) => what === `${kind} ${listed}`);
  const found =
    exact.length > 0 ? exact : all.filter(({ what }) => what.startsWith(`${kind} ${listedOfAnyone}`));
  return found.map(({ id }) => id);
}
