import { quoteIdentifier, quoteQualified } from '../../../src/engines/postgres/identifier.ts';
import type { HardKind } from './kind.ts';

/** 63 bytes of UTF-8 each, and different where they are cut short. */
const LONGEST = [`${'ö'.repeat(31)}x`, '日'.repeat(21), `${'n'.repeat(59)}😀`, 'P'.repeat(63)];
const NAMES = [
  ...LONGEST,
  'Mixed Case',
  'select',
  `"; DROP TABLE "x"; --`,
  "it's; 'quoted'",
  'ünï.cödé 😀',
  '.',
  '\\ $1 %I /* */',
  'line\nbreak\ttab',
];
/** As an import's own statements call tables and columns. */
const TAKEN = [
  't',
  's',
  'g',
  'c',
  'h',
  'w',
  'u',
  'v',
  'n',
  'o',
  'p',
  'row',
  'key',
  'rows',
  'holdfast',
  'oid',
  'old',
  'new',
];

const named: HardKind = {
  name: 'names of 63 bytes, mixed case, quotes, semicolons and Unicode: of schema, table, key, column and constraint',
  tables: NAMES.map((name) => ({
    name: quoteQualified(['The; "Schema"', name]),
    key: `t.${quoteIdentifier(name)}`,
  })),
  made: `CREATE SCHEMA "The; ""Schema""";
    ${NAMES.map((name, index) => {
      const [table, column] = [quoteQualified(['The; "Schema"', name]), quoteIdentifier(name)];
      return `CREATE TABLE ${table} (${column} int PRIMARY KEY, v text CONSTRAINT ${column} CHECK (v <> 'no'), "${index} of" int REFERENCES ${table});
      CREATE UNIQUE INDEX ON ${table} (lower(v)); COMMENT ON COLUMN ${table}.${column} IS 'it''s';
      INSERT INTO ${table} SELECT n, 'v' || n, NULLIF(n / 3, 0) FROM generate_series(1, 20) n;`;
    }).join('\n')}`,
  changed: NAMES.map((name) => {
    const [table, column] = [quoteQualified(['The; "Schema"', name]), quoteIdentifier(name)];
    return `DELETE FROM ${table} WHERE ${column} > 15; UPDATE ${table} SET v = 'after' WHERE ${column} = 3; INSERT INTO ${table} VALUES (99, 'new');`;
  }).join('\n'),
};

const taken: HardKind = {
  name: 'columns called as an import calls tables and columns of its statements',
  tables: [
    { name: 'public.taken', key: 't.n' },
    { name: 'public.taken_heap', key: 't.n' },
  ],
  made: `CREATE TABLE taken (${TAKEN.map((name) => `"${name}" int`).join(', ')}, PRIMARY KEY (n)); CREATE TABLE taken_heap (LIKE taken);
    INSERT INTO taken SELECT ${TAKEN.map(() => 'n').join(', ')} FROM generate_series(1, 20) n; INSERT INTO taken_heap SELECT * FROM taken`,
  changed: `DELETE FROM taken WHERE n > 15; UPDATE taken SET ${TAKEN.filter((name) => name !== 'n')
    .map((name) => `"${name}" = -1`)
    .join(', ')} WHERE n = 3;
    DELETE FROM taken_heap WHERE n > 15; UPDATE taken_heap SET t = 7 WHERE n = 3`,
  refused: {
    'insert-missing': /taken_heap has no primary key/,
    'restore-changed': /taken_heap has no primary key/,
  },
};

export const NAME_KINDS: readonly HardKind[] = [named, taken];
