import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createProtectionActivities } from '../../src/activities/protection.ts';
import { type FindResult, findAccident } from '../../src/client/find.ts';
import { restoreCommandOf } from '../../src/client/view/find.ts';
import { describeDatabase } from '../../src/config/describe.ts';
import type { LoadedConfig } from '../../src/config/load.ts';
import type { Candidate } from '../../src/engines/contract/read.ts';
import { withConnection } from '../../src/engines/postgres/connection.ts';
import { closeLog } from '../../src/engines/postgres/log.ts';
import { postgresProgram } from '../../src/engines/postgres/programs.ts';
import { runTool } from '../../src/engines/process.ts';
import type { Evidence } from '../../src/model/evidence.ts';
import { writeEvidence } from '../../src/repository/evidence.ts';
import { writeHeartbeat } from '../../src/repository/heartbeats.ts';
import { toolArchiveFolder } from '../../src/repository/layout.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import { haveAccidents, TABLES } from './postgres-find-accidents.ts';
import {
  MAJOR,
  quietly,
  type Recovery,
  recover,
  STANZA,
  startRecovery,
} from './postgres-recovery-fixture.ts';
import { shopOf } from './postgres-shop.ts';
import { collect } from './repository/fixture.ts';

const HOLDFAST = fileURLToPath(new URL('../../bin/holdfast', import.meta.url));

let recovery: Recovery;
let repository: Repository;
let loaded: LoadedConfig;
let backup: string;
let since: Date;
/** the transactions of the accidents, by name */
let xids: Record<string, string>;

/** One transaction; gives its id. */
async function transaction(...statements: string[]): Promise<string> {
  const session = { ...quietly, applicationName: 'test' };
  return withConnection(recovery.production.access, session, async (client) => {
    await client.query('BEGIN');
    const { rows } = await client.query<{ xid: string }>('SELECT pg_current_xact_id()::xid::text AS xid');
    for (const statement of statements) await client.query(statement);
    await client.query('COMMIT');
    return rows[0]?.xid as string;
  });
}

/** Closes the log, waits until it is archived, and leaves the heartbeat that the watcher would. */
async function archive(): Promise<void> {
  const closed = await closeLog(recovery.production.access, quietly);
  while (
    (await recovery.value(`SELECT last_archived_wal >= '${closed.log}' FROM pg_stat_archiver`)) !== 'true'
  )
    await sleep(50);
  await writeHeartbeat(repository, 'shop', closed);
}

/** The same configuration, where production does not answer. */
function withoutProduction(): LoadedConfig {
  const gone: LoadedConfig = structuredClone({ ...loaded });
  const shop = gone.config.databases.shop as (typeof gone.config.databases)[string];
  shop.connection.port = 1;
  return gone;
}

const find = (
  table: string,
  change: { since?: Date; until?: Date; minRows?: number } = {},
  config: LoadedConfig = loaded,
) =>
  findAccident(
    config,
    describeDatabase(config.config, 'shop'),
    { table, since, until: new Date(), limit: 20, minRows: 1, ...change },
    quietly,
  );
const seen = ({ candidates }: FindResult) =>
  candidates.map(({ xid, deleted, updated, whole }) => [xid, deleted, updated, whole]);

beforeAll(async () => {
  recovery = await startRecovery();
  const shop = await shopOf(recovery);
  loaded = shop.loaded;
  repository = await openRepository(loaded.config.repository, {
    use: 'backup',
    baseDirectory: loaded.directory,
  });
  const { sql } = recovery;
  await sql(TABLES);
  const { takePhysicalBackup } = createProtectionActivities(shop.deps);
  const input = { database: 'shop', kind: 'full' as const, madeBy: { workflowId: 'w', runId: 'r' } };
  backup = ((await new MockActivityEnvironment().run(takePhysicalBackup, input)) as { id: string }).id;
  // Rewritten between the backup and what is searched: the files have to be followed from the backup on.
  await sql('VACUUM FULL public."Odd ""Name"');
  await archive();
  since = new Date();

  xids = await haveAccidents(sql, transaction);
  await archive();
});

afterAll(async () => {
  repository?.close();
  await recovery?.end();
});

it('tells deleted and updated rows of each transaction, without what was rolled back, past a rewrite', async () => {
  const found = await find('orders');
  const rewritten = found.candidates.find(({ whole }) => whole === 'rewritten');
  expect(seen(found)).toEqual([
    [xids.deleted, 500, 0, null],
    [xids.updated, 0, 300, null],
    [xids.nested, 40, 0, null],
    [rewritten?.xid, 0, 0, 'rewritten'],
    [xids.after, 7, 0, null],
  ]);
  expect(found).toMatchObject({ table: 'public.orders', likeliest: { xid: xids.deleted } });
  const [first] = found.candidates;
  expect(first).toMatchObject({ target: { lsn: first?.lsn, exclusive: true }, timeline: 1 });
  expect(Math.abs(Date.parse(first?.at ?? '') - since.getTime())).toBeLessThan(30_000);
  expect(found.notices).toEqual([expect.stringMatching(/newest archived log is .* still open/)]);
  expect(seen(await find('public.orders', { minRows: 301 }))).toEqual([
    [xids.deleted, 500, 0, null],
    [rewritten?.xid, 0, 0, 'rewritten'],
  ]);
  expect(seen(await find('public.orders', { until: since, since: new Date(since.getTime() - 500) }))).toEqual(
    [],
  );
});

it('says which transaction is an import or undo of Holdfast, and takes another one for the accident', async () => {
  const [startedAt, writtenAt] = [since.toISOString(), new Date().toISOString()];
  const key = await writeEvidence(repository, {
    ...{ workflowId: 'undo/shop/1', imported: { transaction: xids.deleted }, writtenAt },
    status: { database: 'shop', steps: [{ startedAt }] },
  } as unknown as Evidence);
  const { candidates, likeliest } = await find('public.orders');
  await repository.remove(key);
  expect(candidates.filter(({ by }) => by !== undefined)).toMatchObject([
    { xid: xids.deleted, by: 'undo/shop/1' },
  ]);
  expect(likeliest?.xid).toBe(xids.updated);
});

it('tells a truncate from a delete of everything, and a drop of a table that was rewritten before', async () => {
  expect(seen(await find('public.lines'))).toEqual([
    [xids.truncated, 0, 0, 'truncated'],
    [xids.emptied, 1, 0, null],
  ]);
  const dropped = await find('public."Odd ""Name"');
  expect(seen(dropped)).toEqual([
    [xids.few, 1, 0, null],
    [xids.dropped, 0, 0, 'dropped'],
  ]);
  expect(dropped.likeliest?.xid).toBe(xids.dropped);
  await expect(find('public.oders')).rejects.toMatchObject({
    type: 'UnknownTable',
    hint: expect.stringContaining('public.orders'),
  });
});

it('counts a partitioned table over all its leaves', async () => {
  const found = await find('public.events');
  expect(seen(found)).toEqual([
    [xids.events, 10, 0, null],
    [xids.moved, 0, 1, null],
    [xids.leaf, 0, 0, 'dropped'],
  ]);
  // An old partition that goes is no accident by itself.
  expect(found.candidates.at(-1)?.partitions).toEqual({ touched: 1, all: 2 });
  expect(found.likeliest?.xid).toBe(xids.events);
  const leaf = await find('public.events_b');
  expect(leaf.likeliest).toMatchObject({ xid: xids.leaf, whole: 'dropped', partitions: null });
});

it('counts what a transaction took after it had rewritten the table, and not the copy itself', async () => {
  // Production would tell the new file; the log has to, for one that is gone since.
  const found = await find('public.kept', {}, withoutProduction());
  expect(seen(found)).toEqual([[xids.rewrote, 30, 5, 'rewritten']]);
  expect(found.candidates[0]?.inserted).toBe(0);
  expect(found.likeliest?.xid).toBe(xids.rewrote);
  expect((await find('public.kept')).candidates).toEqual(found.candidates);
});

it('finds the truncate of a table that is newer than the newest backup', async () => {
  const found = await find('public.young');
  expect(seen(found)).toEqual([[xids.young, 0, 0, 'truncated']]);
  expect(found.notices.join('\n')).toMatch(/where the table lay before .* is not known/);
});

it('the printed target replayed gives the rows back', async () => {
  const found = await find('public.orders');
  if (found.likeliest === null) throw new Error('nothing found');
  const command = restoreCommandOf(found, found.likeliest, []);
  expect(command).toBe(
    `holdfast restore pitr shop --lsn ${found.likeliest.lsn} --exclusive --table public.orders --reason 'transaction ${xids.deleted} deleted 500 rows of public.orders'`,
  );
  const place = await recovery.provision('found');
  const { access } = await recover(recovery, place, backup, found.likeliest.target);
  expect(await recovery.value('SELECT count(*) FROM public.orders', access)).toBe('2000');
  await recovery.remove('found');
});

it('stops between two transactions that committed right after each other', async () => {
  const updated = (await find('public.orders')).candidates.find(({ xid }) => xid === xids.updated);
  if (updated === undefined) throw new Error('nothing found');
  const place = await recovery.provision('between');
  const { access } = await recover(recovery, place, backup, updated.target);
  const state = `SELECT count(*) || ' ' || count(*) FILTER (WHERE note = 'gone') FROM public.orders`;
  expect(await recovery.value(state, access)).toBe('1500 0');
  await recovery.remove('between');
});

it.each([
  ['truncated', 'public.lines', '100'],
  ['dropped', 'public."Odd ""Name"', '3'],
])('a copy of just before a table was %s can be read', async (what, table, rows) => {
  const { likeliest } = await find(table);
  expect(likeliest).toMatchObject({ xid: xids[what], whole: what, target: { exclusive: true } });
  if (likeliest === null) throw new Error('nothing found');
  const place = await recovery.provision(what);
  const { access } = await recover(recovery, place, backup, likeliest.target);
  expect(await recovery.value(`SELECT count(*) FROM ${table}`, access)).toBe(rows);
  await recovery.remove(what);
});

it('the command prints the same for people and for programs, and progress on stderr', async () => {
  const file = join(loaded.directory, 'find.yaml');
  // JSON is YAML.
  await writeFile(file, JSON.stringify(loaded.config));
  const given = ['find', 'shop', '--table', 'public.lines', '--since', since.toISOString(), '--config', file];
  const text = await promisify(execFile)(HOLDFAST, given);
  expect(text.stdout).toMatch(new RegExp(`Z +${xids.truncated} +0/[0-9A-F]+ +0 +0 +truncated`));
  const lockedAt = /--lsn (\S+)/.exec(text.stdout)?.[1];
  expect(text.stdout.trim().split('\n').at(-1)).toBe(
    `holdfast restore pitr shop --lsn ${lockedAt} --exclusive --table public.lines --reason 'transaction ${xids.truncated} truncated public.lines' --config ${file}`,
  );
  expect(text.stderr).toMatch(/searching the log/);
  const json = await promisify(execFile)(HOLDFAST, [...given, '--output', 'json']);
  const answer = JSON.parse(json.stdout) as Omit<FindResult, 'candidates'> & {
    command: string;
    candidates: (Candidate & { command: string })[];
  };
  expect(answer).toMatchObject({ database: 'shop', table: 'public.lines', searched: { logs: 4 } });
  expect(answer.candidates[0]).toMatchObject({ xid: xids.truncated, whole: 'truncated' });
  expect(answer.candidates.map(({ command }) => /--lsn (\S+) --exclusive/.exec(command)?.[1])).toEqual(
    answer.candidates.map(({ target }) => ('lsn' in target ? target.lsn : null)),
  );
  const wrong = promisify(execFile)(HOLDFAST, [...given, '--until', '2026-01-31T14:00:00']);
  await expect(wrong).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('HINT: ') });
});

const folders = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('holdfast-find-'));

it('reads over the border of what lies on the disk at a time, and leaves nothing there', async () => {
  const begin = new Date();
  const ended = execFile('true');
  await once(ended, 'close');
  const orphan = join(tmpdir(), `holdfast-find-${ended.pid}-x`);
  await mkdir(orphan);
  await writeFile(join(orphan, '000000010000000000000001'), 'rows');
  const before = (await folders()).filter((name) => join(tmpdir(), name) !== orphan);
  await recovery.sql(`INSERT INTO public.big SELECT i, repeat('x', 100) FROM generate_series(1, 700000) i`);
  const xid = await transaction('DELETE FROM public.big');
  await archive();
  const found = await find('public.big', { since: begin });
  expect(found.searched.logs).toBeGreaterThan(8);
  expect(seen(found)).toEqual([[xid, 700_000, 0, null]]);
  expect(await folders()).toEqual(before);
});

it('leaves nothing when the terminal is closed, however often', async () => {
  const file = join(loaded.directory, 'find.yaml');
  await writeFile(file, JSON.stringify(loaded.config));
  const child = spawn(
    HOLDFAST,
    ['find', 'shop', '--table', 'public.big', '--since', since.toISOString(), '--config', file],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const before = await folders();
  const closed = once(child, 'close');
  let said = '';
  let interrupted = false;
  for await (const piece of child.stderr) {
    said += String(piece);
    if (!said.includes('searching the log') || interrupted) continue;
    interrupted = child.kill('SIGHUP') && child.kill('SIGHUP');
  }
  const [code, signal] = await closed;
  expect([code, signal, said]).toEqual([1, null, expect.stringContaining('interrupted')]);
  expect(await folders()).toEqual(before);
});

it('without production, what backups know is enough; a missing log is said', async () => {
  const found = await find('public.lines', {}, withoutProduction());
  expect(seen(found)[0]).toEqual([xids.truncated, 0, 0, 'truncated']);
  expect(found.notices.join('\n')).toContain('production could not be asked where the table lies now');

  const logs = (await collect(repository.list(toolArchiveFolder(STANZA))))
    .map(({ key }) => key)
    .filter((key) => /[0-9A-F]{24}-[0-9a-f]{40}/.test(key));
  const missing = logs.at(-4) as string;
  await repository.remove(missing);
  const holed = await find('public.lines');
  expect(holed.notices.join('\n')).toMatch(/1 logs are missing, ([0-9A-F]{24}) to \1/);
  expect(seen(holed)[0]).toEqual([xids.truncated, 0, 0, 'truncated']);
});

it('goes on over a promotion, and what came before it can still be reached', async () => {
  const { dataDirectory, stop } = recovery.production;
  await stop();
  await writeFile(join(dataDirectory, 'standby.signal'), '');
  const log = join(recovery.directory, 'production', 'server.log');
  const start = ['start', '-D', dataDirectory, '-l', log, '-w'];
  await runTool(await postgresProgram('pg_ctl', MAJOR), start, { ...quietly, user: 'postgres' });
  expect(await recovery.value('SELECT pg_promote()')).toBe('true');
  const xid = await transaction('DELETE FROM public.orders WHERE id BETWEEN 800 AND 802');
  await archive();
  const found = await find('public.orders');
  const told = found.candidates.map((one) => [one.xid, one.timeline, one.deleted]);
  expect(told[0]).toEqual([xids.deleted, 1, 500]);
  expect(told.at(-1)).toEqual([xid, 2, 3]);
  expect(new Set(told.map(([one]) => one)).size).toBe(told.length);

  const nested = found.candidates.find((one) => one.xid === xids.nested);
  if (nested === undefined) throw new Error('nothing found');
  const place = await recovery.provision('promoted');
  const { access } = await recover(recovery, place, backup, nested.target, { timeline: 2 });
  expect(await recovery.value('SELECT count(*) FROM public.orders', access)).toBe('1500');
  await recovery.remove('promoted');
});
