import { createHash } from 'node:crypto';
import { chown, mkdir, rmdir } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { HoldfastError } from '../../model/failure.ts';
import type { ToolRepository } from '../contract/backup.ts';
import { runTool, type StartedTool, startTool, type ToolResult, userIds } from '../process.ts';

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
  const locks = run.lockDirectory ?? (await lockDirectory(run.user, run.repository));
  const running = runTool('pgbackrest', ['--no-config', ...args, command], {
    signal: run.signal,
    user: run.user,
    stdout: run.stdout ?? 'lines',
    onLine: (line) => run.onLine?.(line.replace(/^\S+ \S+ (?=P\d\d )/, '')),
    // Locals of pgBackRest finish the file they are at.
    killDelayMs: 10_000,
    env: {
      ...repositoryEnvironment(run.repository),
      PGBACKREST_STANZA: run.stanza,
      PGBACKREST_LOCK_PATH: locks,
      PGBACKREST_LOG_LEVEL_FILE: 'off',
      PGBACKREST_LOG_LEVEL_STDERR: text ? 'error' : 'off',
      PGBACKREST_LOG_LEVEL_CONSOLE: text ? 'off' : 'detail',
      ...run.env,
    },
    classify: (failure) => pgbackrestFailure(command, run, failure),
  });
  // Stays while another command holds a lock in it; pgBackRest makes it anew where it is gone.
  return running.finally(() => rmdir(locks).catch(() => {}));
}

/**
 * Starts pgBackRest's `repo-get`: the content of one file of its repository, decrypted but not decompressed, is the
 * tool's stdout. `path` is relative to the repository's own: `archive/shop/15-1/…`.
 */
export function startRepositoryFile(
  path: string,
  run: { repository: ToolRepository; stanza: string; signal: AbortSignal; user: string | null },
): StartedTool {
  return startTool('pgbackrest', ['--no-config', 'repo-get', path], {
    signal: run.signal,
    user: run.user,
    stdout: 'pipe',
    env: {
      ...repositoryEnvironment(run.repository),
      PGBACKREST_STANZA: run.stanza,
      PGBACKREST_LOG_LEVEL_FILE: 'off',
      PGBACKREST_LOG_LEVEL_STDERR: 'error',
      PGBACKREST_LOG_LEVEL_CONSOLE: 'off',
    },
    classify: (failure) => pgbackrestFailure('repo-get', run, failure),
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

interface Failure {
  command: string;
  exitCode: number | null;
  /** everything it said, headers of S3's answers with it */
  output: string;
  /** its first error alone, on one line */
  said: string;
  host: string;
  place: string;
  bucket: string;
  stanza: string;
  caFile: string | null;
}

/**
 * What pgBackRest's exit code (its `error.yaml`) and words mean, the first that fits. It reports the same cause
 * by different codes: its words decide before its codes do.
 */
const MEANINGS: { fits: (failure: Failure) => boolean; error: (failure: Failure) => HoldfastError }[] = [
  {
    fits: ({ exitCode }) => exitCode === 50,
    error: ({ stanza }) =>
      new HoldfastError('LockNotAvailable', `another pgBackRest command holds the lock of stanza ${stanza}`, {
        hint: 'wait for it to end; `ps -C pgbackrest -f` shows it',
      }),
  },
  {
    fits: ({ output }) => /failed with 40[13]/.test(output),
    error: ({ place, output }) => {
      const code = /<Code>(\w+)</.exec(output)?.[1] ?? '403';
      return new HoldfastError('RepositoryRefused', `the repository ${place} refused pgBackRest (${code})`, {
        hint:
          code === 'InvalidObjectState'
            ? 'what it wanted is in an archive class: start the runbook again, which thaws what it needs'
            : 'check the repository credentials and their rights on this bucket and prefix',
      });
    },
  },
  {
    fits: ({ output }) => /NoSuchBucket/.test(output),
    error: ({ bucket, host }) =>
      new HoldfastError('RepositoryRefused', `there is no bucket ${bucket} at ${host}`, {
        hint: 'create it, or correct repository.bucket in the configuration',
      }),
  },
  {
    fits: ({ output }) => /unable to verify certificate|unable to (?:find hostname|set.*CA)/i.test(output),
    error: ({ host, caFile }) =>
      new HoldfastError('RepositoryUnavailable', `the certificate of ${host} cannot be verified`, {
        hint: `check repository.caFile (${caFile ?? "the system's authorities are used"})`,
      }),
  },
  {
    fits: ({ exitCode, output }) =>
      exitCode === 49 ||
      /unable to connect to|unable to get address for|HTTP request failed with 5/.test(output),
    error: ({ place, said }) =>
      new HoldfastError('RepositoryUnavailable', `the repository ${place} cannot be reached: ${said}`, {
        hint: 'check the endpoint and the network of this host',
      }),
  },
  {
    fits: ({ output }) => /CryptoError|key\/value found outside of section|cipher header/i.test(output),
    error: ({ place }) =>
      new HoldfastError('RepositoryRefused', `the repository ${place} cannot be decrypted`, {
        hint: 'repository.cipher must be the passphrase that the repository was created with',
      }),
  },
  {
    fits: ({ output }) => /control version|catalog version|unexpected pg version/i.test(output),
    error: ({ said }) =>
      new HoldfastError('NotSupported', `this pgBackRest does not know the server's version: ${said}`, {
        hint: 'install a newer pgBackRest on this host',
      }),
  },
  {
    fits: ({ output }) => /archive\.info|backup\.info|stanza-create|stanza-upgrade/.test(output),
    error: ({ stanza, place, said }) =>
      new HoldfastError('InvalidConfiguration', `stanza ${stanza} is not usable at ${place}: ${said}`, {
        hint: `check bucket and prefix; a new database needs pgBackRest's stanza-create, a major upgrade stanza-upgrade`,
      }),
  },
  {
    fits: ({ exitCode, said }) => exitCode === 75 || /backup set .* is not valid/.test(said),
    error: ({ said }) =>
      new HoldfastError('UnknownBackup', `pgBackRest knows no such backup: ${said}`, {
        hint: '`holdfast catalog` lists the backups there are',
      }),
  },
  {
    fits: ({ exitCode }) => exitCode === 56 || exitCode === 57 || exitCode === 58,
    error: ({ said }) =>
      new HoldfastError('ConnectionFailed', `pgBackRest cannot reach the server: ${said}`, {
        hint: "it runs as the server's operating-system user: check its data directory, port and pg_hba.conf",
      }),
  },
  {
    fits: ({ exitCode }) => exitCode === 82,
    error: ({ said }) =>
      new HoldfastError('BackupFailed', `the log did not reach the repository in time: ${said}`, {
        hint: 'see pg_stat_archiver and the server log: archive_command has to work before a backup can',
      }),
  },
  {
    fits: ({ output }) => /No space left/i.test(output),
    error: ({ command, said }) =>
      new HoldfastError('NotEnoughSpace', `pgbackrest ${command}: ${said}`, { hint: 'free disk space' }),
  },
  {
    fits: ({ output }) => /Permission denied|\[13\]/.test(output),
    error: ({ command, said }) =>
      new HoldfastError('PermissionDenied', `pgbackrest ${command}: ${said}`, {
        hint: "check that it runs as the owner of the server's files",
      }),
  },
];

/** A failure of pgBackRest as ours. */
export function pgbackrestFailure(
  command: string,
  where: { repository: ToolRepository; stanza: string },
  failure: { exitCode: number | null; output: string },
): HoldfastError {
  const { endpoint, region, bucket, path, caFile } = where.repository;
  const host = endpoint ?? `s3.${region}.amazonaws.com`;
  const { exitCode, output } = failure;
  const said = firstError(output) || `exit code ${exitCode}`;
  const place = `s3://${bucket}/${path} at ${host}`;
  const known = { command, exitCode, output, said, host, place, bucket, stanza: where.stanza, caFile };
  const meaning = MEANINGS.find(({ fits }) => fits(known));
  return meaning?.error(known) ?? new HoldfastError('ToolFailed', `pgbackrest ${command} failed: ${said}`);
}

/** The text behind `ERROR: [055]:` up to the first hint or HTTP header, fit to print. */
function firstError(output: string): string {
  const found = /ERROR: \[\d+\]: ([\s\S]*)/.exec(output)?.[1] ?? output;
  const lines = found.split('\n').map((line) => line.trim());
  const end = lines.findIndex((line, index) => index > 0 && /^(?:HINT|\*\*\*|P\d\d )/.test(line));
  return lines
    .slice(0, end === -1 ? 4 : end)
    .join(' ')
    .replace(/[^\x20-\x7e]+/g, '?')
    .slice(0, 400);
}
