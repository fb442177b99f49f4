import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientBase } from 'pg';
import { type RunningPostgres, startPostgres } from '../../src/client/dev/postgres.ts';
import { type S3Server, startS3 } from '../../src/client/dev/s3.ts';
import type { ToolRepository } from '../../src/engines/contract/backup.ts';
import type { InstancePlace, ReplayArchivedInput } from '../../src/engines/contract/restore.ts';
import { withConnection } from '../../src/engines/postgres/connection.ts';
import { runPgbackrest } from '../../src/engines/postgres/pgbackrest.ts';
import { replay } from '../../src/engines/postgres/replay.ts';
import { restore } from '../../src/engines/postgres/restore.ts';
import { stop } from '../../src/engines/postgres/server.ts';
import type { InstanceRecord, InstanceStore } from '../../src/instances/instance.ts';
import { localInstances } from '../../src/instances/local.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import type { Run } from '../../src/model/progress.ts';
import type { Target } from '../../src/model/target.ts';

export const MAJOR = 15;
export const STANZA = 'shop';
export const RESTORE_USER = 'holdfast-restore';

export const quietly: Run = { signal: new AbortController().signal, progress: () => {} };

/** A production server with its repository, and a site for what is restored from it. */
export interface Recovery {
  directory: string;
  s3: S3Server;
  production: RunningPostgres;
  /** as the database's own host uses it */
  repository: ToolRepository;
  /** may only read */
  readOnly: ToolRepository;
  sql: <T extends object>(text: string, access?: ServerAccess) => Promise<T[]>;
  value: (text: string, access?: ServerAccess) => Promise<string>;
  /** takes a backup, a full one unless another kind is asked for; gives its name */
  backup: (kind?: 'full' | 'diff') => Promise<string>;
  /** closes the current log and waits until it is archived; gives its name */
  archive: () => Promise<string>;
  restart: () => Promise<void>;
  site: InstanceStore;
  provision: (id: string) => Promise<InstanceRecord>;
  remove: (id: string) => Promise<void>;
  end: () => Promise<void>;
}

export async function startRecovery(settings: Record<string, string> = {}, major = MAJOR): Promise<Recovery> {
  ensureUser(RESTORE_USER);
  const directory = await mkdtemp(join(tmpdir(), 'hf-recovery-'));
  await chmod(directory, 0o755);
  const s3 = await startS3({
    directory: join(directory, 's3'),
    port: 0,
    region: 'eu-west-1',
    bucket: 'backups',
  });
  // The certificate has to be read by the other users.
  await chmod(join(directory, 's3'), 0o755);
  const repository: ToolRepository = {
    endpoint: new URL(s3.endpoint).host,
    region: s3.region,
    bucket: s3.bucket,
    path: 'pgbackrest',
    pathStyle: true,
    caFile: s3.caFile,
    credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey, sessionToken: null },
    kmsKeyId: null,
    cipher: 'a passphrase of the tests',
  };
  const options = {
    directory: join(directory, 'production'),
    port: 0,
    major,
    systemUser: 'postgres',
    archive: { repository, stanza: STANZA },
    password: 'secret-of-production',
    database: 'shop',
    extensions: ['amcheck'],
    settings: { max_wal_size: '1GB', ...settings },
  };
  let production = await startPostgres(options);
  const site = localInstances({
    site: 'local',
    host: 'here',
    directory: join(directory, 'site'),
    user: RESTORE_USER,
    reserveBytes: 0,
    production: join(directory, 'took-over'),
  });
  const sql = <T extends object>(text: string, access = production.access): Promise<T[]> =>
    withConnection(access, { ...quietly, applicationName: 'test' }, async (client: ClientBase) => {
      const result = await client.query<T>(text);
      return result.rows;
    });
  const value = async (text: string, access = production.access): Promise<string> =>
    String(Object.values((await sql<Record<string, unknown>>(text, access))[0] ?? {})[0]);
  const remove = async (id: string): Promise<void> => {
    await site.remove(id, { stop: (record) => stop(record) });
  };

  return {
    directory,
    s3,
    get production() {
      return production;
    },
    repository,
    readOnly: { ...repository, credentials: s3.restoreCredentials },
    sql,
    value,
    backup: async (kind = 'full') => {
      const lockDirectory = join(options.directory, 'pgbackrest', 'lock');
      const common = { repository, stanza: STANZA, signal: quietly.signal, user: 'postgres', lockDirectory };
      const env = {
        PGBACKREST_PG1_PATH: production.dataDirectory,
        PGBACKREST_PG1_PORT: String(production.access.port),
        PGBACKREST_PG1_SOCKET_PATH: production.socketDirectory,
        PGBACKREST_PG1_USER: 'postgres',
        PGBACKREST_START_FAST: 'y',
        PGBACKREST_ARCHIVE_COPY: 'y',
        PGBACKREST_COMPRESS_TYPE: 'zst',
        // One object for the many small files: a restore in half the time.
        PGBACKREST_REPO1_BUNDLE: 'y',
        PGBACKREST_REPO1_RETENTION_FULL: '9',
      };
      await runPgbackrest('backup', [`--type=${kind}`], { ...common, env });
      const { stdout } = await runPgbackrest('info', ['--output=json'], { ...common, stdout: 'text' });
      const info = JSON.parse(stdout) as { backup: { label: string }[] }[];
      return info[0]?.backup.at(-1)?.label as string;
    },
    archive: async () => {
      const log = await value("SELECT pg_walfile_name(pg_logical_emit_message(true, 'test', 'x'))");
      await sql('SELECT pg_switch_wal()');
      while ((await value(`SELECT last_archived_wal >= '${log}' FROM pg_stat_archiver`)) !== 'true')
        await sleep(50);
      return log;
    },
    restart: async () => {
      await production.stop();
      production = await startPostgres(options);
    },
    site,
    provision: (id) =>
      site.provision({
        id,
        database: 'shop',
        engine: 'postgres',
        owner: { workflowId: 'pitr/shop/test', runId: 'r' },
        expiresAt: '2099-01-01T00:00:00Z',
      }),
    remove,
    end: async () => {
      for (const { id } of await site.list()) await remove(id);
      await production.stop();
      await s3.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export function restoreInput(recovery: Recovery, place: InstancePlace, backup: string) {
  return {
    place,
    repository: recovery.readOnly,
    stanza: STANZA,
    backup,
    serverMajor: MAJOR,
    databases: null,
  };
}

export function replayInput(
  recovery: Recovery,
  place: InstancePlace,
  target: Target,
  change: Partial<ReplayArchivedInput> = {},
): ReplayArchivedInput {
  return {
    place,
    repository: recovery.readOnly,
    stanza: STANZA,
    serverMajor: MAJOR,
    target,
    timeline: 1,
    consistentAt: '2000-01-01T00:00:00Z',
    lastLog: null,
    user: 'postgres',
    database: 'shop',
    ...change,
  };
}

/** Restores and replays at a place. */
export async function recover(
  recovery: Recovery,
  place: InstancePlace,
  backup: string,
  target: Target,
  change: Partial<ReplayArchivedInput> = {},
) {
  await restore(restoreInput(recovery, place, backup), quietly);
  return replay(replayInput(recovery, place, target, change), quietly);
}

function ensureUser(name: string): void {
  try {
    execFileSync('id', ['-u', name], { stdio: 'ignore' });
  } catch {
    execFileSync('useradd', ['--system', '--no-create-home', '--shell', '/usr/sbin/nologin', name]);
  }
}
