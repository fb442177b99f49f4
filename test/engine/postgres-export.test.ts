import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TableComparison } from '../../src/engines/contract/change.ts';
import type { ExportedFile, ExportInput } from '../../src/engines/contract/read.ts';
import { fileName } from '../../src/engines/export-file.ts';
import { clientEnvironment, withConnection } from '../../src/engines/postgres/connection.ts';
import { exportTables } from '../../src/engines/postgres/export.ts';
import { quoteQualified } from '../../src/engines/postgres/identifier.ts';
import { dumpPrograms } from '../../src/engines/postgres/programs.ts';
import { runTool } from '../../src/engines/process.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import { formatNameParts } from '../../src/model/table.ts';
import { HARD_SCHEMA } from './postgres-hard-schema.ts';
import { query, quietly, type Sides, type SidesServer, startSides } from './postgres-sides-fixture.ts';

let server: SidesServer;
let sides: Sides;
let folder: string;

beforeAll(async () => {
  server = await startSides();
  sides = await server.make(HARD_SCHEMA);
});
afterAll(() => server?.end());

/** As a place does it: beside, and renamed when it is whole. */
async function put(name: string, content: Readable): Promise<ExportedFile> {
  const place = join(folder, name);
  const beside = `${place}.part`;
  const hash = createHash('sha256');
  content.on('data', (piece: Buffer) => hash.update(piece));
  try {
    await pipeline(content, createWriteStream(beside, { flags: 'wx' }));
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await rename(beside, place);
  return { place, sizeBytes: (await stat(place)).size, sha256: hash.digest('hex') };
}

async function exported(change: Partial<ExportInput>, run = quietly) {
  folder = join(server.directory, `export-${Math.random().toString(36).slice(2)}`);
  await mkdir(folder);
  const input: ExportInput = {
    ...{ restored: sides.restored, place: { directory: sides.directory, user: null }, serverMajor: 15 },
    ...{ tables: [], format: 'csv', rows: null, put },
    ...change,
  };
  return exportTables(input, run);
}

const HARD: [string, string][] = [
  ['public', 'hard'],
  ['Odd "Schema"', 'Order; "x"'],
  ['public', 'events'],
  ['public', 'base'],
  ['public', 'child'],
  ['public', 'empty_table'],
];
const hardNames = HARD.map(formatNameParts);

/** What is in a file, and what is in the table, in both directions. */
async function differing(access: ServerAccess, parts: [string, string], file: string): Promise<string> {
  const options = { applicationName: 'test', signal: quietly.signal };
  return withConnection(access, options, async (client) => {
    const name = quoteQualified(parts);
    await client.query(`CREATE TEMPORARY TABLE back (LIKE ${name})`);
    const into = client.query(copyFrom('COPY back FROM STDIN (FORMAT csv, HEADER match)'));
    await pipeline(createReadStream(file), into);
    const { rows } = await client.query(
      `SELECT (SELECT count(*) FROM back)::int AS there,
        (SELECT count(*) FROM (SELECT before::text FROM back before EXCEPT SELECT after::text FROM ${parts[1] === 'events' ? '' : 'ONLY '}${name} after) d)::int AS wrong`,
    );
    return JSON.stringify(rows[0]);
  });
}

test('whole tables as CSV: every value comes back by COPY, partitions with their table', async () => {
  const tables = await exported({ tables: hardNames });
  expect(tables.map(({ table, rows }) => [table, rows])).toEqual([
    ['public.hard', 500],
    [formatNameParts(HARD[1] as string[]), 50],
    ['public.events', 60],
    ['public.base', 1],
    ['public.child', 1],
    ['public.empty_table', 0],
  ]);
  for (const [index, { place, rows, sizeBytes }] of tables.entries()) {
    expect(sizeBytes).toBe((await stat(place)).size);
    expect(await differing(sides.restored, HARD[index] as [string, string], place)).toBe(
      JSON.stringify({ there: rows, wrong: 0 }),
    );
  }
  const names = await readdir(folder);
  expect(names.sort()).toEqual([
    expect.stringMatching(/^odd_schema_\.order_x_-[0-9a-f]{12}\.csv$/),
    'public.base.csv',
    'public.child.csv',
    'public.empty_table.csv',
    'public.events.csv',
    'public.hard.csv',
  ]);
});

test('file names are safe and different, whatever the tables are called', () => {
  const long = 'ü'.repeat(31);
  const names = [
    ['public', 'orders'],
    ['public', 'Orders'],
    ['public.orders', 'x'],
    ['public', 'orders.x'],
  ];
  names.push([long, long], [long, `${long}1`], ['..', '../../etc/passwd'], ['public', 'a\nb\0']);
  const files = names.map((parts) => fileName(parts, 'csv'));
  expect(files[0]).toBe('public.orders.csv');
  expect(new Set(files.map((file) => file.toLowerCase())).size).toBe(names.length);
  for (const file of files) expect(file).toMatch(/^[a-z0-9_.-]{1,140}$/);
  expect(files.every((file) => !file.includes('/'))).toBe(true);
});

test('a dump of the tables: pg_restore makes them again, partitions and odd names included', async () => {
  const tables = [...hardNames.slice(1, 3)];
  const [dumped, ...more] = await exported({ tables, format: 'dump' });
  expect(more).toEqual([]);
  expect(dumped).toMatchObject({ table: tables.join(', '), rows: null });
  const { pgRestore } = await dumpPrograms(15);
  await query(server.access, 'CREATE DATABASE from_dump');
  const access = { ...server.access, database: 'from_dump' };
  await query(access, 'CREATE SCHEMA "Odd ""Schema"""');
  await runTool(pgRestore, ['--exit-on-error', '--dbname=from_dump', (dumped as ExportedFile).place], {
    ...{ signal: quietly.signal, env: clientEnvironment(access) },
  });
  for (const parts of HARD.slice(1, 3)) {
    const rows = `SELECT count(*), sum(hashtext(t::text)) FROM ${quoteQualified(parts)} t`;
    expect(await query(access, rows)).toEqual(await query(sides.restored, rows));
  }
  const listed = await query(
    access,
    "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace",
  );
  expect(listed.map(({ relname }) => relname).sort()).toEqual(['events', 'events_1', 'events_2']);
});

test('what cannot be exported is said: an unknown table, an unlogged one', async () => {
  await expect(exported({ tables: ['public.hart'] })).rejects.toMatchObject({
    type: 'UnknownTable',
    hint: expect.stringContaining('public.hard'),
  });
  // As a recovery leaves it.
  await sides.copy('TRUNCATE scratch');
  for (const format of ['csv', 'dump'] as const) {
    await expect(exported({ tables: ['public.hard', 'public.scratch'], format })).rejects.toMatchObject({
      type: 'NotSupported',
      message: expect.stringContaining('public.scratch is unlogged'),
    });
    expect(await readdir(folder)).toEqual([]);
  }
});

const sessions = () =>
  query(
    server.access,
    "SELECT application_name FROM pg_stat_activity WHERE application_name IN ('holdfast export', 'pg_dump')",
  );

test.each(['csv', 'dump'] as const)(
  'a place that refuses, and an abort: %s ends, and leaves no file',
  async (format) => {
    await query(
      sides.restored,
      'CREATE TABLE IF NOT EXISTS public.big AS SELECT n, md5(n::text) || repeat(md5(random()::text), 30) AS t FROM generate_series(1, 60000) n',
    );
    const full = new Error('the disk is full');
    const refusing = async (_name: string, content: Readable): Promise<never> => {
      for await (const _ of content) throw full;
      throw new Error('nothing came');
    };
    await expect(exported({ tables: ['public.big'], format, put: refusing })).rejects.toBe(full);
    await expect.poll(sessions).toEqual([]);

    const controller = new AbortController();
    const reason = new Error('cancelled by the test');
    const run = { signal: controller.signal, progress: () => controller.abort(reason) };
    await expect(exported({ tables: ['public.big'], format }, run)).rejects.toBe(reason);
    await expect.poll(sessions).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
  },
);

test.each([
  ['csv', 'ConnectionFailed'],
  ['dump', 'ToolFailed'],
] as const)('a session that is lost half way: no %s appears', async (format, type) => {
  await query(
    sides.restored,
    'CREATE TABLE IF NOT EXISTS public.big AS SELECT n, md5(n::text) || repeat(md5(random()::text), 30) AS t FROM generate_series(1, 60000) n',
  );
  const losing = (name: string, content: Readable) => {
    async function* first(): AsyncGenerator<Buffer> {
      let count = 0;
      for await (const piece of content as AsyncIterable<Buffer>) {
        count += 1;
        if (count === 1) {
          await query(
            server.access,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name IN ('holdfast export', 'pg_dump')",
          );
        }
        yield piece;
      }
    }
    return put(name, Readable.from(first(), { objectMode: false }));
  };
  await expect(exported({ tables: ['public.big'], format, put: losing })).rejects.toMatchObject({ type });
  expect(await readdir(folder)).toEqual([]);
});

test('the rows of a rule as CSV: those that it would bring back, and no others', async () => {
  const changed = await server.make(`
    CREATE TABLE parents (id int PRIMARY KEY);
    CREATE TABLE items (id numeric, name text COLLATE "C", parent int REFERENCES parents, code text UNIQUE,
      note text, twice numeric GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (id, name));
    INSERT INTO parents SELECT generate_series(1, 3);
    INSERT INTO items SELECT n, 'tab\t"quote" \\ ' || n, 1 + n % 3, 'c' || n, 'line' || chr(10) || n
      FROM generate_series(1, 25000) n;`);
  await changed.live(`
    DELETE FROM items WHERE id <= 24000;
    UPDATE items SET note = 'other' WHERE id > 24990;
    INSERT INTO items (id, name, parent, code) VALUES (90000, 'new', 1, 'c7');`);
  const tables = ['public.items'];
  const { comparisons } = await changed.plan(tables);
  const rule = async (conflict: ConflictRule, some = tables) => {
    const rows = { conflict, comparisons, production: changed.production };
    const files = await exported({ restored: changed.restored, tables: some, rows });
    const ids = new Map<string, string[]>();
    for (const { table, place, rows: count } of files) {
      await query(server.access, 'DROP TABLE IF EXISTS public.back');
      const columns = table.endsWith('items')
        ? 'id numeric, name text, parent int, code text, note text, twice numeric'
        : 'a int, b text';
      await query(server.access, `CREATE TABLE public.back (${columns})`);
      const options = { applicationName: 'test', signal: quietly.signal };
      await withConnection(server.access, options, (client) =>
        pipeline(
          createReadStream(place),
          client.query(copyFrom('COPY public.back FROM STDIN (FORMAT csv, HEADER match)')),
        ),
      );
      const back = await query(
        server.access,
        `SELECT ${columns.split(' ')[0]} AS id, t::text AS row FROM public.back t`,
      );
      expect(back).toHaveLength(count as number);
      const there = await query(changed.restored, `SELECT t::text AS row FROM ${table} t`);
      const known = new Set(there.map(({ row }) => row));
      expect(back.filter(({ row }) => !known.has(row))).toEqual([]);
      ids.set(
        table,
        back.map(({ id }) => String(id)),
      );
    }
    return ids;
  };
  const missing = await rule('insert-missing', ['public.items']);
  // Number 7's code is held by a new row.
  expect(missing.get('public.items')).toHaveLength(23_999);
  expect(missing.get('public.items')).not.toContain('7');
  const restored = await rule('restore-changed', ['public.items']);
  expect(restored.get('public.items')).toHaveLength(24_009);
  const replaced = await rule('replace');
  expect(replaced.get('public.items')).toHaveLength(24_010);
  expect(replaced.get('public.items')).not.toContain('90000');
  const beside = await rule('side-by-side');
  expect([...beside.values()].map(({ length }) => length)).toEqual([25_000]);

  await rm(join(ruleFolder(comparisons), 'missing'));
  await expect(rule('insert-missing', ['public.items'])).rejects.toMatchObject({ type: 'InstanceLost' });
  expect(await readdir(folder)).toEqual([]);
});

const ruleFolder = (comparisons: readonly TableComparison[]) =>
  comparisons.find(({ table }) => table === 'public.items')?.keysFolder as string;

test('a dump holds whole tables only', async () => {
  const rows = { conflict: 'replace' as const, comparisons: [], production: sides.production };
  await expect(exported({ tables: ['public.hard'], format: 'dump', rows })).rejects.toMatchObject({
    type: 'NotSupported',
  });
});

test('the rows of a rule: of a table without a key, with other columns since, and of one that is gone', async () => {
  const changed = await server.make(`
    CREATE TABLE plain (a int, b text, dropped int);
    CREATE TABLE gone (id int PRIMARY KEY, note text);
    INSERT INTO plain SELECT n / 2, 'x', n FROM generate_series(1, 100) n;
    INSERT INTO gone SELECT n, 'x' FROM generate_series(1, 10) n;`);
  await changed.live(`
    ALTER TABLE plain DROP dropped, ADD added int, ALTER b TYPE varchar(9);
    DELETE FROM plain WHERE a < 10;
    INSERT INTO plain VALUES (5, 'x', 1);
    DROP TABLE gone`);
  const tables = ['public.gone', 'public.plain'];
  const { comparisons } = await changed.plan(tables);
  const rows = { conflict: 'replace' as const, comparisons, production: changed.production };
  const files = await exported({ restored: changed.restored, tables, rows });
  // 1 to 19 without one of the two fives, which is there again.
  expect(files.map(({ table, rows: count }) => [table, count])).toEqual([
    ['public.gone', 10],
    ['public.plain', 18],
  ]);
  const lines = (await readFile(files[1]?.place as string, 'utf8')).trim().split('\n');
  expect(lines[0]).toBe('a,b,dropped');
  expect(lines.slice(1).filter((line) => line.startsWith('5,'))).toHaveLength(1);
});

test.each(['csv', 'dump'] as const)(
  'says that a %s has no large objects, of a table that names some',
  async (format) => {
    const named = await server.make(
      'CREATE DOMAIN public.lo AS oid; CREATE TABLE public.papers (id int PRIMARY KEY, scan public.lo, raw oid, n int)',
    );
    const place = { directory: named.directory, user: null };
    const of = { restored: named.restored, place, tables: ['public.papers'], format };
    const noticesOf = async () => (await exported(of)).flatMap(({ notices }) => notices);
    // Without one in the db, the numbers are only numbers.
    expect(await noticesOf()).toEqual([]);
    await query(named.restored, `SELECT lo_from_bytea(0, 'a page')`);
    expect(await noticesOf()).toEqual([
      expect.stringMatching(/^public\.papers: column scan may name large objects; they are not exported/),
      expect.stringMatching(/^public\.papers: column raw may name/),
    ]);
  },
);
