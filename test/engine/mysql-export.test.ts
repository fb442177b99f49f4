import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImportInput } from '../../src/engines/contract/change.ts';
import type { ExportedFile, ExportInput } from '../../src/engines/contract/read.ts';
import { exportTables } from '../../src/engines/mysql/export.ts';
import { quoteIdentifier, quoteLiteral } from '../../src/engines/mysql/identifier.ts';
import { dumpPrograms } from '../../src/engines/mysql/programs.ts';
import { hashSumSql, readColumns, rowHashSql } from '../../src/engines/mysql/row-hash.ts';
import { runTool } from '../../src/engines/process.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import { quietly, SERIES_WITH_CLIENTS } from './mysql-server.ts';
import { type Sides, type SidesServer, startSides } from './mysql-sides-fixture.ts';

const HARD = [
  `CREATE TABLE hard (id BIGINT UNSIGNED PRIMARY KEY, f FLOAT, d DOUBLE, n DECIMAL(30,10), b BIT(9), y YEAR, at DATETIME(6), day DATE,
     ts TIMESTAMP(3) NULL, t TIME(2), c CHAR(5), l VARCHAR(20) CHARACTER SET latin1, tx TEXT, raw VARBINARY(20), bl LONGBLOB,
     e ENUM('a','ö'), s SET('x','y'), j JSON, g GEOMETRY, hidden INT INVISIBLE, twice BIGINT AS (y * 2) STORED)`,
  'SET sql_mode = ""',
  `INSERT INTO hard (id, f, d, n, b, y, at, day, ts, t, c, l, tx, raw, bl, e, s, j, g, hidden) VALUES
     (18446744073709551615, 0.1, 0.1e0 + 0.2e0, -1234567890.0123456789, b'101010101', 1901, '0000-00-00', '2020-02-30', '2024-03-31 01:30:00.123',
       '-838:59:59.5', 'c', 'äß', 'a "quote", a comma\\nand a line\\\\', 0x00ff5c270a2c, REPEAT(0x00ff, 60000), 'ö', 'x,y', '{"a": [1, "é"]}',
       ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))', 4326), 7),
     (1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
     (2, 1e-30, -1e300, 0, 0, 0, '1000-01-01', '0000-00-00', NULL, '00:00', '', '', '', '', '', 'a', '', '[]', ST_GeomFromText('POINT(1 2)'), 0)`,
  'CREATE TABLE `odd ``name, "x"` (`a ``b` INT PRIMARY KEY, `c,d` VARCHAR(9))',
  'INSERT INTO `odd ``name, "x"` VALUES (1, "\\\\.")',
  'CREATE TABLE empty_table (id INT PRIMARY KEY)',
  'CREATE TABLE parent (id INT PRIMARY KEY)',
  'CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))',
  'INSERT INTO parent VALUES (1)',
  'INSERT INTO child VALUES (1, 1)',
  'CREATE TRIGGER counts BEFORE INSERT ON child FOR EACH ROW SET NEW.id = NEW.id + 100',
];

/** Fields of a CSV file; null: nothing between commas. */
function parseCsv(text: string): (string | null)[][] {
  const lines: (string | null)[][] = [];
  let fields: (string | null)[] = [];
  for (const [, quoted, plain = '', end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)/g)) {
    fields.push(quoted === undefined ? (plain === '' ? null : plain) : quoted.replaceAll('""', '"'));
    if (end === ',') continue;
    lines.push(fields);
    fields = [];
  }
  return lines;
}

describe.each(SERIES_WITH_CLIENTS)('export of %s', (series) => {
  let server: SidesServer;
  let sides: Sides;
  let folder: string;
  beforeAll(async () => {
    server = await startSides(series);
    sides = await server.make(...HARD);
    folder = await mkdtemp(join(tmpdir(), 'hf-export-'));
  });
  afterAll(async () => {
    await server?.end();
    await rm(folder, { recursive: true, force: true });
  });

  /** As a place does it: beside, and renamed when it is whole. */
  async function put(name: string, content: Readable): Promise<ExportedFile> {
    const place = join(folder, name);
    const hash = createHash('sha256');
    content.on('data', (piece: Buffer) => hash.update(piece));
    await pipeline(content, createWriteStream(`${place}.part`)).catch(async (error: unknown) => {
      await rm(`${place}.part`, { force: true });
      throw error;
    });
    await rename(`${place}.part`, place);
    return { place, sizeBytes: (await stat(place)).size, sha256: hash.digest('hex') };
  }

  async function exported(change: Partial<ExportInput>, from = sides, run = quietly) {
    for (const name of await readdir(folder)) await rm(join(folder, name));
    const input: ExportInput = {
      ...{
        restored: from.restored,
        place: { directory: from.directory, user: null },
        format: 'csv',
        rows: null,
        put,
      },
      ...{ serverMajor: server.instance.series, tables: [] },
      ...change,
    };
    return exportTables(input, run);
  }

  const sumOf = async (db: string, table: string): Promise<unknown> => {
    const session = await server.instance.connect(db);
    try {
      const columns = await readColumns(session, db, table);
      return await session.query(
        `SELECT ${hashSumSql(rowHashSql(columns))} AS sum, COUNT(*) AS n FROM ${quoteIdentifier(table)}`,
      );
    } finally {
      await session.close();
    }
  };

  test('whole tables as CSV: every value comes back to the bit', async () => {
    const tables = ['hard', '"odd `name, ""x"""', 'empty_table'].map((table) => `${sides.db}.${table}`);
    const files = await exported({ tables });
    expect(files.map(({ rows }) => rows)).toEqual([3, 1, 0]);
    expect((await readdir(folder)).sort()).toEqual([
      expect.stringMatching(/^shop_\d+\.empty_table\.csv$/),
      expect.stringMatching(/^shop_\d+\.hard\.csv$/),
      expect.stringMatching(/^shop_\d+\.odd_name_x_-[0-9a-f]{12}\.csv$/),
    ]);
    expect(files[0]?.notices?.join()).toMatch(/UNHEX reads: raw, bl, g.*numbers: b.*UTC: ts/);
    expect(await readFile(files[1]?.place as string, 'utf8')).toBe('a `b,"c,d"\n1,"\\."\n');
    expect(await readFile(files[2]?.place as string, 'utf8')).toBe('id\n');
    const [header = [], ...lines] = parseCsv(await readFile(files[0]?.place as string, 'utf8'));
    const kept = header.flatMap((name, at) => (name === 'twice' ? [] : [at]));
    const rows = lines.map((line) => {
      const values = kept.map((at) => {
        const [name, value] = [header[at] as string, line[at] as string | null];
        if (value === null) return 'NULL';
        if (['raw', 'bl', 'g'].includes(name)) return `UNHEX('${value}')`;
        return /^(?:id|f|d|b)$/.test(name) ? value : quoteLiteral(value);
      });
      return `(${values.join(',')})`;
    });
    const names = kept.map((at) => quoteIdentifier(header[at] as string)).join(', ');
    await sides.copy(
      'DROP TABLE IF EXISTS back',
      'CREATE TABLE back LIKE hard',
      `SET sql_mode = 'ALLOW_INVALID_DATES'`,
      `INSERT INTO back (${names}) VALUES ${rows.join(',')}`,
    );
    expect(await sumOf(sides.db, 'back')).toEqual(await sumOf(sides.db, 'hard'));
    await sides.copy('DROP TABLE back');
  });

  test('a dump loads with the client, definitions, triggers and all', async () => {
    const tables = ['hard', 'parent', 'child'].map((table) => `${sides.db}.${table}`);
    const [file, ...more] = await exported({ tables, format: 'dump' });
    expect(more).toEqual([]);
    expect(file).toMatchObject({ table: tables.join(', '), rows: null });
    await server.instance.query('CREATE DATABASE loaded');
    const { client } = await dumpPrograms(server.instance.series);
    const { access } = server.instance;
    await runTool(client, ['--no-defaults', `--socket=${access.host}/mysqld.sock`, '--user=root', 'loaded'], {
      signal: quietly.signal,
      stdin: createReadStream(file?.place as string),
    });
    for (const table of ['hard', 'parent', 'child'])
      expect(await sumOf('loaded', table)).toEqual(await sumOf(sides.db, table));
    expect(
      await server.instance.query(
        "SELECT trigger_name AS name FROM information_schema.triggers WHERE trigger_schema = 'loaded'",
      ),
    ).toEqual([{ name: 'counts' }]);
    await server.instance.query('DROP DATABASE loaded');
  });

  test('the rows of a rule: those that it would bring back, and no others', async () => {
    const changed = await server.make(
      'CREATE TABLE items (id INT, name VARCHAR(20), code VARCHAR(9) UNIQUE, note TEXT, PRIMARY KEY (id, name))',
      'CREATE TABLE plain (a INT, b VARCHAR(9), hidden INT INVISIBLE)',
      `INSERT INTO items VALUES ${Array.from({ length: 500 }, (_, n) => `(${n},'n${n}','c${n}','x')`).join(',')}`,
      "INSERT INTO plain (a, b, hidden) VALUES (1,'x',5),(1,'x',5),(1,'x',5),(2,'y',NULL)",
    );
    await changed.live(
      'DELETE FROM items WHERE id < 400',
      "UPDATE items SET note = 'other' WHERE id >= 490",
      "INSERT INTO items VALUES (9000,'new','c7','')",
      'DELETE FROM plain WHERE a = 1 LIMIT 2',
    );
    const tables = [`${changed.db}.items`, `${changed.db}.plain`];
    const one = await changed.plan(tables.slice(0, 1));
    const rule = async (conflict: ConflictRule, all: ImportInput, some = tables.slice(0, 1)) =>
      (
        await exported(
          { tables: some, rows: { conflict, comparisons: all.comparisons, production: changed.production } },
          changed,
        )
      ).map(({ rows }) => rows);
    // Number 7's code is held by a new row.
    expect(await rule('insert-missing', one)).toEqual([399]);
    expect(await rule('restore-changed', one)).toEqual([409]);
    const both = await changed.plan(tables, { conflict: 'replace' });
    expect(await rule('replace', both, tables)).toEqual([410, 2]);
    const plain = (await readdir(folder)).find((name) => name.includes('plain')) as string;
    expect(await readFile(join(folder, plain), 'utf8')).toBe('a,b,hidden\n1,x,5\n1,x,5\n');
    expect(await rule('side-by-side', both, tables)).toEqual([500, 4]);
    const [first] = both.comparisons;
    await server.instance.query(
      `DROP DATABASE ${quoteIdentifier(first?.keysFolder.split('/')[0] as string)}`,
    );
    await expect(rule('replace', both)).rejects.toMatchObject({ type: 'CheckFailed' });
    expect(await readdir(folder)).toEqual([]);
  });

  test('what cannot be exported is said', async () => {
    const hard = `${sides.db}.hard`;
    await expect(exported({ tables: [`${sides.db}.hart`] })).rejects.toMatchObject({
      type: 'UnknownTable',
      hint: expect.stringContaining(hard),
    });
    const rows = { conflict: 'replace' as const, comparisons: [], production: sides.production };
    await expect(exported({ tables: [hard], format: 'dump', rows })).rejects.toMatchObject({
      type: 'NotSupported',
    });
  });

  test.each(['csv', 'dump'] as const)(
    'a place that refuses, and an abort: %s ends, and leaves no file',
    async (format) => {
      await sides.copy(
        'CREATE TABLE IF NOT EXISTS big (id INT PRIMARY KEY AUTO_INCREMENT, t TEXT)',
        ...(format === 'csv'
          ? [
              "INSERT INTO big (t) VALUES (REPEAT('x', 1000))",
              ...Array.from({ length: 14 }, () => 'INSERT INTO big (t) SELECT t FROM big'),
            ]
          : []),
      );
      const tables = [`${sides.db}.big`];
      const full = new Error('the disk is full');
      const refusing = async (_name: string, content: Readable): Promise<never> => {
        for await (const _ of content) throw full;
        throw new Error('nothing came');
      };
      await expect(exported({ tables, format, put: refusing })).rejects.toBe(full);
      const controller = new AbortController();
      const reason = new Error('cancelled by the test');
      const run = { signal: controller.signal, progress: () => controller.abort(reason) };
      await expect(exported({ tables, format }, sides, run)).rejects.toBe(reason);
      expect(await readdir(folder)).toEqual([]);
      await expect
        .poll(() =>
          server.instance.query(
            "SELECT 1 FROM information_schema.processlist WHERE info LIKE '%big%' AND info NOT LIKE '%processlist%'",
          ),
        )
        .toEqual([]);
    },
  );
});
