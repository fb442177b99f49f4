import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { formatNameParts, parseNameParts } from '../../model/table.ts';
import type { ExportedTable, ExportInput } from '../contract/read.ts';
import { type Exporting, fileName, putWhole, startExport } from '../export-file.ts';
import { startTool } from '../process.ts';
import { describeTable, type Table } from './compare/table.ts';
import { type Connection, type Row, withConnection } from './connection.ts';
import { dumpFailure } from './dump-failure.ts';
import { serverError } from './error.ts';
import { CsvLines, csvNotices, csvValue } from './export-csv.ts';
import { type RuleRows, ruleRows } from './export-rows.ts';
import type { Flavour } from './flavour.ts';
import { writeOptionFile } from './option-file.ts';
import { dumpPrograms } from './programs.ts';
import { resolveTables } from './resolve.ts';

/**
 * Engine.exportTables: the tables of the restored copy as of its target. As CSV with a header, one file for each table,
 * of all its rows or those that a rule would bring back; or one dump of mysqldump for each db, which the server's own
 * client loads into a db of the same or another name. A file appears only after its content has come whole. Throws
 * CheckFailed, UnknownTable, NotSupported, ToolMissing, ToolFailed, ConnectionFailed.
 */
export async function exportTables(input: ExportInput, run: Run): Promise<ExportedTable[]> {
  if (input.rows !== null && input.format === 'dump') {
    throw new HoldfastError('NotSupported', 'a dump holds whole tables, not the rows of a conflict rule', {
      hint: 'leave conflict out, or export as csv',
    });
  }
  const work = startExport(input, run);
  const tables = await resolveTables(input.restored, input.tables, run);
  if (input.format === 'csv') return exportCsv(work, tables);
  const exported: ExportedTable[] = [];
  for (const db of new Set(tables.map(dbOf))) {
    exported.push(
      await exportDump(
        work,
        db,
        tables.filter((table) => dbOf(table) === db),
      ),
    );
  }
  return exported;
}

const dbOf = (table: string): string => parseNameParts(table)[0] as string;

async function exportCsv(work: Exporting, tables: readonly string[]): Promise<ExportedTable[]> {
  const session = { applicationName: 'export', readOnly: true };
  const access = { ...work.input.restored, database: '' };
  return withConnection(
    access,
    work,
    async (connection) => {
      await connection.query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
      const exported: ExportedTable[] = [];
      for (const table of tables) exported.push(await exportTable(work, connection, table));
      return exported;
    },
    session,
  );
}

async function exportTable(work: Exporting, connection: Connection, name: string): Promise<ExportedTable> {
  const { input, run } = work;
  const parts = parseNameParts(name) as [string, string];
  const table = await describeTable(connection, parts);
  if (table === null) throw new HoldfastError('UnknownTable', `the restored copy has no table ${name}`);
  const rows = input.rows && (await ruleRows({ ...input, rows: input.rows }, connection, name, run));
  const { columns, queries, expected } = rows ?? wholeTable(table);
  const counter = { rows: 0 };
  async function* lines(): AsyncGenerator<Buffer> {
    const csv = new CsvLines();
    csv.add(columns.map((column) => Buffer.from(column.name)));
    for (const query of queries) {
      for await (const row of connection.stream(query) as AsyncIterable<Row>) {
        counter.rows += 1;
        if (csv.add(row)) yield csv.take();
      }
    }
    // A file that lacks rows must not appear.
    if (expected !== null && counter.rows !== expected) throw incomplete(name, counter.rows, expected);
    yield csv.take();
  }
  const file = await putWhole(work, fileName(parts, 'csv'), lines(), mapped(work));
  return { ...file, table: name, rows: counter.rows, notices: csvNotices(name, columns) };
}

function wholeTable({ columns, qualified }: Table): RuleRows {
  const values = columns.map((column) => csvValue(column, 't')).join(', ');
  return { columns, queries: [`SELECT ${values} FROM ${qualified} AS t`], expected: null };
}

function incomplete(table: string, rows: number, expected: number): HoldfastError {
  return new HoldfastError('CheckFailed', `the restored copy gave ${rows} of ${expected} rows of ${table}`, {
    hint: 'start the recovery again: the restored copy or a table changed since it was compared',
  });
}

/** Definitions, rows and triggers of these tables. */
async function exportDump(work: Exporting, db: string, tables: readonly string[]): Promise<ExportedTable> {
  const { input, signal } = work;
  const programs = await dumpPrograms(input.serverMajor);
  const options = await writeOptionFile(input.restored, programs.flavour);
  try {
    const names = tables.map((table) => parseNameParts(table)[1] as string);
    const args = [options.argument, ...dumpArguments(programs.flavour), '--', db, ...names];
    const tool = startTool(programs.dump, args, { signal, stdout: 'pipe', classify: dumpFailure });
    async function* output(): AsyncGenerator<Buffer> {
      let end = Buffer.alloc(0);
      for await (const piece of tool.stdout as AsyncIterable<Buffer>) {
        end = Buffer.concat([end, piece]).subarray(-200);
        yield piece;
      }
      await tool.finished;
      if (end.includes('-- Dump completed')) return;
      throw new HoldfastError('ToolFailed', 'the dump ended without saying that it is complete');
    }
    const file = await putWhole(work, fileName([db], 'sql'), output(), mapped(work)).catch(
      async (error: unknown) => {
        await tool.finished.catch(() => {});
        throw error;
      },
    );
    const notices = [...programs.notices, ...missingParents(db)];
    return { ...file, table: tables.map(formatted).join(', '), rows: null, notices };
  } finally {
    await options.remove();
  }
}

const formatted = (table: string): string => formatNameParts(parseNameParts(table));

const missingParents = (db: string): string[] => [
  `the dump drops tables of these names before it makes them: load it into an empty db, not into ${db} of production; foreign keys may name tables that are not in it`,
];

function dumpArguments(program: Flavour): string[] {
  return [
    ...['--single-transaction', '--quick', '--triggers', '--hex-blob', '--tz-utc'],
    ...['--default-character-set=utf8mb4', '--no-tablespaces', '--skip-add-locks', '--max-allowed-packet=1G'],
    ...(program === 'mysql' ? ['--set-gtid-purged=OFF', '--column-statistics=0'] : []),
  ];
}

const mapped =
  ({ input }: Exporting) =>
  (error: unknown) =>
    serverError(error, input.restored);
