import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { formatNameParts, parseNameParts } from '../../model/table.ts';
import type { ExportedFile, ExportedTable, ExportInput } from '../contract/read.ts';
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

interface Work {
  input: ExportInput;
  run: Run;
  /** aborted with the run, and by the first failure: nothing goes on behind it */
  signal: AbortSignal;
  stop: (reason: unknown) => void;
}

/**
 * Engine.exportTables: the tables of the restored copy as of its target, partitions with their parent. As CSV with a
 * header, one file for each table, of all its rows or those that a rule would bring back; or one dump of pg_dump's
 * custom format for each db. A file appears only after its content has come whole. Throws CheckFailed, UnknownTable, NotSupported, ToolMissing, ToolFailed, ConnectionFailed.
 */
export async function exportTables(input: ExportInput, run: Run): Promise<ExportedTable[]> {
  const stopping = new AbortController();
  const work: Work = {
    ...{ input, run },
    signal: AbortSignal.any([run.signal, stopping.signal]),
    stop: (reason) => stopping.abort(reason),
  };
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

/** Puts what a source gives; a source that fails, or an abort, leaves no file. */
async function putWhole(work: Work, name: string, source: AsyncIterable<Buffer>): Promise<ExportedFile> {
  const { input, run, signal, stop } = work;
  let cause: unknown;
  let bytes = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    try {
      for await (const piece of source) {
        bytes += piece.length;
        run.progress({ phase: `exporting ${name}`, done: bytes, unit: 'bytes' });
        yield piece;
      }
    } catch (error) {
      cause ??= error;
      throw error;
    }
  }
  const content = Readable.from(counted(), { objectMode: false, highWaterMark: 1024 * 1024 });
  const abort = () => content.destroy(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    return await input.put(name, content);
  } catch (error) {
    run.signal.throwIfAborted();
    const failure = connectionError(cause ?? error, input.restored);
    // The session or program behind the stream would otherwise wait for its reader.
    stop(failure);
    throw failure;
  } finally {
    signal.removeEventListener('abort', abort);
    content.destroy();
  }
}

async function exportCsv(work: Work, group: Group, prefix: string[]): Promise<ExportedTable[]> {
  const session = { signal: work.signal, applicationName: 'export', readOnly: true };
  return withConnection(group.access, session, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    await requireLogged(client, group.tables);
    const exported: ExportedTable[] = [];
    for (const table of group.tables) {
      const parts = [...prefix, ...parseNameParts(table)];
      const counter = { rows: 0 };
      const lines = await csvOf(work, client, table, counter);
      const file = await putWhole(work, fileName(parts, 'csv'), lines);
      const notices = await exportNotices(client, [table]);
      exported.push({ ...file, table: formatNameParts(parts), rows: counter.rows, notices });
    }
    return exported;
  });
}

async function csvOf(
  { input, signal }: Work,
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
async function exportDump(work: Work, { access, tables }: Group): Promise<ExportedTable> {
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
    return putWhole(work, fileName([access.database], 'dump'), output()).catch(async (error: unknown) => {
      await tool.finished.catch(() => {});
      throw error;
    });
  });
  return { ...file, table: tables.join(', '), rows: null, notices };
}

function dumpArguments(members: readonly [string, string][]): string[] {
  // In double quotes nothing of a name is a pattern; a partition is not meant by its parent's name.
  const patterns = members.map((parts) => `--table=${quoteQualified(parts)}`);
  return ['--format=custom', '--no-password', ...patterns];
}

/**
 * A name for any file system: as it is where all of it is plain, `public.orders.csv`; else what is readable of
 * it and a digest of the whole, as the letters' case alone may tell two names apart.
 */
export function fileName(parts: readonly string[], extension: string): string {
  const whole = parts.join('.');
  if (parts.every((part) => /^[a-z0-9_]+$/.test(part))) return `${whole}.${extension}`;
  const readable = whole
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.]+/g, '_')
    .slice(0, 100);
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 12);
  return `${readable}-${digest}.${extension}`;
}
