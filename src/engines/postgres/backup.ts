import type { BackupKind } from '../../model/backup.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { PhysicalBackup, ServerAccess, ToolRepository } from '../engine.ts';
import { withClientEnvironment } from './connection.ts';
import { inspect } from './inspect.ts';
import { pgbackrestFailure, runPgbackrest } from './pgbackrest.ts';
import { parsePgbackrestInfo } from './pgbackrest-info.ts';

export interface BackupInput {
  access: ServerAccess;
  repository: ToolRepository;
  stanza: string;
  dataDirectory: string;
  systemUser: string;
  kind: BackupKind;
  retentionFull: number;
}

/**
 * Engine.backup: pgBackRest, with the logs that the backup itself needs copied into it, so that it stands alone.
 * Without a full one before it, a `diff` becomes a full one, and is reported as such. An attempt that was
 * killed leaves no lock (the kernel's, of a dead process) and files that the next attempt resumes from.
 */
export async function backup(input: BackupInput, run: Run): Promise<PhysicalBackup> {
  const { access, repository, stanza, systemUser } = input;
  // By a session of ours first: it says why where pgBackRest only says "unable to find primary cluster".
  const facts = await inspect(access, run);
  let label: string | undefined;
  const follow = followBackup(facts.totalBytes, run);
  await withClientEnvironment(access, (client) =>
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
      ],
      {
        ...{ repository, stanza, signal: run.signal, user: systemUser },
        env: { ...client, ...serverEnvironment(access, input.dataDirectory) },
        onLine: (line) => {
          label = /new backup label = (\S+)/.exec(line)?.[1] ?? label;
          follow(line);
        },
      },
    ),
  );
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
