import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isProgram } from '../is-program.ts';
import { type Flavour, parseSeriesName } from './flavour.ts';

const run = promisify(execFile);

export type ProgramName = 'mysqld' | 'mysqldump' | 'mysqlbinlog' | 'mysql' | 'mariadb-install-db';

/** MariaDB renamed its programs; the old names are links where there are any. */
export const NAMES: Record<string, Record<Flavour, string[]>> = {
  mysqld: { mysql: ['mysqld'], mariadb: ['mariadbd', 'mysqld'] },
  mysqldump: { mysql: ['mysqldump'], mariadb: ['mariadb-dump', 'mysqldump'] },
  mysqlbinlog: { mysql: ['mysqlbinlog'], mariadb: ['mariadb-binlog', 'mysqlbinlog'] },
  mysql: { mysql: ['mysql'], mariadb: ['mariadb', 'mysql'] },
  // MySQL's server makes a data directory itself.
  'mariadb-install-db': { mysql: [], mariadb: ['mariadb-install-db', 'mysql_install_db'] },
};

/** The programs that folders have by this name or its newer one, in the order of the folders. */
export function pathsOf(name: ProgramName, flavour: Flavour, folders: readonly string[]): string[] {
  const names = (NAMES[name] as Record<Flavour, string[]>)[flavour];
  return folders.flatMap((folder) => names.map((each) => join(folder, each))).filter(isProgram);
}

export interface ProgramVersion {
  flavour: Flavour;
  version: string;
  series: number;
}

/**
 * Of what a program says of its version: `mysqld  Ver 8.0.31 for Linux`, `mysqldump  Ver 10.19 Distrib 10.11.19-MariaDB`,
 * `mariadb-dump from 11.4.2-MariaDB`. Null where there is none in it.
 */
export function parseProgramVersion(said: string): ProgramVersion | null {
  const maria = /(\d+)\.(\d+)\.(\d+)-MariaDB/.exec(said);
  const [, major, minor, patch] = maria ?? /\bVer (\d+)\.(\d+)\.(\d+)/.exec(said) ?? [];
  if (patch === undefined) return null;
  const flavour = maria === null ? 'mysql' : 'mariadb';
  const series = Number(major) * 100 + Number(minor);
  const known = parseSeriesName(`${flavour === 'mariadb' ? 'mariadb-' : ''}${major}.${minor}`);
  return known === series ? { flavour, version: `${major}.${minor}.${patch}`, series } : null;
}

const versions = new Map<string, ProgramVersion | null>();

/** What a program says of itself, asked once in a process; null where it is none, or does not start. */
export async function versionOf(path: string): Promise<ProgramVersion | null> {
  const cached = versions.get(path);
  if (cached !== undefined) return cached;
  // Without option files: a line there that this program does not know keeps it from telling its version.
  const found = await run(path, ['--no-defaults', '--version']).then(
    ({ stdout }) => parseProgramVersion(stdout),
    () => null,
  );
  versions.set(path, found);
  return found;
}
