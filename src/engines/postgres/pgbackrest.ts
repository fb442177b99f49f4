import { createHash } from 'node:crypto';
import { chown, mkdir } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { HoldfastError } from '../../model/failure.ts';
import type { ToolRepository } from '../engine.ts';
import { runTool, type ToolResult, userIds } from '../process.ts';

export interface PgbackrestRun {
  repository: ToolRepository;
  stanza: string;
  signal: AbortSignal;
  /** operating-system user to run as; null: the worker's own */
  user: string | null;
  /** further `PGBACKREST_*` or libpq variables, for instance where the server is */
  env?: Record<string, string>;
  /** `text` gives the whole output, for `info`; default `lines` */
  stdout?: 'lines' | 'text';
  /** each line of the log, without its time stamp: `P01 DETAIL: backup file …` */
  onLine?: (line: string) => void;
  /** where lock files lie; default: one folder per user and repository below the system's temporary folder */
  lockDirectory?: string;
}

/**
 * Runs a pgBackRest command without any configuration file. The repository, with its secrets, goes through the
 * environment, so nothing of it is in argv. Throws what {@link pgbackrestFailure} makes of the tool's exit code.
 */
export async function runPgbackrest(
  command: string,
  args: readonly string[],
  run: PgbackrestRun,
): Promise<ToolResult> {
  const text = run.stdout === 'text';
  return runTool('pgbackrest', ['--no-config', ...args, command], {
    signal: run.signal,
    user: run.user,
    stdout: run.stdout ?? 'lines',
    onLine: (line) => run.onLine?.(line.replace(/^\S+ \S+ (?=P\d\d )/, '')),
    // Locals of pgBackRest finish the file they are at.
    killDelayMs: 10_000,
    env: {
      ...repositoryEnvironment(run.repository),
      PGBACKREST_STANZA: run.stanza,
      PGBACKREST_LOCK_PATH: run.lockDirectory ?? (await lockDirectory(run.user, run.repository)),
      PGBACKREST_LOG_LEVEL_FILE: 'off',
      PGBACKREST_LOG_LEVEL_STDERR: text ? 'error' : 'off',
      PGBACKREST_LOG_LEVEL_CONSOLE: text ? 'off' : 'detail',
      ...run.env,
    },
    classify: (failure) => pgbackrestFailure(command, run, failure),
  });
}

/** A repository as pgBackRest's environment variables. */
export function repositoryEnvironment(repository: ToolRepository): Record<string, string> {
  return Object.fromEntries(
    repositoryOptions(repository).map(([name, value]) => [
      `PGBACKREST_${name.toUpperCase().replaceAll('-', '_')}`,
      value,
    ]),
  );
}

/** A repository as pgBackRest's options, `repo1-…`; the secrets are among them. */
function repositoryOptions(repository: ToolRepository): [string, string][] {
  const { endpoint, region, bucket, path, pathStyle, caFile, credentials, kmsKeyId, cipher } = repository;
  const options: [string, string | null][] = [
    ['repo1-type', 's3'],
    ['repo1-path', `/${path}`],
    ['repo1-s3-bucket', bucket],
    ['repo1-s3-region', region],
    ['repo1-s3-endpoint', endpoint ?? `s3.${region}.amazonaws.com`],
    ['repo1-s3-uri-style', pathStyle ? 'path' : 'host'],
    ['repo1-storage-verify-tls', 'y'],
    ['repo1-storage-ca-file', caFile],
    ['repo1-s3-key-type', credentials === null ? 'auto' : 'shared'],
    ['repo1-s3-key', credentials?.accessKeyId ?? null],
    ['repo1-s3-key-secret', credentials?.secretAccessKey ?? null],
    ['repo1-s3-token', credentials?.sessionToken ?? null],
    ['repo1-s3-kms-key-id', kmsKeyId],
    ['repo1-cipher-type', cipher === null ? 'none' : 'aes-256-cbc'],
    ['repo1-cipher-pass', cipher],
  ];
  return options.filter((option): option is [string, string] => option[1] !== null);
}

/**
 * The text of the configuration that the database server's archive_command reads
 * (`pgbackrest --config=FILE --stanza=NAME archive-push %p`): asynchronous, zst, encrypted. It holds the
 * repository's secrets: mode 0600, owned by the server's user.
 */
export function renderPgbackrestConfig(input: {
  repository: ToolRepository;
  stanza: string;
  dataDirectory: string;
  port: number;
  /** a directory with the server's socket */
  socketDirectory: string;
  user: string;
  database: string;
  spoolDirectory: string;
  lockDirectory: string;
  logDirectory: string;
}): string {
  const global: [string, string][] = [
    ...repositoryOptions(input.repository),
    ['archive-async', 'y'],
    ['spool-path', input.spoolDirectory],
    ['lock-path', input.lockDirectory],
    ['log-path', input.logDirectory],
    ['log-level-file', 'warn'],
    ['log-level-console', 'warn'],
    ['compress-type', 'zst'],
    ['process-max', '2'],
  ];
  const stanza: [string, string][] = [
    ['pg1-path', input.dataDirectory],
    ['pg1-port', String(input.port)],
    ['pg1-socket-path', input.socketDirectory],
    ['pg1-user', input.user],
    ['pg1-database', input.database],
  ];
  const section = (name: string, options: [string, string][]) =>
    [`[${name}]`, ...options.map(([option, value]) => `${option}=${value}`)].join('\n');
  return `${section('global', global)}\n\n${section(input.stanza, stanza)}\n`;
}

/**
 * One folder for all runs of a user on this host that use the same repository, so that two backups of a stanza see
 * each other's lock, and stanzas of the same name in other repositories do not.
 */
async function lockDirectory(user: string | null, repository: ToolRepository): Promise<string> {
  const name = user ?? userInfo().username;
  const { endpoint, bucket, path } = repository;
  const where = createHash('sha256')
    .update(JSON.stringify([endpoint, bucket, path]))
    .digest('hex');
  const folder = join(tmpdir(), `holdfast-pgbackrest-${name}-${where.slice(0, 8)}`);
  const created = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (created !== undefined && process.getuid?.() === 0) {
    const { uid, gid } = userIds(name);
    await chown(folder, uid, gid);
  }
  return folder;
}

/** pgBackRest's exit codes (its `error.yaml`) as ours; its message says more than the code where both are given. */
export function pgbackrestFailure(
  command: string,
  where: { repository: ToolRepository; stanza: string },
  failure: { exitCode: number | null; output: string },
): HoldfastError | undefined {
  const { exitCode, output } = failure;
  const { endpoint, region, bucket, path, caFile } = where.repository;
  const host = endpoint ?? `s3.${region}.amazonaws.com`;
  const place = `s3://${bucket}/${path} at ${host}`;
  const said = errorOf(output);
  if (exitCode === 50) {
    return new HoldfastError(
      'LockNotAvailable',
      `another pgBackRest command holds the lock of stanza ${where.stanza}`,
      { hint: 'wait for it to end; `ps -C pgbackrest -f` shows it' },
    );
  }
  if (/AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|\b403\b/.test(output)) {
    return new HoldfastError('RepositoryRefused', `the repository ${place} refused pgBackRest: ${said}`, {
      hint: 'check the repository credentials and their rights on this bucket and prefix',
    });
  }
  if (/NoSuchBucket/.test(output)) {
    return new HoldfastError('RepositoryRefused', `there is no bucket ${bucket} at ${host}`, {
      hint: 'create it (`holdfast repository apply`), or correct repository.bucket in the configuration',
    });
  }
  if (/certificate|TLS|crypto/i.test(said) && /unable to (?:verify|load|find)|verify failed/i.test(said)) {
    return new HoldfastError('RepositoryUnavailable', `TLS to ${host} failed: ${said}`, {
      hint: `check repository.caFile (${caFile ?? "the system's authorities are used"})`,
    });
  }
  if (
    exitCode === 49 ||
    exitCode === 68 ||
    /unable to (?:connect to|get address for)|timeout (?:connecting|waiting)|\b5\d\d \(/.test(said)
  ) {
    if (/database/.test(said)) return undefined;
    return new HoldfastError('RepositoryUnavailable', `the repository ${place} cannot be reached: ${said}`, {
      hint: 'it is tried again; check the endpoint and the network of this host',
    });
  }
  if (exitCode === 95 || /cipher|decrypt|CryptoError/i.test(said)) {
    return new HoldfastError('RepositoryRefused', `the repository ${place} cannot be decrypted: ${said}`, {
      hint: 'repository.cipher must be the passphrase that the repository was created with',
    });
  }
  if (/stanza-create|missing stanza|archive\.info.*(?:missing|not exist)|backup\.info/.test(output)) {
    return new HoldfastError(
      'InvalidConfiguration',
      `stanza ${where.stanza} is not usable at ${place}: ${said}`,
      {
        hint: `run pgBackRest's stanza-create for ${where.stanza}; after a major upgrade, stanza-upgrade`,
      },
    );
  }
  if (exitCode === 75 || /backup set .* is not valid/.test(said)) {
    return new HoldfastError('UnknownBackup', `pgBackRest knows no such backup: ${said}`, {
      hint: '`holdfast catalog` lists the backups there are',
    });
  }
  if (exitCode === 82) {
    return new HoldfastError('BackupFailed', `the log did not reach the repository in time: ${said}`, {
      hint: 'see pg_stat_archiver and the server log: archive_command has to work before a backup can',
    });
  }
  if (/No space left/i.test(output)) {
    return new HoldfastError('NotEnoughSpace', `pgbackrest ${command}: ${said}`, { hint: 'free disk space' });
  }
  return new HoldfastError('ToolFailed', `pgbackrest ${command} failed: ${said || `exit code ${exitCode}`}`);
}

/** The text behind `ERROR: [055]:`, on one line. */
function errorOf(output: string): string {
  const found = /ERROR: (\[\d+\]: [\s\S]*)/.exec(output)?.[1] ?? output.split('\n').slice(-3).join(' ');
  return found
    .split('\n')
    .filter(
      (line) => !/P\d\d +(?:INFO|DETAIL|DEBUG)/.test(line) && !/^\s*\*+|x-amz-|authorization/i.test(line),
    )
    .map((line) => line.trim())
    .join(' ')
    .slice(0, 600);
}
