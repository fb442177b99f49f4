import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HoldfastError } from '../../model/failure.ts';
import { describeSeries, type Flavour, flavourOf, seriesName } from './flavour.ts';
import { NAMES, type ProgramName, pathsOf, versionOf } from './program-version.ts';

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
  /** reads this server's binlogs; null: MariaDB's does not read MySQL's, and there is no other */
  binlog: string | null;
  /** of the programs, which the server's may not be */
  flavour: Flavour;
  /** for instance `10.11.19` */
  version: string;
  notices: string[];
}

/** The last MySQL that MariaDB's programs serve: it speaks the old words of replication, too. */
const LAST_OF_MARIADB = 803;

/**
 * The client programs for a server: those in the folder that the configuration names for its series, else of its
 * flavour, of the same series or the next newer one; for MySQL 8.0 to 8.3 MariaDB's, where Oracle's own are nowhere
 * (what they write of generated columns does not load, see dump.ts). Throws ToolMissing.
 */
export async function dumpPrograms(
  series: number,
  configured: ConfiguredPrograms = ofProcess,
): Promise<DumpPrograms> {
  const flavour = flavourOf(series);
  const named = configured[seriesName(series)];
  const everywhere = await clientsOf(flavour, everyFolder(configured));
  const binlog =
    newEnough(everywhere, series).find(({ programs }) => programs.binlog !== null)?.programs.binlog ?? null;
  for (const folders of [...(named === undefined ? [] : [[named]]), everyFolder(configured)]) {
    const own = newEnough(await clientsOf(flavour, folders), series);
    const other =
      flavour === 'mysql' && series <= LAST_OF_MARIADB
        ? (await clientsOf('mariadb', folders)).sort((a, b) => b.series - a.series)
        : [];
    const found = [...own, ...other][0];
    if (found === undefined) continue;
    const { programs } = found;
    const isOwn = programs.flavour === flavour;
    return {
      ...programs,
      binlog: (isOwn ? programs.binlog : null) ?? binlog,
      notices: isOwn ? [] : [noticeOf(programs.version, series)],
    };
  }
  throw missing('mysqldump', series);
}

function newEnough(found: readonly Clients[], series: number): Clients[] {
  return found.filter((each) => each.series >= series).sort((a, b) => a.series - b.series);
}

function noticeOf(version: string, series: number): string {
  return `MariaDB's client programs (${version}) serve ${describeSeries(series)}: Oracle's own of that version are not on this host`;
}

interface Clients {
  series: number;
  programs: Omit<DumpPrograms, 'notices'>;
}

/** The client programs of a flavour in these folders, one set for each folder that has them. */
async function clientsOf(flavour: Flavour, folders: readonly string[]): Promise<Clients[]> {
  const found: Clients[] = [];
  for (const folder of folders) {
    for (const dump of pathsOf('mysqldump', flavour, [folder])) {
      const version = await versionOf(dump);
      const [client] = pathsOf('mysql', flavour, [folder]);
      if (version === null || version.flavour !== flavour || client === undefined) continue;
      const [binlog] = pathsOf('mysqlbinlog', flavour, [folder]);
      const programs = {
        dump: realpathSync(dump),
        client: realpathSync(client),
        binlog: binlog === undefined ? null : realpathSync(binlog),
        flavour,
        version: version.version,
      };
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
