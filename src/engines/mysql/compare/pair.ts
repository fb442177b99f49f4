import { HoldfastError } from '../../../model/failure.ts';
import type { ConflictRule } from '../../../model/plan.ts';
import { lackingTable } from '../../named-table.ts';
import type { Connection } from '../connection.ts';
import { columnOf, describeTable, partsOf, type Table, type UniqueIndex } from './table.ts';

/** One table on both sides, and what makes them comparable. */
export interface TablePair {
  /** as the input named it */
  table: string;
  parts: [string, string];
  /** of a table that is gone: the restored copy's description, since it will be made like that */
  production: Table;
  restored: Table;
  /** production has no such table any more */
  gone: boolean;
  /** columns that identify rows on both sides; null: rows are told apart by their hash, and equal ones counted */
  key: string[] | null;
  /** production's index over the key */
  keyIndex: string;
  /** columns that come back, and that a row's hash covers: on both sides, and not computed by production */
  columns: string[];
  /** columns that production defines otherwise by now: the copy's values are converted before anything is compared */
  converted: string[];
  refusals: Partial<Record<ConflictRule, HoldfastError>>;
  notices: string[];
}

const WRITING = ['insert-missing', 'restore-changed', 'replace'] as const;

/** What each rule does to rows that are there; a trigger for any of it would fire. */
const EVENTS = {
  'insert-missing': ['INSERT'],
  'restore-changed': ['INSERT', 'UPDATE'],
  replace: ['INSERT', 'UPDATE', 'DELETE'],
};

/** Reads both sides. Throws UnknownTable where the restored copy has no such table. */
export async function describePair(
  production: Connection,
  restored: Connection,
  table: string,
  database: string,
): Promise<TablePair> {
  const parts = partsOf(table, database);
  const live = await describeTable(production, parts);
  const copy = await describeTable(restored, parts);
  if (copy === null) {
    throw lackingTable(table, live !== null, 'name it as db.table, exactly as SHOW TABLES spells it');
  }
  if (live !== null) return pairTables(table, parts, live, copy);
  const pair = pairTables(table, parts, { ...copy, triggers: [], referencedBy: [] }, copy);
  const isThere = await production.query('SELECT 1 FROM information_schema.schemata WHERE schema_name = ?', [
    parts[0],
  ]);
  const refusal = new HoldfastError(
    'NotSupported',
    `${table} and its db ${parts[0]} are gone in production`,
    {
      hint: 'create the db there first, with the character set that it had',
    },
  );
  return {
    ...pair,
    gone: true,
    refusals: isThere.length > 0 ? {} : { ...refuseWriting(refusal), 'side-by-side': refusal },
    notices: [
      `${table} is gone in production: it is created again with its indexes, foreign keys, triggers and partitions, under every rule but side-by-side; views that went with it are not, nor rights that named it`,
    ],
  };
}

/** The pure part of {@link describePair}, of a table that is there. */
export function pairTables(
  table: string,
  parts: [string, string],
  production: Table,
  restored: Table,
): TablePair {
  const columns = production.columns
    .filter(({ name, generated }) => generated === null && columnOf(restored, name) !== undefined)
    .map(({ name }) => name);
  const index = chooseKey(production, restored, columns);
  const key = index?.parts.map(({ column }) => column as string) ?? null;
  const pair: TablePair = {
    ...{ table, parts, production, restored, gone: false, key, columns },
    keyIndex: index?.name ?? 'PRIMARY',
    converted: columns.filter((name) => !isSameColumn(production, restored, name)),
    refusals: {},
    notices: describeDifferences(table, production, restored, columns),
  };
  if (key === null) {
    pair.notices.push(
      `${table} has no primary key, nor a unique one without NULLs, on both sides; equal rows are counted`,
    );
  }
  refuse(pair);
  return pair;
}

function refuse(pair: TablePair): void {
  const { table, production, columns, key, refusals } = pair;
  for (const rule of WRITING) {
    const refusal = refusalFor(pair, rule);
    if (refusal !== null) refusals[rule] = refusal;
  }
  if (key !== null || columns.length === 0) return;
  const why = `${table} has no key by which rows could be told apart`;
  refusals['insert-missing'] ??= new HoldfastError('NotSupported', why, {
    hint: 'choose replace or side-by-side',
  });
  refusals['restore-changed'] ??= new HoldfastError('NotSupported', why, {
    hint: 'choose replace or side-by-side',
  });
  const added = production.columns.find(
    ({ name, generated }) => generated === null && !columns.includes(name),
  );
  if (added === undefined) return;
  refusals.replace ??= new HoldfastError(
    'NotSupported',
    `${table} has no key, and column ${added.name} is new since: an undo could not tell which rows came back`,
    { hint: 'give the table a primary key, or choose side-by-side' },
  );
}

function refusalFor(
  { table, production, columns }: TablePair,
  rule: (typeof WRITING)[number],
): HoldfastError | null {
  const no = (message: string, hint: string) => new HoldfastError('NotSupported', message, { hint });
  const beside = 'choose side-by-side, or export the rows (--export)';
  if (production.engine.toLowerCase() !== 'innodb') {
    return no(`${table} is a table of ${production.engine}, which has no transactions`, beside);
  }
  if (production.systemVersioned)
    return no(`${table} is system-versioned: its history would not be what was`, beside);
  if (columns.length === 0) return no(`${table} has no column that the restored copy has too`, beside);
  const fire = production.triggers
    .filter(({ event }) => EVENTS[rule].includes(event))
    .map(({ name }) => name);
  if (fire.length > 0) {
    return no(
      `triggers of ${table} would fire, which MySQL and MariaDB cannot switch off for one session: ${fire.join(', ')}`,
      beside,
    );
  }
  const unfillable = production.columns.find(
    ({ name, generated, hasDefault }) => generated === null && !hasDefault && !columns.includes(name),
  );
  if (unfillable === undefined) return null;
  return no(
    `column ${unfillable.name} of ${table} is new since, NOT NULL and without a default: a row that comes back has no value for it`,
    'give the column a default, or choose side-by-side',
  );
}

export function refuseWriting(refusal: HoldfastError): Partial<Record<ConflictRule, HoldfastError>> {
  return Object.fromEntries(WRITING.map((rule) => [rule, refusal]));
}

/** Production's first index of whole NOT NULL columns that are unique in the copy, too. */
function chooseKey(production: Table, restored: Table, columns: readonly string[]): UniqueIndex | undefined {
  const identifies = (table: Table, { parts }: UniqueIndex) =>
    parts.every(({ column, length }) => {
      const found = column === null ? undefined : columnOf(table, column);
      return found !== undefined && !found.nullable && length === null;
    });
  const names = ({ parts }: UniqueIndex) =>
    parts
      .map(({ column }) => column)
      .sort()
      .join('\0');
  return production.uniques.find(
    (index) =>
      identifies(production, index) &&
      index.parts.every(({ column }) => columns.includes(column as string)) &&
      restored.uniques.some((other) => identifies(restored, other) && names(other) === names(index)),
  );
}

function isSameColumn(production: Table, restored: Table, name: string): boolean {
  const [now, before] = [columnOf(production, name), columnOf(restored, name)];
  return (
    now?.fullType === before?.fullType &&
    now?.charset === before?.charset &&
    now?.collation === before?.collation
  );
}

function describeDifferences(
  table: string,
  production: Table,
  restored: Table,
  columns: readonly string[],
): string[] {
  const notices: string[] = [];
  for (const { name, fullType, collation } of production.columns) {
    const before = columnOf(restored, name);
    if (before === undefined) {
      notices.push(`${table}: column ${name} is new since; rows that come back get its default`);
    } else if (columns.includes(name) && !isSameColumn(production, restored, name)) {
      const [was, is] = [
        [before.fullType, before.collation],
        [fullType, collation],
      ].map((parts) => parts.filter((part) => part !== null).join(' '));
      notices.push(`${table}: column ${name} was ${was} and is ${is} now; its values are converted`);
    }
  }
  for (const { name, generated } of restored.columns) {
    if (columnOf(production, name) !== undefined || generated !== null) continue;
    notices.push(`${table}: column ${name} has been dropped since; its values do not come back`);
  }
  for (const { name, parts } of production.uniques) {
    if (parts.every(({ column }) => column !== null)) continue;
    notices.push(
      `${table}: unique index ${name} is over an expression; whether rows that come back clash in it is seen by the import only, which then changes nothing`,
    );
  }
  return notices;
}
