import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../model/failure.ts';
import type { Progress, Run } from '../../model/progress.ts';
import type { RestoreFilesInput } from '../contract/restore.ts';
import { runPgbackrest } from './pgbackrest.ts';
import { layoutOf, prepareLayout } from './place.ts';
import { readReplayState, removeReplayState, requireNoProduction } from './replay-state.ts';
import { stop } from './server.ts';

const PROCESSES = 2;

/**
 * Restores a backup's files into an instance's place, all tablespaces below it. After a kill, a second run
 * keeps the files that are right already. Throws UnknownBackup, NotEnoughSpace, ChecksumMismatch,
 * BackupUnusable, RepositoryUnavailable, RepositoryRefused.
 */
export async function restore(input: RestoreFilesInput, run: Run): Promise<void> {
  const { place, backup } = input;
  requireNoProduction(place, await readReplayState(place));
  await stop(place);
  // Files that are restored again are no longer where a replay had brought them.
  await removeReplayState(place);
  const layout = await prepareLayout(place);
  await removeUnusableRemains(input);
  await prepareLayout(place);
  const progress = restoreProgress();
  let readable = false;
  try {
    await runPgbackrest('restore', argumentsOf(input), {
      repository: input.repository,
      stanza: input.stanza,
      user: place.user,
      signal: run.signal,
      lockDirectory: layout.locks,
      onLine: (line) => {
        readable ||= /INFO: .*restore backup set/.test(line);
        const now = progress(line);
        if (now !== null) run.progress(now);
      },
      env: {
        PGBACKREST_PG1_PATH: layout.data,
        PGBACKREST_LOG_PATH: layout.logs,
        PGBACKREST_SPOOL_PATH: layout.spool,
        PGBACKREST_PROCESS_MAX: String(PROCESSES),
        // A file that fails again at once is damaged; waiting is for whoever runs this again.
        PGBACKREST_JOB_RETRY: '1',
      },
    });
  } catch (error) {
    throw run.signal.aborted ? run.signal.reason : restoreFailure(error, backup, readable);
  }
  await requireMajor(input);
}

function argumentsOf({ place, backup, databases }: RestoreFilesInput): string[] {
  return [
    `--set=${backup}`,
    '--type=none',
    '--delta',
    '--archive-mode=off',
    `--tablespace-map-all=${layoutOf(place).tablespaces}`,
    ...(databases ?? []).map((name) => `--db-include=${name}`),
  ];
}

/**
 * pgBackRest goes on only in a folder with its manifest or a PG_VERSION. One that was killed before it had
 * written either leaves folders in which it refuses to work.
 */
async function removeUnusableRemains({ place }: RestoreFilesInput): Promise<void> {
  const { data, tablespaces, spool, locks } = layoutOf(place);
  await rm(join(data, 'postmaster.pid'), { force: true });
  for (const folder of [spool, locks]) await rm(folder, { recursive: true, force: true });
  if (['PG_VERSION', 'backup.manifest'].some((name) => existsSync(join(data, name)))) return;
  for (const folder of [data, tablespaces]) await rm(folder, { recursive: true, force: true });
}

const FILE = /(?:restore file|restore zeroed file) .* \(([\d.]+)(B|KB|MB|GB|TB), ([\d.]+)%\)/;
const UNITS = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 } as const;

/** Bytes so far and in all, from pgBackRest's line for each file, which names its size and the share so far. */
export function restoreProgress(): (line: string) => Progress | null {
  let done = 0;
  let files = 0;
  return (line) => {
    const found = FILE.exec(line);
    if (found === null) return null;
    done += Number(found[1]) * UNITS[found[2] as keyof typeof UNITS];
    files += 1;
    const share = Number(found[3]) / 100;
    const total = share > 0 ? { total: Math.max(Math.round(done / share), Math.round(done)) } : {};
    return {
      phase: 'restoring files',
      done: Math.round(done),
      ...total,
      unit: 'bytes',
      detail: `${files} files`,
    };
  };
}

/** `readable`: the repository has been read and decrypted, so that what fails now is a file of the backup. */
function restoreFailure(error: unknown, backup: string, readable: boolean): unknown {
  if (!(error instanceof HoldfastError)) return error;
  const said = error.message;
  const make = (type: 'ChecksumMismatch' | 'BackupUnusable', message: string) =>
    new HoldfastError(type, message, {
      hint: 'use another backup (`holdfast catalog` lists them), and look into this one',
      cause: error,
    });
  if (readable && error.type === 'RepositoryRefused' && /cannot be decrypted/.test(said)) {
    return make('ChecksumMismatch', `backup ${backup} is damaged: a file of it cannot be decrypted`);
  }
  if (error.type !== 'ToolFailed') return error;
  if (/checksum|FormatError|\[029\]|(?:lz4|zst|gz|bz2)[^ ]* error|corrupt|flush/i.test(said)) {
    return make('ChecksumMismatch', `backup ${backup} is damaged: ${said}`);
  }
  if (/\[055\]|missing file|unable to open missing/.test(said)) {
    return make('BackupUnusable', `backup ${backup} lacks a file: ${said}`);
  }
  if (/No space left|\[ENOSPC\]|28\] /.test(said)) {
    return new HoldfastError('NotEnoughSpace', `the disk of the instance ran full: ${said}`, {
      hint: 'free space on the site and resume: files that are there already are kept',
    });
  }
  return error;
}

async function requireMajor({ place, serverMajor, backup }: RestoreFilesInput): Promise<void> {
  const version = (await readFile(join(layoutOf(place).data, 'PG_VERSION'), 'utf8')).trim();
  if (Number(version) === serverMajor) return;
  throw new HoldfastError(
    'BackupUnusable',
    `backup ${backup} is of PostgreSQL ${version}, not ${serverMajor}`,
    {
      hint: `take a backup of this server: a backup of ${version} starts under ${version} only`,
    },
  );
}
