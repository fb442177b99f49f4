import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres } from '../../src/client/dev/postgres.ts';
import { planUndo } from '../../src/engines/postgres/undo/plan.ts';
import { undo } from '../../src/engines/postgres/undo/undo.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import { type Death, fileJournal } from './dying-worker.ts';
import { folderStore } from './folder-stores.ts';
import { query, quietly, type Sides, type SidesServer, startSides } from './postgres-sides-fixture.ts';
import { importByHand, plannedUndo } from './postgres-undo-fixture.ts';

const TABLE = `CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT n, n FROM generate_series(1, 1000) n`;
const CHANGE = {
  'public.t': {
    key: ['id'],
    columns: ['id', 'n'],
    inserted: 'SELECT id FROM t WHERE id > 1000',
    replaced: `SELECT 'u', id, n FROM t WHERE id <= 500`,
  },
};
const IMPORT =
  'INSERT INTO t SELECT n, n FROM generate_series(1001, 3000) n; UPDATE t SET n = 0 WHERE id <= 500';

let sidesServer: SidesServer;
beforeAll(async () => {
  sidesServer = await startSides();
});
afterAll(() => sidesServer.end());

describe('a worker killed during an undo', () => {
  const DEATHS: [Death, boolean][] = [
    ['staging', false],
    ['changing', false],
    ['before-journal', false],
    ['after-journal', false],
    ['done', true],
  ];
  test.each(DEATHS)(
    '%s: the next attempt has one result, and nothing is left behind',
    async (death, done) => {
      const sides = await sidesServer.make(TABLE);
      const by = await importByHand(sides, CHANGE, IMPORT);
      const folder = join(sides.directory, 'undo');
      await mkdir(folder, { recursive: true });
      for (const object of by.record.undo?.tables.flatMap((table) => [
        ...(table.inserted ?? []),
        ...(table.replaced ?? []),
      ]) ?? []) {
        const content: Buffer[] = [];
        for await (const piece of by.read(object, quietly.signal)) content.push(piece as Buffer);
        await writeFile(join(folder, `import-${object.key.split('/').at(-1)}`), Buffer.concat(content));
      }
      const record = JSON.parse(
        JSON.stringify(by.record).replaceAll(/"key":"[^"]*\//g, '"key":"import-'),
      ) as typeof by.record;
      const journalFile = join(sides.directory, 'journal');
      const { read } = folderStore(folder);
      const plan = {
        ...(await plannedUndo(sides, record, read)),
        journal: fileJournal(journalFile),
        ...folderStore(folder),
      };
      const inputFile = join(sides.directory, 'input.json');
      await writeFile(inputFile, JSON.stringify({ ...plan, journal: null, undo: null, read: null }));
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, 'postgres-undo-child.ts'), inputFile, folder, journalFile, death],
        { stdio: ['ignore', 'ignore', 'inherit'] },
      );
      expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);

      // What its application brings back in between must not be taken away by a second attempt at finished work.
      if (done) await sides.live('INSERT INTO t VALUES (3000, 1)');
      const result = await undo({ ...plan, lockTimeoutMs: 20_000 }, quietly);
      expect(result.alreadyDone).toBe(done);
      expect(result.tables).toMatchObject([{ deleted: 2_000, updated: 500 }]);
      expect(
        await sides.live('SELECT count(*)::int AS n, sum(n)::int AS sum FROM t WHERE id <= 1000'),
      ).toEqual([{ n: 1_000, sum: 500_500 }]);
      expect(await sides.live('SELECT id FROM t WHERE id > 1000')).toEqual(done ? [{ id: 3000 }] : []);
      expect(await undo(plan, quietly)).toEqual({ ...result, alreadyDone: true });
      const left = await sides.live(`SELECT
        (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory') AS locks,
        (SELECT count(*)::int FROM pg_class WHERE relname LIKE 'holdfast%') AS stages`);
      expect(left).toEqual([{ locks: 0, stages: 0 }]);
    },
  );
});

test('after a failover an import is still known, and one that the new server never saw is refused', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'hf-undo-'));
  await chmod(directory, 0o755);
  const options = {
    directory: join(directory, 'postgres'),
    port: 0,
    major: 15,
    systemUser: 'postgres',
    password: 'a-password-of-tests',
    database: 'shop',
    settings: { fsync: 'off' },
  };
  let server = await startPostgres(options);
  try {
    await query(server.access, TABLE);
    const by = await importByHand({ production: server.access } as Sides, CHANGE, IMPORT);
    await server.stop();
    await writeFile(join(server.dataDirectory, 'recovery.signal'), '');
    await appendFile(join(server.dataDirectory, 'postgresql.auto.conf'), "restore_command = 'false'\n");
    server = await startPostgres(options);
    const timeline = await query(
      server.access,
      'SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS id',
    );
    expect(timeline).toEqual([{ id: '00000002' }]);
    const input = { ...by.input(), production: server.access };
    const [table] = await planUndo(input, quietly);
    expect(ruleOf(table as NonNullable<typeof table>, 'keep-changed').change).toMatchObject({
      deletes: 2_000,
      updates: 500,
    });

    const { undo: data } = by.record;
    if (data === null) throw new Error('no undo data');
    const [{ lsn } = { lsn: '' }] = await query(
      server.access,
      'SELECT pg_current_wal_insert_lsn()::text AS lsn',
    );
    const lost = { ...by.record, undo: { ...data, server: { ...data.server, lsn: lsn as string } } };
    await expect(planUndo({ ...input, record: lost }, quietly)).rejects.toMatchObject({
      type: 'CheckFailed',
      message: expect.stringContaining('restored to a time before'),
    });
    await query(server.access, `CREATE ROLE modest LOGIN PASSWORD 'modest'; GRANT SELECT ON t TO modest`);
    const modest = { ...server.access, user: 'modest', password: 'modest' };
    await expect(planUndo({ ...input, production: modest }, quietly)).rejects.toMatchObject({
      type: 'PermissionDenied',
      hint: expect.stringContaining('pg_read_file'),
    });
  } finally {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
});
