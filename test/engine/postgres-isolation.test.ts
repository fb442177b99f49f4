import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningPostgres, startPostgres } from '../../src/client/dev/postgres.ts';
import type { InstancePlace } from '../../src/engines/contract/restore.ts';
import { exportTables } from '../../src/engines/postgres/export.ts';
import { readDefinition } from '../../src/engines/postgres/import/recreate.ts';
import { serverPid } from '../../src/engines/postgres/instance-processes.ts';
import { instanceAccess } from '../../src/engines/postgres/place.ts';
import { postgresProgram } from '../../src/engines/postgres/programs.ts';
import { newLog, startServer, stop } from '../../src/engines/postgres/server.ts';
import { runTool } from '../../src/engines/process.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import {
  MAJOR,
  quietly,
  RESTORE_USER,
  type Recovery,
  recover,
  startRecovery,
} from './postgres-recovery-fixture.ts';

/**
 * What a restored server could do to production, and that it does not: each test first looks at the isolated
 * server, then starts the same files without what isolates them and sees the harm done.
 */
let recovery: Recovery;
let publisher: RunningPostgres;
let backup: string;
let lastLog: string;
/** an archive that any user of the host may write to */
let archive: string;
/** what production's own postgresql.auto.conf says */
let settings: string;
let place: InstancePlace;

beforeAll(async () => {
  recovery = await startRecovery();
  const { sql, directory } = recovery;
  archive = join(directory, 'archive');
  await mkdir(archive);
  await chmod(archive, 0o777);
  publisher = await startPostgres({
    ...{ directory: join(directory, 'publisher'), port: 0, major: MAJOR, systemUser: 'postgres' },
    ...{ password: 'secret-of-the-publisher', database: 'news', settings: { wal_level: 'logical' } },
  });
  const push = await recovery.value('SHOW archive_command');
  const production = {
    archive_mode: 'on',
    archive_command: `cp %p ${archive}/%f && ${push}`,
    max_logical_replication_workers: '4',
    // Stands for job schedulers: a worker of a preloaded library, which PostgreSQL starts by itself.
    shared_preload_libraries: 'pg_prewarm',
    'pg_prewarm.autoprewarm': 'on',
  };
  await sql("ALTER SYSTEM SET shared_preload_libraries = 'pg_prewarm'");
  await recovery.restart();
  for (const [name, value] of Object.entries(production)) await sql(`ALTER SYSTEM SET ${name} = '${value}'`);
  await recovery.restart();
  settings = await readFile(join(recovery.production.dataDirectory, 'postgresql.auto.conf'), 'utf8');

  const news = 'CREATE TABLE public.news (id int PRIMARY KEY)';
  await sql(`${news}; CREATE PUBLICATION news FOR TABLE public.news`, publisher.access);
  await sql(news);
  const { port, password } = publisher.access;
  await sql(
    `CREATE SUBSCRIPTION news CONNECTION 'host=127.0.0.1 port=${port} user=postgres password=${password} dbname=news' PUBLICATION news`,
  );
  await publish(1, 10);
  while ((await newsIn()) !== '10') await sleep(100);
  backup = await recovery.backup();
  lastLog = await recovery.archive();
  place = await recovery.provision('isolated');
  await recover(recovery, place, backup, { latest: true }, { lastLog });
}, 120_000);
afterAll(async () => {
  if (place !== undefined) await stop(place);
  await publisher?.stop();
  await recovery?.end();
});

const WAIT = { timeout: 20_000, interval: 100 };
const copy = () => instanceAccess(place, { user: 'postgres', database: 'shop' });
const newsIn = (access = recovery.production.access) =>
  recovery.value('SELECT count(*) FROM public.news', access);
const publish = (from: number, to: number) =>
  recovery.sql(`INSERT INTO public.news SELECT generate_series(${from}, ${to})`, publisher.access);
const ofNewTimeline = async () => (await readdir(archive)).filter((name) => name.startsWith('00000002'));

/** Processes of the restored server that the preloaded library started. */
async function workers(): Promise<number> {
  const pid = String(await serverPid(place));
  const { stdout } = await runTool('ps', ['--ppid', pid, '-o', 'args'], {
    ...{ signal: quietly.signal, stdout: 'text' },
  });
  return stdout.split('\n').filter((line) => line.includes('autoprewarm leader')).length;
}

/** What a person can do who is at the host. */
async function promote(): Promise<void> {
  const pgCtl = await postgresProgram('pg_ctl', MAJOR);
  await runTool(pgCtl, ['promote', '-w', '-D', join(place.directory, 'data')], {
    ...{ signal: quietly.signal, user: RESTORE_USER },
  });
}

/** The same files with the settings that were restored with them. */
async function startAsProduction(): Promise<void> {
  await stop(place);
  await writeFile(join(place.directory, 'data', 'postgresql.auto.conf'), settings);
  await startServer(place, { serverMajor: MAJOR, log: newLog(place), environment: {} });
  await expect.poll(() => newsIn(copy()).catch(String), WAIT).toMatch(/^\d+$/);
}

/** Production's own worker is away for a while: only then is the publisher's slot free. */
async function withoutSubscriber<T>(work: () => Promise<T>): Promise<T> {
  await recovery.sql('ALTER SUBSCRIPTION news DISABLE');
  const active = () =>
    recovery.value("SELECT active FROM pg_replication_slots WHERE slot_name = 'news'", publisher.access);
  await expect.poll(active, WAIT).toBe('false');
  const result = await work();
  await recovery.sql('ALTER SUBSCRIPTION news ENABLE');
  return result;
}

test('paused, it lets its tables be written as CSV, as a dump and as definitions', async () => {
  const contents: string[] = [];
  const put = async (name: string, content: Readable) => {
    contents.push(await text(content));
    return { place: name, sizeBytes: 0, sha256: '' };
  };
  const tables = ['public.news'];
  const input = { restored: copy(), place, serverMajor: MAJOR, tables, rows: null, put };
  expect(await exportTables({ ...input, format: 'csv' }, quietly)).toMatchObject([{ rows: 10 }]);
  await exportTables({ ...input, format: 'dump' }, quietly);
  expect(contents).toEqual([
    `id\n${Array.from({ length: 10 }, (_, index) => `${index + 1}\n`).join('')}`,
    expect.stringMatching(/^PGDMP/),
  ]);
  const production = recovery.production.access;
  const made = await readDefinition({ production, ...input }, quietly);
  expect(made.before.join()).toContain('CREATE TABLE public.news');
});

test('paused, and promoted by hand: it archives nothing, runs no workers, takes nothing from a publisher', async () => {
  expect(await workers()).toBe(0);
  await promote();
  expect(await recovery.value('SELECT pg_is_in_recovery()', copy())).toBe('false');
  await withoutSubscriber(async () => {
    await publish(11, 20);
    await recovery.sql(
      "SELECT pg_logical_emit_message(true, 'test', 'x'); SELECT pg_switch_wal(); CHECKPOINT",
      copy(),
    );
    await sleep(3_000);
    expect(await newsIn(copy())).toBe('10');
  });
  expect(await workers()).toBe(0);
  expect(await recovery.value('SELECT archived_count + failed_count FROM pg_stat_archiver', copy())).toBe(
    '0',
  );
  expect(await readdir(join(place.directory, 'data', 'pg_wal', 'archive_status'))).not.toContain(
    '00000002.history.ready',
  );
  expect(await ofNewTimeline()).toEqual([]);
  await expect.poll(() => newsIn(), WAIT).toBe('20');
});

test('the same files with the settings of production: all of that happens', async () => {
  await withoutSubscriber(async () => {
    await publish(21, 30);
    const published = await recovery.value('SELECT pg_current_wal_lsn()', publisher.access);
    await startAsProduction();
    await expect.poll(() => taken(copy()), WAIT).toBe('10');
    // What the copy has, the publisher learns some time later.
    const confirmed = () =>
      recovery.value(
        `SELECT confirmed_flush_lsn >= '${published}' FROM pg_replication_slots WHERE slot_name = 'news'`,
        publisher.access,
      );
    await expect.poll(confirmed, WAIT).toBe('true');
    await expect.poll(workers, WAIT).toBe(1);
    // A new timeline in production's archive.
    await recovery.sql('SELECT pg_switch_wal()', copy());
    await expect.poll(ofNewTimeline, WAIT).not.toEqual([]);
    await stop(place);
  });
  await publish(31, 31);
  await expect.poll(() => recovery.value('SELECT max(id) FROM public.news'), WAIT).toBe('31');
  // The slot had moved on with the copy: production never gets these rows.
  expect(await taken(recovery.production.access)).toBe('0');
});

/** How many of the rows that were published while production was away. */
const taken = (access: ServerAccess) =>
  recovery.value('SELECT count(*) FROM public.news WHERE id BETWEEN 21 AND 30', access);

/** Files of a folder with the digest of what is in them. */
async function contentOf(folder: string): Promise<Record<string, string>> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = names.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
  const digests = files.sort().map(async (file) => [
    file,
    createHash('sha256')
      .update(await readFile(file))
      .digest('hex'),
  ]);
  return Object.fromEntries(await Promise.all(digests));
}

test("as a user of its own it can neither read production's files nor write into a tablespace made since", async () => {
  const { sql, production } = recovery;
  const folder = join(recovery.directory, 'production', 'fast disk');
  await mkdir(folder, { mode: 0o700 });
  await runTool('chown', ['postgres:', folder], { signal: quietly.signal });
  await sql(`CREATE TABLESPACE fast LOCATION '${folder}'`);
  await sql(
    'CREATE TABLE public.kept WITH (autovacuum_enabled = off) TABLESPACE fast AS SELECT n, 0 AS changed FROM generate_series(1, 1000) n',
  );
  // What the copy has replayed before a checkpoint it writes to the disk at its own.
  await sql('CHECKPOINT');
  const lsn = await recovery.value("SELECT pg_logical_emit_message(true, 'test', 'target')");
  const last = await recovery.archive();
  await sql('UPDATE public.kept SET changed = 1');
  await sql('CHECKPOINT');
  const before = await contentOf(folder);
  const readControl = `SELECT length(pg_read_binary_file('${join(production.dataDirectory, 'global', 'pg_control')}'))`;

  place = await recovery.provision('tablespace');
  const target = { lsn };
  await expect(recover(recovery, place, backup, target, { lastLog: last })).rejects.toMatchObject({
    type: 'NotSupported',
    message: expect.stringContaining('a tablespace was created after the chosen backup'),
  });
  expect(await contentOf(folder)).toEqual(before);
  await recover(recovery, place, backup, { backup });
  await expect(recovery.value(readControl, copy())).rejects.toThrow(/Permission denied/);
  await stop(place);

  // The user of production itself: the replay writes over production's files, and reads what it likes.
  const directory = join(recovery.directory, 'as-postgres');
  await mkdir(directory, { mode: 0o700 });
  await runTool('chown', ['postgres:', directory], { signal: quietly.signal });
  place = { directory, user: 'postgres' };
  await recover(recovery, place, backup, target, { lastLog: last });
  expect(Number(await recovery.value(readControl, copy()))).toBeGreaterThan(0);
  await sql('CHECKPOINT', copy());
  expect(await contentOf(folder)).not.toEqual(before);
});
