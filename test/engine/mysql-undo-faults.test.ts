import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { find } from '../../src/engines/mysql/find/find.ts';
import { importRows } from '../../src/engines/mysql/import/import.ts';
import { planUndo } from '../../src/engines/mysql/undo/plan.ts';
import { undo } from '../../src/engines/mysql/undo/undo.ts';
import { type Death, fileJournal } from './dying-worker.ts';
import { folderStores } from './folder-stores.ts';
import { logsOf } from './mysql-binlog-fixture.ts';
import { quietly, SERIES, type Settings } from './mysql-server.ts';
import { memoryJournal, type Sides, type SidesServer, startSides } from './mysql-sides-fixture.ts';
import { importBy, plannedUndo, undoneBy } from './mysql-undo-fixture.ts';
import { fileSink } from './postgres-file-sink.ts';

const SHOP = [
  'CREATE TABLE t (id INT PRIMARY KEY, n INT)',
  'CREATE TABLE made (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES t (id))',
  `INSERT INTO t VALUES ${Array.from({ length: 1000 }, (_, n) => `(${n + 1},${n + 1})`).join(',')}`,
  'INSERT INTO made SELECT id, id FROM t WHERE id <= 300',
];
const HARM = [
  'DROP TABLE made',
  'DELETE FROM t WHERE id > 700',
  'UPDATE t SET n = 0 WHERE id <= 200',
  'INSERT INTO t VALUES (5000, 1)',
];
const CONTENT = 'SELECT COUNT(*) AS rows_, SUM(n) AS sum FROM t';

describe.each(SERIES)('a worker killed during an undo on %s', (series) => {
  let server: SidesServer;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hf-mysql-undo-'));
    server = await startSides(series);
  });
  afterAll(async () => {
    await server?.end();
    await rm(folder, { recursive: true, force: true });
  });

  const ours = () =>
    server.production.query(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_name LIKE 'holdfast%'",
    );

  test.each<[Death, boolean | null]>([
    ['staging', false],
    ['changing', false],
    ['before-journal', false],
    ['after-journal', false],
    ['commit', null],
    ['dropping', true],
    ['done', true],
  ])('%s: the next attempt has one result, and nothing is left behind', async (death, done) => {
    const sides = await server.make(...SHOP);
    await sides.live(...HARM);
    const before = await sides.live(CONTENT);
    const [imported, own] = [join(folder, `${sides.db}.import`), join(folder, `${sides.db}.undo`)];
    for (const each of [imported, own]) await mkdir(each);
    const journal = memoryJournal();
    const plan = await sides.plan(['t', 'made'], { conflict: 'replace', journal });
    await importRows(
      { ...plan, undo: { folder: imported, expiresAt: '2099-01-01T00:00:00Z', sink: fileSink(imported) } },
      quietly,
    );
    const record = journal.records.at(-1);
    if (record === undefined) throw new Error('nothing was imported');
    const stores = folderStores(imported, own);
    const journalFile = join(folder, `${sides.db}.journal`);
    const planned = await plannedUndo(sides, { record, read: stores.read });
    const comparisons = await planUndo({ ...planned, ...stores }, quietly);
    const input = { ...planned, ...stores, comparisons, journal: fileJournal(journalFile) };
    const inputFile = `${journalFile}.input`;
    await writeFile(inputFile, JSON.stringify({ ...input, journal: null, undo: null, read: null }));
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, 'mysql-undo-child.ts'), inputFile, imported, own, journalFile, death],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
    // What its application brings back in between must not be taken away by a second attempt at finished work.
    if (done === true) await sides.live('INSERT INTO t VALUES (1000, 1)');
    const result = await undo({ ...input, lockTimeoutMs: 20_000 }, quietly);
    if (done !== null) expect(result.alreadyDone).toBe(done);
    expect(result.tables).toMatchObject([{ deleted: 300 }, { inserted: 1, updated: 200, deleted: 300 }]);
    if (done === true) await sides.live('DELETE FROM t WHERE id = 1000');
    expect(await sides.live(CONTENT)).toEqual(before);
    expect(await sides.live("SHOW TABLES LIKE 'made'")).toEqual([]);
    expect(await undo(input, quietly)).toEqual({ ...result, alreadyDone: true });
    expect(await ours()).toEqual([]);
  });

  test('an abort while it waits leaves nothing, and one that comes too late is told as done', async () => {
    const sides = await server.make(...SHOP);
    await sides.live('DELETE FROM t WHERE id > 700');
    const imported = await importBy(sides, ['t'], 'insert-missing');
    const input = await plannedUndo(sides, imported);
    for (const [phase, isDone] of [
      ['staging', false],
      ['changing', false],
      ['committing', null],
    ] as const) {
      const controller = new AbortController();
      const run = {
        signal: controller.signal,
        progress: (progress: { phase: string }) => {
          if (progress.phase.startsWith(phase)) controller.abort(new Error('cancelled by the test'));
        },
      };
      const ended = await undo(input, run).then(
        () => true,
        (error: Error) => error.message,
      );
      if (isDone === false) expect(ended).toBe('cancelled by the test');
      const [row] = await sides.live('SELECT COUNT(*) AS n FROM t');
      expect(row?.n).toBe(ended === true ? '700' : '1000');
      expect(await ours()).toEqual([]);
    }
  });
});

describe.each(SERIES)('undos on other servers: %s', (series) => {
  const isMysql = series === '8.0';
  const OTHERS: [string, Settings][] = [
    [
      'that log statements, without GTIDs',
      {
        'binlog-format': 'STATEMENT',
        ...(isMysql ? { 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' } : {}),
      },
    ],
    [
      'that log nothing',
      isMysql
        ? { 'log-bin': null, 'skip-log-bin': 'ON', 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' }
        : { 'log-bin': null },
    ],
  ];
  test.each(OTHERS)('%s', async (_, settings) => {
    const server = await startSides(series, settings);
    try {
      const sides = await server.make(...SHOP);
      await sides.live(...HARM);
      const before = await sides.live(CONTENT);
      const imported = await importBy(sides, ['t', 'made'], 'replace');
      const after = await sides.live(CONTENT);
      const input = await plannedUndo(sides, imported);
      const result = await undo(input, quietly);
      expect(await sides.live(CONTENT)).toEqual(before);
      await undo(await plannedUndo(sides, undoneBy(input)), quietly);
      expect(await sides.live(CONTENT)).toEqual(after);
      if (settings['log-bin'] === undefined)
        await expectOwn(server, sides, [imported.record.transaction, result.transaction]);
    } finally {
      await server.end();
    }
  });

  /** Both are in the log as rows, by their own names, and no temporary table is. */
  async function expectOwn(server: SidesServer, sides: Sides, transactions: string[]): Promise<void> {
    await server.production.query('FLUSH BINARY LOGS');
    const files = (await logsOf(server.production)).slice(0, -1);
    const logs = await Promise.all(
      files.map(async (file) => ({
        name: file.split('/').at(-1) as string,
        sizeBytes: (await stat(file)).size,
        open: () => createReadStream(file),
      })),
    );
    const own = transactions.map((transaction, at) => ({
      transaction,
      by: `runbook ${at}`,
      from: '',
      to: '',
    }));
    const span = { since: '2020-01-01T00:00:00Z', until: '2099-01-01T00:00:00Z', limit: 20, minRows: 1 };
    const found = await find({ table: `${sides.db}.t`, logs, own, ...span }, quietly);
    expect(found.candidates.filter(({ by }) => by !== undefined)).toMatchObject([
      { by: 'runbook 0', deleted: 1, updated: 200, inserted: 300 },
      { by: 'runbook 1', deleted: 300, updated: 200, inserted: 1 },
    ]);
    const staged = await find({ table: `${sides.db}.holdfast_undo_0`, logs, own, ...span }, quietly);
    expect(staged.candidates).toEqual([]);
  }
});
