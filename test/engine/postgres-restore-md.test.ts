import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { postgresProgram } from '../../src/engines/postgres/programs.ts';
import { userIds } from '../../src/engines/process.ts';
import { instructionsKey, toolArchiveFolder } from '../../src/repository/layout.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { openMirrored } from './postgres-mirrored.ts';
import { MAJOR, RESTORE_USER, type Recovery, STANZA, startRecovery } from './postgres-recovery-fixture.ts';
import { collect } from './repository/fixture.ts';
import { blocksOf } from './restore-document.ts';

const ROWS = `SELECT md5(string_agg(t::text, '|' ORDER BY i)) FROM public.t t`;

let recovery: Recovery;
let repository: Repository;
let document: string;
let programs: { psql: string; pgCtl: string };
/** checksums of table t at the backup's end, and at the moment */
let atBackup: string;
let atMoment: string;
let moment: string;
const started: string[] = [];

beforeAll(async () => {
  // What production must not hand down to a restored server.
  recovery = await startRecovery({ max_connections: '150', listen_addresses: '127.0.0.1' });
  const { directory, sql, value } = recovery;
  programs = { psql: await postgresProgram('psql', MAJOR), pgCtl: await postgresProgram('pg_ctl', MAJOR) };
  await sql(`ALTER SYSTEM SET shared_preload_libraries = 'auto_explain'`);
  await sql(`ALTER SYSTEM SET archive_mode = 'on'`);
  await sql(`ALTER SYSTEM SET max_worker_processes = 12`);
  const space = join(directory, 'space');
  await mkdir(space, { mode: 0o700 });
  const { uid, gid } = userIds('postgres');
  await chown(space, uid, gid);
  await sql(`CREATE TABLESPACE space LOCATION '${space}'`);
  await sql(
    `CREATE TABLE public.t TABLESPACE space AS SELECT i, md5(i::text) AS m FROM generate_series(1, 5000) i`,
  );
  await recovery.restart();
  atBackup = await value(ROWS);
  const id = await recovery.backup();
  await sql(`INSERT INTO public.t SELECT i, 'later' FROM generate_series(5001, 6000) i`);
  atMoment = await value(ROWS);
  moment = await value('SELECT clock_timestamp()::text');
  await sql('DELETE FROM public.t');
  await recovery.archive();

  repository = await openMirrored(recovery);
  document = (await repository.getText(instructionsKey('shop', 'physical', id))) as string;

  await recovery.production.stop();
  await rename(join(directory, 'production'), join(directory, 'gone'));
  await rename(space, `${space}-gone`);
});

afterAll(async () => {
  for (const restored of started) {
    try {
      asUser([programs.pgCtl, 'stop', '-D', join(restored, 'data'), '-m', 'immediate']);
    } catch {
      // It has not come up, or its test has ended it.
    }
  }
  repository?.close();
  await recovery?.end();
});

/** Runs a program as the user of restores, with nothing in its environment but these. */
function asUser(command: string[], env: Record<string, string> = {}): string {
  const user = [`--reuid=${RESTORE_USER}`, `--regid=${RESTORE_USER}`, '--clear-groups'];
  return execFileSync('setpriv', [...user, ...command], {
    cwd: '/',
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C.UTF-8', ...env },
  });
}

/** Runs the document's blocks in one shell, into a directory of that user's; gives the directory. */
async function follow(name: string, blocks: string[], env: Record<string, string> = {}): Promise<string> {
  const { directory, readOnly } = recovery;
  const home = join(directory, name);
  await mkdir(home);
  await chmod(home, 0o755);
  const script = join(home, 'restore.sh');
  await writeFile(script, blocks.join('\n'));
  const restored = join(home, 'restored');
  await mkdir(restored);
  const { uid, gid } = userIds(RESTORE_USER);
  await chown(restored, uid, gid);
  started.push(restored);
  const { accessKeyId, secretAccessKey, sessionToken } = recovery.s3.restoreCredentials;
  const output = asUser(['sh', script], {
    ...{ PGBACKREST_REPO1_S3_KEY: accessKeyId, PGBACKREST_REPO1_S3_KEY_SECRET: secretAccessKey },
    ...(sessionToken === null ? {} : { PGBACKREST_REPO1_S3_TOKEN: sessionToken }),
    PGBACKREST_REPO1_CIPHER_PASS: readOnly.cipher ?? '',
    RESTORED: restored,
    ...env,
  });
  expect(output).toMatch(/^ shop +\| postgres/m);
  return restored;
}

function ask(restored: string, query: string): string {
  const options = ['--no-psqlrc', '--tuples-only', '--no-align', '--username=postgres', '--dbname=shop'];
  return asUser([programs.psql, ...options, `--host=${restored}`, `--command=${query}`]).trim();
}

/** It is a server of its own: whatever it writes stays with it. */
async function expectIsolated(restored: string): Promise<void> {
  const archived = async () => (await collect(repository.list(toolArchiveFolder(STANZA)))).length;
  const before = await archived();
  expect(before).toBeGreaterThan(0);
  expect(ask(restored, 'CREATE TABLE public.written AS SELECT 1')).toBe('SELECT 1');
  ask(restored, 'SELECT pg_switch_wal()');
  ask(restored, 'CHECKPOINT');
  expect(await archived()).toBe(before);
  const settings = ['archive_mode', 'listen_addresses', 'shared_preload_libraries', 'primary_conninfo'];
  expect(settings.map((name) => ask(restored, `SELECT current_setting('${name}')`))).toEqual([
    'off',
    '',
    '',
    '',
  ]);
  expect(
    ask(restored, `SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'space'`),
  ).toMatch(new RegExp(`^${restored}/`));
  expect(await readFile(join(restored, 'data', 'postgresql.auto.conf'), 'utf8')).not.toContain(
    'auto_explain',
  );
}

it('restores by its own commands, as another user, with production gone', async () => {
  const restored = await follow('by-hand', blocksOf(document));
  expect(ask(restored, 'SELECT pg_is_in_recovery()')).toBe('f');
  expect(ask(restored, ROWS)).toBe(atBackup);
  await expectIsolated(restored);
});

it('restores to a moment by its other command', async () => {
  const [access, , ...rest] = blocksOf(document) as [string, string, ...string[]];
  const other = blocksOf(document, 'sh-other');
  expect(other).toHaveLength(1);
  const restored = await follow('to-a-moment', [access, ...other, ...rest], { RECOVER_TO: moment });
  expect(ask(restored, ROWS)).toBe(atMoment);
  await expectIsolated(restored);
});

it('stops at once, and names it, where a variable is not set', async () => {
  await expect(follow('nothing-set', blocksOf(document), { RESTORED: '' })).rejects.toThrow(
    /RESTORED: an empty directory/,
  );
});
