import { execFileSync } from 'node:child_process';
import { chown, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../src/client/dev/ports.ts';
import { stopPostgres } from '../../src/client/dev/postgres.ts';
import { postgresProgram } from '../../src/engines/postgres/programs.ts';
import { userIds } from '../../src/engines/process.ts';
import { topologySchema } from '../../src/model/topology.ts';
import { readCatalog } from '../../src/repository/catalog.ts';
import { toolArchiveFolder } from '../../src/repository/layout.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { openMirrored } from './postgres-mirrored.ts';
import { MAJOR, type Recovery, STANZA, startRecovery } from './postgres-recovery-fixture.ts';
import { collect } from './repository/fixture.ts';
import { blocksOf } from './restore-document.ts';

const AWS = fileURLToPath(new URL('./postgres-aws.ts', import.meta.url));
const ROWS = `SELECT md5(string_agg(t::text, '|' ORDER BY i)) FROM public.t t`;
/** who the new server runs as */
const USER = 'postgres';

let recovery: Recovery;
let repository: Repository;
let page: string;
let psql: string;
/** checksum of table t at the last commit that was archived */
let atLast: string;
let systemIdentifier: string;
let folder: string;
let restored: string;
let port: string;

beforeAll(async () => {
  recovery = await startRecovery();
  const { directory, sql, value } = recovery;
  psql = await postgresProgram('psql', MAJOR);
  page = await readFile(new URL('../../docs/break-glass.md', import.meta.url), 'utf8');
  await sql(`CREATE TABLE public.t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 5000) i`);
  await sql(`CREATE ROLE app LOGIN PASSWORD 'of the application'; GRANT ALL ON public.t TO app`);
  await recovery.backup();
  await recovery.backup();
  await sql(`INSERT INTO public.t SELECT i, 'later' FROM generate_series(5001, 6000) i`);
  atLast = await value(ROWS);
  systemIdentifier = await value('SELECT system_identifier FROM pg_control_system()');
  await recovery.archive();
  await sql(`INSERT INTO public.t VALUES (6001, 'in no archived log')`);
  repository = await openMirrored(recovery);

  // The region is gone, the log that nobody archived with it.
  const { pid, dataDirectory } = recovery.production;
  process.kill(pid, 'SIGQUIT');
  await stopPostgres({ dataDirectory, major: MAJOR, systemUser: 'postgres' });
  await rename(join(directory, 'production'), join(directory, 'gone'));
  folder = join(directory, 'by-hand');
  restored = join(folder, 'shop');
  await mkdir(restored, { recursive: true });
  const { uid, gid } = userIds(USER);
  await chown(restored, uid, gid);
});

afterAll(async () => {
  if (restored !== undefined)
    await stopPostgres({ dataDirectory: join(restored, 'data'), major: MAJOR, systemUser: USER });
  repository?.close();
  await recovery?.end();
});

/** Runs blocks in one shell in the folder, with nothing in its environment but these and what the page asks for. */
async function follow(name: string, blocks: string[], env: Record<string, string>, user: string[] = []) {
  const script = join(folder, `${name}.sh`);
  await writeFile(script, blocks.join('\n'));
  const [program = '', ...rest] = [...user, 'sh', script];
  return execFileSync(program, rest, {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C.UTF-8', ...env },
  });
}

/** The page's own blocks: with an S3 client, on any machine. */
const withS3 = (name: string, blocks: string[], env: Record<string, string> = {}) =>
  follow(name, [`aws() { ${process.execPath} ${AWS} "$@"; }`, ...blocks], {
    ...{ NODE_EXTRA_CA_CERTS: recovery.s3.caFile, AWS_ENDPOINT_URL: recovery.s3.endpoint },
    ...{ AWS_ACCESS_KEY_ID: recovery.s3.accessKeyId, AWS_SECRET_ACCESS_KEY: recovery.s3.secretAccessKey },
    ...{ AWS_DEFAULT_REGION: recovery.s3.region, BUCKET: recovery.s3.bucket, DATABASE: 'shop' },
    ...env,
  });

const asUser = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'];

function ask(query: string, ...options: string[]): string {
  const all = ['--no-psqlrc', '--tuples-only', '--no-align', '--dbname=shop', ...options];
  const [program = '', ...rest] = [...asUser, psql, ...all, `--command=${query}`];
  return execFileSync(program, rest, {
    ...{ cwd: '/', encoding: 'utf8' },
    env: { PATH: '/usr/bin:/bin', PGPASSWORD: 'of the application' },
  }).trim();
}

it('ends with a new production server that has the rows and archives into a stanza of its own', async () => {
  const [fetch = '', topology = '', publish = ''] = blocksOf(page);
  await withS3('fetch', [fetch]);
  const document = await readFile(join(folder, 'RESTORE.md'), 'utf8');
  port = String(await freePort());
  const [access = '', , start = ''] = blocksOf(document);
  const [latest = ''] = blocksOf(document, 'sh-latest');
  const production = blocksOf(document, 'sh-production');
  expect(production).toHaveLength(3);
  const before = await keysOf(STANZA);
  expect(before.length).toBeGreaterThan(3);
  const output = await follow(
    'restore',
    [access, latest, start, ...production, topology],
    {
      PGBACKREST_REPO1_S3_KEY: recovery.s3.accessKeyId,
      PGBACKREST_REPO1_S3_KEY_SECRET: recovery.s3.secretAccessKey,
      PGBACKREST_REPO1_CIPHER_PASS: recovery.repository.cipher ?? '',
      ...{ RESTORED: restored, LISTEN: '127.0.0.1', PORT: port },
      ...{ SITE: 'second', HOST: 'second', OLD_HOST: 'db1', OLD_ADDRESS: '10.0.0.1', OLD_PORT: '5432' },
    },
    asUser,
  );
  expect(output).toContain('00000002');

  // The rows up to the last archived commit, for a client that logs in over the network, and they can be written to.
  const client = ['--host=127.0.0.1', `--port=${port}`, '--username=app'];
  expect(ask(ROWS, ...client)).toBe(atLast);
  expect(ask(`INSERT INTO public.t VALUES (7000, 'new')`, ...client)).toBe('INSERT 0 1');
  const server = [`--host=${restored}`, `--port=${port}`, '--username=postgres'];
  const settings = ['fsync', 'full_page_writes', 'archive_mode', 'restore_command', 'primary_conninfo'];
  expect(settings.map((name) => ask(`SELECT current_setting('${name}')`, ...server))).toEqual([
    ...['on', 'on', 'on', '', ''],
  ]);
  expect(ask('SELECT failed_count FROM pg_stat_archiver', ...server)).toBe('0');
  expect((await stat(join(restored, 'pgbackrest.conf'))).mode & 0o777).toBe(0o600);

  // It archives into its own stanza, and has a full backup there; the old one is as it was.
  await withS3('publish', [fetch, publish], { RESTORED: restored });
  const told = topologySchema.parse(await repository.getJson('topology/shop.json'));
  expect(told).toMatchObject({
    ...{ database: 'shop', site: 'second', systemUser: USER, systemIdentifier },
    ...{ timeline: 2, address: { host: '127.0.0.1', port: Number(port) }, dataDirectory: `${restored}/data` },
    former: [{ stanza: STANZA, host: 'db1', timeline: 1, address: { host: '10.0.0.1', port: 5432 } }],
  });
  expect(told.stanza).toMatch(/^shop-\d{8}t\d{6}z$/);
  expect(await keysOf(STANZA)).toEqual(before);
  const archived = await collect(repository.list(toolArchiveFolder(told.stanza)));
  expect(archived.some(({ key }) => /\/00000002[0-9A-F]{16}-/.test(key))).toBe(true);
  expect(archived.some(({ key }) => key.endsWith('/00000002.history'))).toBe(true);

  // Given back to Holdfast, old and new backups are one history.
  const adopted = await openMirrored(recovery, [told]);
  const catalog = await readCatalog(adopted, 'shop', { ...told, now: new Date() });
  adopted.close();
  expect(catalog.backups).toHaveLength(3);
  expect(catalog.gaps).toEqual([]);
  expect(Date.parse(catalog.backups[0]?.finishedAt ?? '')).toBeGreaterThan(Date.parse(told.at));
});

it('comes up again from its files alone, as after a reboot', () => {
  const pgCtl = join(psql, '..', 'pg_ctl');
  const [program = '', ...rest] = [...asUser, pgCtl];
  const run = (...args: string[]) =>
    execFileSync(program, [...rest, ...args, '-D', join(restored, 'data')], {
      ...{ cwd: '/', stdio: 'ignore' },
      env: { PATH: '/usr/bin:/bin' },
    });
  run('stop', '-m', 'fast');
  run('start', '-w', '-l', join(restored, 'log', 'server.log'));
  const server = [`--host=${restored}`, `--port=${port}`, '--username=postgres'];
  const log = ask('SELECT pg_walfile_name(pg_switch_wal())', ...server);
  const arrived = `DO $$ BEGIN FOR i IN 1..600 LOOP PERFORM pg_stat_clear_snapshot(); EXIT WHEN (SELECT last_archived_wal >= '${log}' FROM pg_stat_archiver); PERFORM pg_sleep(0.05); END LOOP; END $$`;
  ask(arrived, ...server);
  expect(ask(`SELECT last_archived_wal >= '${log}' FROM pg_stat_archiver`, ...server)).toBe('t');
});

/** Everything of a stanza in the repository, in its versions. */
async function keysOf(stanza: string): Promise<string[]> {
  const folders = [toolArchiveFolder(stanza), `pgbackrest/backup/${stanza}/`];
  const versions = await Promise.all(folders.map((each) => collect(repository.versions(each))));
  return versions.flat().map(({ key, versionId }) => `${key} ${versionId}`);
}
