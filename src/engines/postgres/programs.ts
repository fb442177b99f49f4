import { execFile } from 'node:child_process';
import { readdirSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { HoldfastError } from '../../model/failure.ts';
import { isProgram } from '../is-program.ts';

const run = promisify(execFile);
const TOOLS = fileURLToPath(new URL('../../../.tools/postgres', import.meta.url));
const DEBIAN = '/usr/lib/postgresql';

/** First versions without code execution at restore time by a hostile dump (release notes of these versions). */
const FIXED: Record<number, number> = { 14: 24, 15: 19, 16: 15, 17: 11, 18: 6 };
const NEWEST_FOLDER = 40;

/** Folders by major version, as `tools.postgres` of the configuration names them. */
export type ConfiguredPrograms = Record<string, string>;

let ofProcess: ConfiguredPrograms = {};

/** What `tools.postgres` says, for everything that this process does from now on. */
export function configurePrograms(configured: ConfiguredPrograms): void {
  ofProcess = configured;
}

/**
 * The path of a PostgreSQL program of exactly this major version: from the configuration, `.tools/postgres`,
 * Debian's folders, or PATH where the version there is the right one. Throws ToolMissing.
 */
export async function postgresProgram(
  name: string,
  major: number,
  configured: ConfiguredPrograms = ofProcess,
): Promise<string> {
  for (const folder of foldersOf(major, configured)) {
    // By its real path: the server's user cannot pass through a clone in /root to a link there.
    if (isProgram(join(folder, name))) return realpathSync(join(folder, name));
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    if (folder !== '' && isProgram(path) && (await versionOf(path))?.major === major) return path;
  }
  throw new HoldfastError('ToolMissing', `${name} of PostgreSQL ${major} was not found`, {
    hint: `install PostgreSQL ${major} on this host, or name its folder under tools.postgres."${major}" in the configuration`,
  });
}

export interface DumpPrograms {
  pgDump: string;
  pgDumpall: string;
  pgRestore: string;
  psql: string;
  /** for instance `17.10` */
  version: string;
  major: number;
  notices: string[];
}

/**
 * The client programs for a server: of the same major version where there are any, else of the next newer one
 * (pg_dump refuses a server newer than itself). Throws ToolMissing.
 */
export async function dumpPrograms(
  serverMajor: number,
  configured: ConfiguredPrograms = ofProcess,
): Promise<DumpPrograms> {
  for (let major = serverMajor; major <= newestMajor(configured, serverMajor); major += 1) {
    for (const folder of [...foldersOf(major, configured), ...(process.env.PATH ?? '').split(delimiter)]) {
      const names = ['pg_dump', 'pg_dumpall', 'pg_restore', 'psql'].map((name) => join(folder, name));
      if (folder === '' || !names.every(isProgram)) continue;
      const found = await versionOf(names[0] as string);
      if (found === null || found.major !== major) continue;
      const [pgDump, pgDumpall, pgRestore, psql] = names as [string, string, string, string];
      return { pgDump, pgDumpall, pgRestore, psql, ...found, notices: noticesOf(found) };
    }
  }
  throw new HoldfastError('ToolMissing', `pg_dump for a PostgreSQL ${serverMajor} server was not found`, {
    hint: `install the client programs of PostgreSQL ${serverMajor} or newer on this host, or name their folder under tools.postgres in the configuration`,
  });
}

/** What to say about a client version; empty for one without known trouble. */
export function noticesOf(client: { major: number; version: string }): string[] {
  const minor = Number(client.version.split('.')[1] ?? '0');
  const fixed = FIXED[client.major];
  if (fixed !== undefined ? minor >= fixed : client.major > 18) return [];
  const wanted = fixed === undefined ? 'a supported major version' : `${client.major}.${fixed} or newer`;
  return [
    `the PostgreSQL client programs are version ${client.version}, in which a dump made by a hostile superuser can run code when it is restored: install ${wanted}`,
  ];
}

function foldersOf(major: number, configured: ConfiguredPrograms): string[] {
  const named = configured[String(major)];
  return [
    ...(named === undefined ? [] : [named]),
    join(TOOLS, String(major), 'bin'),
    join(DEBIAN, String(major), 'bin'),
  ];
}

function newestMajor(configured: ConfiguredPrograms, atLeast: number): number {
  const folders = [TOOLS, DEBIAN].flatMap((folder) => {
    try {
      return readdirSync(folder);
    } catch {
      return [];
    }
  });
  const majors = [...folders, ...Object.keys(configured)].map(Number);
  const sane = majors.filter((major) => Number.isInteger(major) && major < NEWEST_FOLDER);
  // PATH may hold a newer one than any folder.
  return Math.max(atLeast + 5, ...sane);
}

const versions = new Map<string, { major: number; version: string } | null>();

async function versionOf(path: string): Promise<{ major: number; version: string } | null> {
  const cached = versions.get(path);
  if (cached !== undefined) return cached;
  const found = await run(path, ['--version']).then(
    ({ stdout }) => /(\d+)(?:\.(\d+))?/.exec(stdout),
    () => null,
  );
  const version = found === null ? null : { major: Number(found[1]), version: found[0] };
  versions.set(path, version);
  return version;
}
