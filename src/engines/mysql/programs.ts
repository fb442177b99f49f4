import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { HoldfastError } from '../../model/failure.ts';
import { describeSeries, type Flavour, flavourOf, parseSeriesName, seriesName } from './flavour.ts';

const run = promisify(execFile);
const TOOLS = fileURLToPath(new URL('../../../.tools/mysql', import.meta.url));
/** Debian keeps servers where users do not look. */
const SYSTEM = ['/usr/sbin', '/usr/bin', '/usr/libexec', '/usr/local/mysql/bin'];

/** Folders by series, as `tools.mysql` of the configuration names them: `8.0`, `mariadb-10.11`. */
export type ConfiguredPrograms = Record<string, string>;

let ofProcess: ConfiguredPrograms = {};

/** What `tools.mysql` says, for everything that this process does from now on. */
export function configurePrograms(configured: ConfiguredPrograms): void {
  ofProcess = configured;
}

/** MariaDB renamed its programs; the old names are links where there are any. */
const NAMES: Record<string, Record<Flavour, string[]>> = {
  mysqld: { mysql: ['mysqld'], mariadb: ['mariadbd', 'mysqld'] },
  mysqldump: { mysql: ['mysqldump'], mariadb: ['mariadb-dump', 'mysqldump'] },
  mysqlbinlog: { mysql: ['mysqlbinlog'], mariadb: ['mariadb-binlog', 'mysqlbinlog'] },
  mysql: { mysql: ['mysql'], mariadb: ['mariadb', 'mysql'] },
  // MySQL's server makes a data directory itself.
  'mariadb-install-db': { mysql: [], mariadb: ['mariadb-install-db', 'mysql_install_db'] },
};

export type ProgramName = 'mysqld' | 'mysqldump' | 'mysqlbinlog' | 'mysql' | 'mariadb-install-db';

/**
 * The path of a program of exactly this series, by Oracle's name for it: from the configuration, `.tools/mysql`, the
 * system's folders or PATH, where the version there is the right one. Throws ToolMissing.
 */
export async function mysqlProgram(
  name: ProgramName,
  series: number,
  configured: ConfiguredPrograms = ofProcess,
): Promise<string> {
  for (const path of pathsOf(name, flavourOf(series), foldersOf(series, configured))) {
    // The script that makes a data directory tells no version, and calls the server beside it.
    const asked = name === 'mariadb-install-db' ? serverBeside(path) : path;
    // By its real path: the server's user cannot pass through a clone in /root to a link there.
    if (asked !== null && (await versionOf(asked))?.series === series) return realpathSync(path);
  }
  throw missing(name, series);
}

/**
 * The arguments without which a server that was moved does not find its own files. They come after `--no-defaults` or
 * `--defaults-file`, which a server takes as its first argument only. Throws ToolMissing.
 */
export async function serverArguments(
  series: number,
  configured: ConfiguredPrograms = ofProcess,
): Promise<string[]> {
  const base = dirname(dirname(await mysqlProgram('mysqld', series, configured)));
  const first = (names: string[], holding = '') =>
    names.map((name) => join(base, name)).find((folder) => existsSync(join(folder, holding)));
  const share = first(['share', 'share/mysql', 'share/mariadb', 'share/mysql-8.0'], 'english/errmsg.sys');
  const plugins = first(['lib/plugin', 'lib/mysql/plugin', 'lib64/mysql/plugin']);
  return [
    `--basedir=${base}`,
    ...(share === undefined ? [] : [`--lc-messages-dir=${share}`, `--character-sets-dir=${share}/charsets`]),
    ...(plugins === undefined ? [] : [`--plugin-dir=${plugins}`]),
  ];
}

export interface DumpPrograms {
  /** mysqldump or mariadb-dump */
  dump: string;
  /** mysql or mariadb, of the same folder */
  client: string;
  /** reads this server's binlogs; null: MariaDB's does not read MySQL's */
  binlog: string | null;
  /** of the programs, which the server's may not be */
  flavour: Flavour;
  /** for instance `10.11.19` */
  version: string;
  notices: string[];
}

/** MariaDB's mysqldump asks a server in words that MySQL lost in 8.4; with 8.0.31 it was measured to work. */
const FIRST_WITHOUT_MARIADB = 804;

/**
 * The client programs for a server: of its flavour, of the same series or else the next newer one; for MySQL 8.0 to 8.3
 * MariaDB's, too. Throws ToolMissing.
 */
export async function dumpPrograms(
  series: number,
  configured: ConfiguredPrograms = ofProcess,
): Promise<DumpPrograms> {
  const flavour = flavourOf(series);
  const own = (await clientsOf(flavour, configured)).filter((found) => found.series >= series);
  const [best] = own.sort((a, b) => a.series - b.series);
  if (best !== undefined) return { ...best.programs, notices: [] };
  if (flavour === 'mysql' && series < FIRST_WITHOUT_MARIADB) {
    const [other] = (await clientsOf('mariadb', configured)).sort((a, b) => b.series - a.series);
    if (other !== undefined) {
      const { version } = other.programs;
      const notice = `MariaDB's client programs (${version}) serve ${describeSeries(series)}: Oracle's own are not on this host`;
      return { ...other.programs, binlog: null, notices: [notice] };
    }
  }
  throw missing('mysqldump', series);
}

interface Clients {
  series: number;
  programs: Omit<DumpPrograms, 'notices'>;
}

/** Every folder's client programs of a flavour, in the order in which folders are looked at. */
async function clientsOf(flavour: Flavour, configured: ConfiguredPrograms): Promise<Clients[]> {
  const found: Clients[] = [];
  for (const folder of everyFolder(configured)) {
    for (const dump of pathsOf('mysqldump', flavour, [folder])) {
      const version = await versionOf(dump);
      const [client] = pathsOf('mysql', flavour, [folder]);
      if (version === null || version.flavour !== flavour || client === undefined) continue;
      const [binlog = null] = pathsOf('mysqlbinlog', flavour, [folder]);
      const programs = { dump, client, binlog, flavour, version: version.version };
      found.push({ series: version.series, programs });
      break;
    }
  }
  return found;
}

function missing(name: ProgramName, series: number): HoldfastError {
  const program = (NAMES[name] as Record<Flavour, string[]>)[flavourOf(series)][0] ?? name;
  const described = describeSeries(series);
  return new HoldfastError('ToolMissing', `${program} for ${described} was not found`, {
    hint: `install ${described} on this host, or name the folder of its programs under tools.mysql."${seriesName(series)}" in the configuration`,
  });
}

function pathsOf(name: ProgramName, flavour: Flavour, folders: readonly string[]): string[] {
  const names = (NAMES[name] as Record<Flavour, string[]>)[flavour];
  return folders.flatMap((folder) => names.map((each) => join(folder, each))).filter(isProgram);
}

function foldersOf(series: number, configured: ConfiguredPrograms): string[] {
  const name = seriesName(series);
  const named = configured[name];
  return [
    ...(named === undefined ? [] : [named]),
    join(TOOLS, name, 'bin'),
    ...SYSTEM,
    ...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''),
  ];
}

function everyFolder(configured: ConfiguredPrograms): string[] {
  const installed = existsSync(TOOLS) ? readdirSync(TOOLS) : [];
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return [
    ...Object.values(configured),
    ...installed.map((name) => join(TOOLS, name, 'bin')),
    ...path,
    ...SYSTEM,
  ];
}

function serverBeside(script: string): string | null {
  const base = dirname(dirname(realpathSync(script)));
  const [server = null] = pathsOf('mysqld', 'mariadb', [join(base, 'sbin'), join(base, 'bin')]);
  return server;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
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

async function versionOf(path: string): Promise<ProgramVersion | null> {
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
