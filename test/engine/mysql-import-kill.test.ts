import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImportInput } from '../../src/engines/contract/change.ts';
import { importRows } from '../../src/engines/mysql/import/import.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import { type Death, fileJournal } from './dying-worker.ts';
import { quietly, SERIES } from './mysql-server.ts';
import { memoryJournal, type SidesServer, startSides } from './mysql-sides-fixture.ts';

const NUMBERS = [
  'CREATE TABLE numbers (n int PRIMARY KEY)',
  `INSERT INTO numbers SELECT a.n + 10 * b.n + 100 * c.n + 1 FROM ${['a', 'b', 'c']
    .map(
      (name) =>
        `(${Array.from({ length: 10 }, (_, n) => `SELECT ${n} AS n`).join(' UNION ALL ')}) AS ${name}`,
    )
    .join(', ')}`,
];
const SHOP = [
  ...NUMBERS,
  'CREATE TABLE t (id int PRIMARY KEY, n int)',
  'CREATE TABLE u (id int PRIMARY KEY, t int NOT NULL, FOREIGN KEY (t) REFERENCES t (id) ON DELETE CASCADE)',
  'INSERT INTO t SELECT n, n FROM numbers',
  'INSERT INTO u SELECT n, n FROM numbers',
];

describe.each(SERIES)('a worker killed on %s', (series) => {
  let server: SidesServer;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hf-mysql-kill-'));
    server = await startSides(series);
  });
  afterAll(async () => {
    await server.end();
    await rm(folder, { recursive: true, force: true });
  });

  const ours = () =>
    server.production.query(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_name LIKE 'holdfast%'",
    );

  async function killed(plan: ImportInput, journalFile: string, death: Death): Promise<void> {
    const inputFile = `${journalFile}.input`;
    await writeFile(inputFile, JSON.stringify({ ...plan, journal: null, undo: null }));
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, 'mysql-import-child.ts'), inputFile, journalFile, death],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
  }

  const DEATHS: [Death, boolean | null][] = [
    ['staging', false],
    ['changing', false],
    ['before-journal', false],
    ['after-journal', false],
    ['commit', null],
    ['done', true],
  ];
  test.each(DEATHS)(
    '%s: the next attempt has one result, and nothing is left behind',
    async (death, done) => {
      const sides = await server.make(...SHOP);
      await sides.live('DELETE FROM t WHERE id > 100');
      const journalFile = join(folder, `${sides.db}.journal`);
      const plan = await sides.plan(['t', 'u'], { journal: fileJournal(journalFile) });
      await killed(plan, journalFile, death);
      // What its application deletes in between must not be brought back by a second attempt at finished work.
      if (done === true) await sides.live('DELETE FROM t WHERE id = 1000');
      const result = await importRows({ ...plan, lockTimeoutMs: 20_000 }, quietly);
      if (done !== null) expect(result.alreadyDone).toBe(done);
      expect(result.tables).toMatchObject([
        { inserted: 900, vanished: 0 },
        { inserted: 900, vanished: 0 },
      ]);
      const rows = done === true ? '999' : '1000';
      expect(await sides.live('SELECT (SELECT COUNT(*) FROM t) AS t, (SELECT COUNT(*) FROM u) AS u')).toEqual(
        [{ t: rows, u: rows }],
      );
      expect(await importRows(plan, quietly)).toEqual({ ...result, alreadyDone: true });
      expect(await ours()).toEqual([]);
    },
  );

  test.each<[Death, ConflictRule]>([
    ['copying', 'insert-missing'],
    ['changing', 'insert-missing'],
    ['after-journal', 'insert-missing'],
    ['commit', 'insert-missing'],
    ['copying', 'side-by-side'],
    ['after-journal', 'side-by-side'],
    ['commit', 'side-by-side'],
  ])('%s, of a table that is made (%s): whole, once, under its own name', async (death, conflict) => {
    const sides = await server.make(...SHOP);
    await sides.live('DROP TABLE u', 'DELETE FROM t WHERE id > 100');
    const journalFile = join(folder, `${sides.db}.journal`);
    const plan = await sides.plan(['t', 'u'], { conflict, journal: fileJournal(journalFile) });
    await killed(plan, journalFile, death);
    if (death === 'copying') expect(await sides.live("SHOW TABLES LIKE 'u%'")).toEqual([]);
    const result = await importRows({ ...plan, lockTimeoutMs: 20_000 }, quietly);
    const name = conflict === 'side-by-side' ? 'u_restored_copy' : 'u';
    expect(result.tables[1]).toMatchObject({ inserted: 1000, created: `${sides.db}.${name}` });
    expect(await sides.live(`SELECT COUNT(*) AS n FROM ${name}`)).toEqual([{ n: '1000' }]);
    expect(await importRows(plan, quietly)).toEqual({ ...result, alreadyDone: true });
    expect(await ours()).toEqual([]);
  });

  test('between the commit and the last step: the next attempt does that step only', async () => {
    const sides = await server.make(...SHOP);
    await sides.live('DROP TABLE u', 'DELETE FROM t WHERE id > 100');
    const journal = memoryJournal();
    const plan = await sides.plan(['t', 'u'], { journal });
    // Somebody reads what the last step has to rename a parent of: that waits, and the worker is given up.
    const reader = await server.production.connect(sides.db);
    const stopped = new AbortController();
    const writing = {
      read: journal.read,
      async write(record: Parameters<typeof journal.write>[0]) {
        await journal.write(record);
        await reader.query('START TRANSACTION');
        await reader.query('SELECT COUNT(*) FROM t');
        setTimeout(() => stopped.abort(new Error('given up')), 500);
      },
    };
    const attempt = importRows(
      { ...plan, journal: writing, lockTimeoutMs: 1_000 },
      { ...quietly, signal: stopped.signal },
    );
    const outcome = await attempt.then(
      () => 'done',
      () => 'failed',
    );
    await reader.close();
    const result = await importRows(plan, quietly);
    expect([outcome, result.alreadyDone]).toEqual([outcome, true]);
    expect(journal.records).toHaveLength(1);
    expect(await sides.live('SELECT (SELECT COUNT(*) FROM t) AS t, (SELECT COUNT(*) FROM u) AS u')).toEqual([
      { t: '1000', u: '1000' },
    ]);
    expect(await ours()).toEqual([]);
  });
});
