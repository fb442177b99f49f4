import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { BackupInput, PhysicalBackup, ToolRepository } from '../contract/backup.ts';
import { withClientEnvironment } from './connection.ts';
import { inspect } from './inspect.ts';
import { pgbackrestFailure, runPgbackrest } from './pgbackrest.ts';
import { parsePgbackrestInfo } from './pgbackrest-info.ts';

/**
 * A small database is a thousand small files, each a request of its own unless they are bundled. Bundled backups
 * cannot be resumed, which a large one wants more.
 */
const BUNDLE_BELOW_BYTES = 20e9;
const LOCK_PATIENCE_MS = 5 * 60_000;
const LOCK_POLL_MS = 1_000;

/**
 * Engine.backup: pgBackRest, with the logs that the backup itself needs copied into it, so that it stands alone.
 * Without a full one before it, a `diff` becomes a full one, and is reported as such. An attempt that was
 * killed leaves nothing that the next one stumbles over: pgBackRest resumes from its files, or removes them.
 */
export async function backup(input: BackupInput, run: Run): Promise<PhysicalBackup> {
  const { access, repository, stanza, systemUser } = input;
  // By a session of ours first: it says why where pgBackRest only says "unable to find primary cluster".
  const facts = await inspect(access, run);
  let label: string | undefined;
  const follow = followBackup(facts.totalBytes, run);
  const attempt = (client: Record<string, string>) =>
    runPgbackrest(
      'backup',
      [
        ...[
          `--type=${input.kind}`,
          '--start-fast',
          '--archive-copy',
          '--process-max=2',
          '--compress-type=zst',
        ],
        `--repo1-retention-full=${input.retentionFull}`,
        // Of older ones the tool keeps the logs that they need to become consistent, and no others.
        '--repo1-retention-archive-type=full',
        `--repo1-retention-archive=${input.retentionArchive}`,
      ],
      {
        ...{ repository, stanza, signal: run.signal, user: systemUser },
        env: {
          ...client,
          ...serverEnvironment(access, input.dataDirectory),
          // The tool's own copies of the manifests of backups that it has expired: it would keep them for ever.
          PGBACKREST_REPO1_RETENTION_HISTORY: '0',
          PGBACKREST_REPO1_BUNDLE: facts.totalBytes < BUNDLE_BELOW_BYTES ? 'y' : 'n',
        },
        onLine: (line) => {
          label = /new backup label = (\S+)/.exec(line)?.[1] ?? label;
          follow(line);
        },
      },
    );
  await withClientEnvironment(access, (client) => whenUnlocked(() => attempt(client), run));
  const found = (await listBackups({ repository, stanza, systemUser }, run)).find(({ id }) => id === label);
  if (found !== undefined) return found;
  throw new HoldfastError(
    'BackupFailed',
    'pgBackRest ended well, but its repository does not have the backup',
    {
      hint: 'see `pgbackrest info`; a retention that is too small expires a backup at once',
    },
  );
}

/**
 * Processes of a pgBackRest that was killed hold its lock until the file that each of them is at has been copied:
 * wait for them rather than fail.
 */
async function whenUnlocked<T>(attempt: () => Promise<T>, run: Run): Promise<T> {
  const deadline = Date.now() + LOCK_PATIENCE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const locked = error instanceof HoldfastError && error.type === 'LockNotAvailable';
      if (!locked || Date.now() > deadline) throw error;
      run.progress({ phase: 'waiting for another pgBackRest command of this stanza' });
      await sleep(LOCK_POLL_MS, undefined, { signal: run.signal }).catch(() => run.signal.throwIfAborted());
    }
  }
}

/** Where the server is, for a pgBackRest that runs beside it; host, password and TLS are libpq's variables. */
export function serverEnvironment(access: ServerAccess, dataDirectory: string): Record<string, string> {
  return {
    PGBACKREST_PG1_PATH: dataDirectory,
    PGBACKREST_PG1_PORT: String(access.port),
    PGBACKREST_PG1_USER: access.user,
    PGBACKREST_PG1_DATABASE: access.database,
    ...(access.host.startsWith('/') ? { PGBACKREST_PG1_SOCKET_PATH: access.host } : {}),
  };
}

/** Turns pgBackRest's log into progress: it gives a share of the whole with each file. */
function followBackup(totalBytes: number, run: Run): (line: string) => void {
  let share = 0;
  let saidAt = 0;
  return (line) => {
    const percent = /backup file .*\((?:[^()]*, )?([\d.]+)%\)/.exec(line)?.[1];
    if (percent !== undefined) share = Number(percent) / 100;
    const phase = /execute non-exclusive backup stop/.test(line)
      ? 'waiting for the log to be archived'
      : 'copying files';
    if (phase === 'copying files' && (percent === undefined || Date.now() - saidAt < 500)) return;
    saidAt = Date.now();
    run.progress({ phase, done: Math.round(share * totalBytes), total: totalBytes, unit: 'bytes' });
  };
}

/** Engine.listBackups: from `pgbackrest info`, oldest first; works without the server. */
export async function listBackups(
  input: { repository: ToolRepository; stanza: string; systemUser: string | null },
  run: Run,
): Promise<PhysicalBackup[]> {
  const { repository, stanza, systemUser } = input;
  const { stdout } = await runPgbackrest('info', ['--output=json'], {
    ...{ repository, stanza, signal: run.signal, user: systemUser, stdout: 'text' },
  });
  return parsePgbackrestInfo(stdout, stanza, (output) =>
    pgbackrestFailure('info', { repository, stanza }, { exitCode: null, output }),
  );
}
