import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import { insertRows } from '../compare/insert-rows.ts';
import { tuples } from '../compare/scratch.ts';
import type { ForeignKey, Table } from '../compare/table.ts';
import { readValue } from '../compare/values.ts';
import type { Connection } from '../connection.ts';
import { quoteIdentifier, quoteLiteral, quoteTable } from '../identifier.ts';
import { SQL_MODE } from '../session.ts';
import { namesOf } from './stage.ts';

/** A table that is made under a name of ours, and gets its own by the import's last step. */
export interface Making {
  restored: Table;
  /** of it until then */
  qualified: string;
  /** `FROM … WHERE …` with the copy's rows as `c` */
  from: string;
  expected: number;
  /** it becomes the table again, with its foreign keys, checks and triggers; else a copy beside it without them */
  whole: boolean;
}

/** Makes it and fills it; nobody knows it yet. Throws CheckFailed unless all rows came. */
export async function makeTable(
  session: Connection,
  reader: Connection,
  making: Making,
  run: Run,
): Promise<void> {
  const { restored, qualified, from, expected, whole } = making;
  await session.execute(await definitionOf(reader, restored, qualified, whole));
  const columns = restored.columns.filter(({ generated }) => generated === null);
  const names = namesOf(columns.map(({ name }) => name));
  const rows = reader.stream(`SELECT ${columns.map((column) => readValue(column, 'c')).join(', ')} ${from}`);
  const phase = `copying ${restored.schema}.${restored.name}`;
  const copied = await insertRows(session, `${qualified} (${names})`, tuples(rows, columns), {
    done: (done) => run.progress({ phase, done, total: expected, unit: 'rows' }),
  });
  if (copied === expected) return;
  throw new HoldfastError(
    'CheckFailed',
    `the restored copy gave ${copied} of ${expected} rows of ${restored.name}`,
    {
      hint: 'start the recovery again: the restored copy is not what the plan was made from',
    },
  );
}

/** What its rows must not wait for, or meet: once they are there. */
export async function finishTable(
  session: Connection,
  reader: Connection,
  { restored, qualified }: Making,
  made: (parts: readonly string[]) => string,
): Promise<void> {
  // Whether every row has its parent is looked at in the transaction, together with the parents that come.
  await session.execute('SET SESSION foreign_key_checks = 0');
  for (const key of restored.foreignKeys) {
    await session.execute(`ALTER TABLE ${qualified} ADD ${foreignKey(key, made(key.parent))}`);
  }
  await session.execute('SET SESSION foreign_key_checks = 1');
  const triggers = await reader.query<Record<string, string>>(
    `SELECT trigger_name AS name, action_timing AS timing, event_manipulation AS event, action_statement AS body,
       definer AS definer, sql_mode AS mode FROM information_schema.triggers
     WHERE event_object_schema = ? AND event_object_table = ? ORDER BY action_order`,
    [restored.schema, restored.name],
  );
  for (const { name = '', timing, event, body, definer = '', mode = '' } of triggers) {
    const at = definer.lastIndexOf('@');
    const by = `${quoteIdentifier(definer.slice(0, at))}@${quoteIdentifier(definer.slice(at + 1))}`;
    await session.execute(`SET SESSION sql_mode = ${quoteLiteral(mode)}`);
    await session.execute(
      `CREATE DEFINER = ${by} TRIGGER ${quoteTable([restored.schema, name])} ${timing} ${event} ON ${qualified} FOR EACH ROW ${body}`,
    );
    await session.execute(`SET SESSION sql_mode = ${quoteLiteral(SQL_MODE)}`);
  }
}

function foreignKey(
  { name, columns, parentColumns, onDelete, onUpdate }: ForeignKey,
  parent: string,
): string {
  return `CONSTRAINT ${quoteIdentifier(name)} FOREIGN KEY (${namesOf(columns)}) REFERENCES ${parent} (${namesOf(parentColumns)}) ON DELETE ${onDelete} ON UPDATE ${onUpdate}`;
}

const NAME = '`(?:[^`]|``)+`';
const REFERENCE = new RegExp(`^  CONSTRAINT ${NAME} FOREIGN KEY `);
const CHECK = new RegExp(`^  CONSTRAINT ${NAME} CHECK `);
/** A line of SHOW CREATE TABLE begins an element, or goes on with the one before. */
const ELEMENT = /^ {2}(?:`|KEY |UNIQUE |PRIMARY |CONSTRAINT |FULLTEXT |SPATIAL |PERIOD |CHECK |\/\*)/;

async function definitionOf(
  reader: Connection,
  restored: Table,
  qualified: string,
  whole: boolean,
): Promise<string> {
  const [row] = await reader.query<Record<string, string>>(`SHOW CREATE TABLE ${restored.qualified}`);
  return renamed(row?.['Create Table'] ?? '', qualified, whole);
}

/**
 * A definition as SHOW CREATE TABLE gives it, under another name and without foreign keys; without checks too where it is
 * not the `whole` table: MySQL's have names of the db. Files of its own it may have none.
 */
export function renamed(definition: string, qualified: string, whole: boolean): string {
  const lines = definition.split('\n');
  const end = lines.findIndex((line) => line.startsWith(')'));
  const elements: string[] = [];
  for (const line of lines.slice(1, end)) {
    if (ELEMENT.test(line) || elements.length === 0) elements.push(line);
    else elements.push(`${elements.pop()}\n${line}`);
  }
  const kept = elements
    .map((element) => element.replace(/,$/, ''))
    .filter((element) => !REFERENCE.test(element) && (whole || !CHECK.test(element)));
  const options = lines
    .slice(end)
    .join('\n')
    .replaceAll(/ (?:DATA|INDEX) DIRECTORY ?= ?'(?:[^'\\]|\\.|'')*'/g, '');
  return `CREATE TABLE ${qualified} (\n${kept.join(',\n')}\n${options}`;
}
