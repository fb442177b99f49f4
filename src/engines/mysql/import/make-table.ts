import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import { formatNameParts } from '../../../model/table.ts';
import { insertRows } from '../compare/insert-rows.ts';
import { leniently, tuples } from '../compare/scratch.ts';
import type { ForeignKey, Table } from '../compare/table.ts';
import { readValue } from '../compare/values.ts';
import type { Connection } from '../connection.ts';
import { quoteIdentifier, quoteLiteral, quoteTable } from '../identifier.ts';
import { hashSumSql, rowHashSql } from '../row-hash.ts';
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

/** Makes it and fills it; nobody knows it yet. Throws CheckFailed unless all rows came as they are. */
export async function makeTable(
  session: Connection,
  reader: Connection,
  making: Making,
  run: Run,
): Promise<void> {
  const { restored, qualified, from, expected, whole } = making;
  const definition = renamed(await definitionOf(reader, restored), qualified, whole);
  const columns = restored.columns.filter(({ generated }) => generated === null);
  const names = namesOf(columns.map(({ name }) => name));
  const rows = reader.stream(`SELECT ${columns.map((column) => readValue(column, 'c')).join(', ')} ${from}`);
  const phase = `copying ${formatNameParts([restored.schema, restored.name])}`;
  await leniently(session, async () => {
    await session.execute(definition);
    await insertRows(session, `${qualified} (${names})`, tuples(rows, columns), {
      done: (done) => run.progress({ phase, done, total: expected, unit: 'rows' }),
    });
  });
  const look = async (side: Connection, source: string) => {
    const sum = hashSumSql(rowHashSql(restored.columns, 'c'));
    const [row] = await side.query<{ n: string; sum: string }>(
      `SELECT COUNT(*) AS n, ${sum} AS sum ${source}`,
    );
    return [Number(row?.n), row?.sum];
  };
  const [there, copied] = [await look(reader, from), await look(session, `FROM ${qualified} AS c`)];
  if (copied[0] === expected && copied[0] === there[0] && copied[1] === there[1]) return;
  throw new HoldfastError(
    'CheckFailed',
    `the restored copy gave ${copied[0]} of ${expected} rows of ${restored.name}, or they did not become what they were`,
    { hint: 'nothing was changed; start the recovery again' },
  );
}

/** What its rows must not wait for, or meet: once they are there. */
export async function finishTable(
  session: Connection,
  reader: Connection,
  { restored, qualified }: Making,
  made: (parts: readonly string[]) => string,
): Promise<void> {
  const elements = elementsOf(await definitionOf(reader, restored)).filter((element) =>
    REFERENCE.test(element),
  );
  // Whether every row has its parent is looked at in the transaction, together with the parents that come.
  // MySQL 8.4 makes a key to columns that are not unique only when told to.
  await session.execute(
    'SET SESSION foreign_key_checks = 0 /*!80400 , restrict_fk_on_non_standard_key = OFF */',
  );
  for (const element of elements) {
    const { parent } = restored.foreignKeys.find(({ name }) =>
      element.startsWith(`  CONSTRAINT ${quoteIdentifier(name)} `),
    ) as ForeignKey;
    await session.execute(
      `ALTER TABLE ${qualified} ADD ${element.replace(PARENT, () => ` REFERENCES ${made(parent)} (`)}`,
    );
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

const NAME = '`(?:[^`]|``)+`';
const REFERENCE = new RegExp(`^  CONSTRAINT ${NAME} FOREIGN KEY `);
const CHECK = new RegExp(`^  CONSTRAINT ${NAME} CHECK `);
const PARENT = new RegExp(` REFERENCES (?:${NAME}\\.)?${NAME} \\(`);
/** A line of SHOW CREATE TABLE begins an element, or goes on with the one before. */
const ELEMENT = /^ {2}(?:`|KEY |UNIQUE |PRIMARY |CONSTRAINT |FULLTEXT |SPATIAL |PERIOD |CHECK |\/\*)/;

async function definitionOf(reader: Connection, { qualified }: Table): Promise<string> {
  const [row] = await reader.query<Record<string, string>>(`SHOW CREATE TABLE ${qualified}`);
  return row?.['Create Table'] ?? '';
}

const endOf = (lines: readonly string[]) => lines.findIndex((line) => line.startsWith(')'));

/** Columns, keys and constraints, each without the comma behind it. */
function elementsOf(definition: string): string[] {
  const lines = definition.split('\n');
  const elements: string[] = [];
  for (const line of lines.slice(1, endOf(lines))) {
    if (ELEMENT.test(line) || elements.length === 0) elements.push(line);
    else elements.push(`${elements.pop()}\n${line}`);
  }
  return elements.map((element) => element.replace(/,$/, ''));
}

/**
 * A definition as SHOW CREATE TABLE gives it, under another name and without foreign keys; without checks too where it is
 * not the `whole` table: MySQL's have names of the db. Files of its own it may have none.
 */
export function renamed(definition: string, qualified: string, whole: boolean): string {
  const kept = elementsOf(definition).filter(
    (element) => !REFERENCE.test(element) && (whole || !CHECK.test(element)),
  );
  const lines = definition.split('\n');
  const options = lines
    .slice(endOf(lines))
    .join('\n')
    .replaceAll(/ (?:DATA|INDEX) DIRECTORY ?= ?'(?:[^'\\]|\\.|'')*'/g, '');
  return `CREATE TABLE ${qualified} (\n${kept.join(',\n')}\n${options}`;
}
