import type { Readable } from 'node:stream';
import type { ServerAccess } from '../../../model/access.ts';
import { HoldfastError } from '../../../model/failure.ts';
import type { InstancePlace } from '../../contract/restore.ts';
import { runTool, type StartedTool, startTool } from '../../process.ts';
import { damaged, decompress } from '../../zstd.ts';
import { clientEnvironment } from '../connection.ts';

/** A dump in the repository, which can be opened again: what stands at its head is read without the rest. */
export interface Archive {
  open(signal: AbortSignal): Readable;
  /** how people call the backup */
  backup: string;
}

export interface ArchiveRun {
  pgRestore: string;
  place: InstancePlace;
  signal: AbortSignal;
}

/** Errors that pg_restore has gone past; the words of the server alone, never a statement or a row. */
export interface Restored {
  errors: string[];
}

const MOST_ERRORS = 20;
/** Whoever looks at the copy may only read; this is the one who fills it. Its rows fire no trigger, also of foreign keys. */
const FILLING =
  '-c default_transaction_read_only=off -c session_replication_role=replica -c maintenance_work_mem=256MB';
/** A newer pg_restore sets what an older server does not know: nothing is lost by that. */
const HARMLESS = /unrecognized configuration parameter|option "locale_provider" not recognized/;

const NO_DATABASE = /FATAL: +database ".*" does not exist/;

/** The dump's list of contents, which stands at its head. Throws BackupUnusable. */
export async function listContents(archive: Archive, run: ArchiveRun): Promise<string> {
  const { stdout } = await read(archive, run, (zstd) =>
    startTool(run.pgRestore, ['--list'], {
      ...{ signal: run.signal, user: run.place.user, stdin: zstd, stdout: 'text' },
      classify: ({ output }) => unreadable(archive, output),
    }),
  );
  return stdout;
}

/** The statements of the entries of a list file. Throws BackupUnusable. */
export async function scriptOf(archive: Archive, listFile: string, run: ArchiveRun): Promise<string> {
  const { stdout } = await read(archive, run, (zstd) =>
    startTool(run.pgRestore, ['--create', '--file=-', `--use-list=${listFile}`], {
      ...{ signal: run.signal, user: run.place.user, stdin: zstd, stdout: 'text' },
      classify: ({ output }) => unreadable(archive, output),
    }),
  );
  return stdout;
}

/**
 * Restores the entries of a list file into the copy. Goes past what the server refuses, as `pg_restore` does by
 * default: what matters is proved afterwards by the rows themselves.
 */
export async function restoreEntries(
  archive: Archive,
  into: {
    access: ServerAccess;
    listFile: string;
    options: readonly string[];
    /** definitions are made of rows that are there: what the server says of them may quote one */
    besideRows?: boolean;
  },
  run: ArchiveRun & { onBytes?: (bytes: number) => void },
): Promise<Restored> {
  const { access, listFile, options, besideRows = false } = into;
  const errors: string[] = [];
  let [ended, entry] = [false, ''];
  const args = ['--no-password', `--dbname=${conninfo(access)}`, `--use-list=${listFile}`, ...options];
  await read(archive, run, (zstd) =>
    startTool(run.pgRestore, args, {
      ...{ signal: run.signal, user: run.place.user, stdin: zstd },
      env: { ...clientEnvironment(access), PGOPTIONS: FILLING },
      onLine: (line) => {
        if (/^pg_restore: warning: errors ignored on restore/.test(line)) ended = true;
        entry = /^pg_restore: from TOC entry \d+; \d+ \d+ (.*)$/.exec(line)?.[1] ?? entry;
        const error = /^pg_restore: error: (?:could not execute query: ERROR: +)?(.*)$/.exec(line)?.[1];
        if (error === undefined || HARMLESS.test(error) || errors.length >= MOST_ERRORS) return;
        errors.push(besideRows ? `${entry} could not be made` : withoutRows(error));
      },
      classify: ({ exitCode, output }) => {
        // A db that could not be made cannot be filled either: why is among the errors.
        if (options.includes('--create') && NO_DATABASE.test(output)) ended = true;
        if (exitCode === 1 && ended) return new HoldfastError('CheckFailed', 'went past errors');
        return unreadable(archive, output);
      },
    }),
  ).catch((error: unknown) => {
    if (!ended) throw error;
  });
  return { errors };
}

/** A name alone would be taken for a whole connection string where it has `=` in it. */
const conninfo = ({ database }: ServerAccess): string =>
  `dbname='${database.replaceAll(/['\\]/g, String.raw`\$&`)}'`;

/** Of an error while rows are copied the table alone: the rest may quote a row. */
function withoutRows(error: string): string {
  return /^COPY failed for table "[^"]*"/.exec(error)?.[0] ?? error;
}

/**
 * Runs a program on the decompressed dump. One that has what it needs ends before the dump does, which then breaks
 * off: that is no failure. Where the program fails, whatever failed before it is the cause.
 */
async function read<T>(
  archive: Archive,
  run: ArchiveRun & { onBytes?: (bytes: number) => void },
  start: (zstd: StartedTool) => { finished: Promise<T> },
): Promise<T> {
  const { zstd, broken, ended, close } = decompress(archive, run);
  try {
    return await start(zstd).finished;
  } catch (error) {
    run.signal.throwIfAborted();
    const first = await Promise.race([broken, ended]);
    throw first instanceof HoldfastError && first.type !== 'ToolFailed' ? first : error;
  } finally {
    await close();
  }
}

function unreadable(archive: Archive, output: string): HoldfastError | undefined {
  return /could not read from input file|unexpected end of file|corrupt|not a valid archive|did not find magic/i.test(
    output,
  )
    ? damaged(archive.backup, 'it ends before its end, or is not what was written')
    : undefined;
}

/** Runs `initdb` for a copy that only its own user reaches. */
export async function makeCluster(
  initdb: string,
  { place, data, user, signal }: { place: InstancePlace; data: string; user: string; signal: AbortSignal },
): Promise<void> {
  const options = ['--encoding=UTF8', '--locale=C.UTF-8', '--auth=trust', '--no-sync'];
  await runTool(initdb, [`--pgdata=${data}`, `--username=${user}`, ...options], { signal, user: place.user });
}
