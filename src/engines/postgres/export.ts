import type pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { formatNameParts, parseNameParts } from '../../model/table.ts';
import type { ExportedTable, ExportInput } from '../contract/read.ts';
import { type Exporting, fileName, putWhole, startExport } from '../export-file.ts';
import { startTool } from '../process.ts';
import { connectionError, withClientEnvironment, withConnection } from './connection.ts';
import { exportNotices } from './export-notices.ts';
import { type RuleRows, ruleRows } from './export-rows.ts';
import { quoteQualified } from './identifier.ts';
import { listRelations, requireLogged } from './members.ts';
import { dumpPrograms } from './programs.ts';
import { resolveTables } from './resolve.ts';

/** The tables of one db: each is `schema.table`. */
interface Group {
  access: ServerAccess;
  tables: string[];
}

/**
 * Engine.exportTables: the tables of the restored copy as of its target, partitions with their parent. As CSV with a
 * header, one file for each table, of all its rows or those that a rule would bring back; or one dump of pg_dump's
 * custom format for each db. A file appears only after its content has come whole. Throws CheckFailed, UnknownTable, NotSupported, ToolMissing, ToolFailed, ConnectionFailed.
 */
export async function exportTables(input: ExportInput, run: Run): Promise<ExportedTable[]> {
  const work = startExport(input, run);
  if (input.rows !== null && input.format === 'dump') {
    throw new HoldfastError('NotSupported', 'a dump holds whole tables, not the rows of a conflict rule', {
      hint: 'leave conflict out, or export as csv',
    });
  }
  const groups = groupByDatabase(input);
  for (const group of groups) group.tables = await resolveTables(group.access, group.tables, run);
  const exported: ExportedTable[] = [];
  for (const group of groups) {
    const prefix = groups.length > 1 ? [group.access.database] : [];
    if (input.format === 'dump') exported.push(await exportDump(work, group));
    else exported.push(...(await exportCsv(work, group, prefix)));
  }
  return exported;
}

function groupByDatabase({ restored, tables }: ExportInput): Group[] {
  const groups = new Map<string, Group>();
  for (const table of tables) {
    const parts = parseNameParts(table);
    const database = parts.length === 3 ? (parts[0] as string) : restored.database;
    const group = groups.get(database) ?? { access: { ...restored, database }, tables: [] };
    groups.set(database, group);
    group.tables.push(table);
  }
  return [...groups.values()];
}

const mapped =
  ({ input }: Exporting) =>
  (error: unknown) =>
    connectionError(error, input.restored);

async function exportCsv(work: Exporting, group: Group, prefix: string[]): Promise<ExportedTable[]> {
  const session = { signal: work.signal, applicationName: 'export', readOnly: true };
  return withConnection(group.access, session, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    await requireLogged(client, group.tables);
    const exported: ExportedTable[] = [];
    for (const table of group.tables) {
      const parts = [...prefix, ...parseNameParts(table)];
      const counter = { rows: 0 };
      const lines = await csvOf(work, client, table, counter);
      const file = await putWhole(work, fileName(parts, 'csv'), lines, mapped(work));
      const notices = await exportNotices(client, [table]);
      exported.push({ ...file, table: formatNameParts(parts), rows: counter.rows, notices });
    }
    return exported;
  });
}

async function csvOf(
  { input, signal }: Exporting,
  client: pg.Client,
  table: string,
  counter: { rows: number },
): Promise<AsyncGenerator<Buffer>> {
  const { rows } = input;
  const some = rows === null ? null : await ruleRows({ ...input, rows }, client, table, signal);
  if (some !== null) return ruleLines(client, table, some, counter);
  return copyLines(client, `SELECT * FROM ${await sourceOf(client, table)}`, counter, true);
}

/** Throws CheckFailed unless the copy has every row: a file that lacks some must not appear. */
async function* ruleLines(
  client: pg.Client,
  table: string,
  { header, queries, expected }: RuleRows,
  counter: { rows: number },
): AsyncGenerator<Buffer> {
  yield* copyLines(client, header, counter, true);
  for await (const query of queries()) yield* copyLines(client, query, counter, false);
  if (counter.rows === expected) return;
  throw new HoldfastError(
    'CheckFailed',
    `the restored copy gave ${counter.rows} of ${expected} rows of ${table}`,
    { hint: 'start the recovery again: the restored copy or a table changed since it was compared' },
  );
}

/** An inherited table's own rows, and all rows of a partitioned one. */
async function sourceOf(client: pg.Client, table: string): Promise<string> {
  const [relation] = await listRelations(client, [table]);
  const qualified = quoteQualified(parseNameParts(table));
  return relation?.kind === 'p' ? qualified : `ONLY ${qualified}`;
}

/** The rows of a query as CSV; how many is known when it has ended. */
async function* copyLines(
  client: pg.Client,
  query: string,
  counter: { rows: number },
  header: boolean,
): AsyncGenerator<Buffer> {
  const stream = client.query(
    copyTo(`COPY (${query}) TO STDOUT (FORMAT csv${header ? ', HEADER' : ''})`, { highWaterMark: 1 << 18 }),
  );
  yield* stream as AsyncIterable<Buffer>;
  // The count comes behind the last row.
  await client.query('');
  counter.rows += stream.rowCount;
}

/** One dump with the definitions and rows of all these tables, for pg_restore. */
async function exportDump(work: Exporting, { access, tables }: Group): Promise<ExportedTable> {
  const { input, signal } = work;
  const session = { signal, applicationName: 'export', readOnly: true };
  const { members, notices } = await withConnection(access, session, async (client) => ({
    members: (await requireLogged(client, tables)).flatMap((relation) => relation.members),
    notices: await exportNotices(client, tables),
  }));
  const { pgDump } = await dumpPrograms(input.serverMajor);
  const file = await withClientEnvironment(access, (env) => {
    const tool = startTool(pgDump, dumpArguments(members), { signal, env, stdout: 'pipe' });
    async function* output(): AsyncGenerator<Buffer> {
      yield* tool.stdout as AsyncIterable<Buffer>;
      await tool.finished;
    }
    return putWhole(work, fileName([access.database], 'dump'), output(), mapped(work)).catch(
      async (error: unknown) => {
        await tool.finished.catch(() => {});
        throw error;
      },
    );
  });
  return { ...file, table: tables.join(', '), rows: null, notices };
}

function dumpArguments(members: readonly [string, string][]): string[] {
  // In double quotes nothing of a name is a pattern; a partition is not meant by its parent's name.
  const patterns = members.map((parts) => `--table=${quoteQualified(parts)}`);
  return ['--format=custom', '--no-password', ...patterns];
}
