import { HoldfastError } from '../../model/failure.ts';
import { type Flavour, flavourOf } from '../../model/server-major.ts';

export { type Flavour, flavourOf } from '../../model/server-major.ts';

export interface Server {
  flavour: Flavour;
  /** three numbers: `8.0.31`, `10.11.19` */
  version: string;
  /**
   * `major * 100 + minor`, Holdfast's `serverMajor`: 800 is MySQL 8.0, 1011 is MariaDB 10.11.
   */
  series: number;
}

const OLDEST: Record<Flavour, number> = { mysql: 800, mariadb: 1011 };

/**
 * What a server is by its `VERSION()`, as `8.0.31-23` or `10.11.19-MariaDB-log`, and its `@@version_comment`. Throws
 * NotSupported for one that is older than MySQL 8.0 or MariaDB 10.11, or whose version cannot be read.
 */
export function parseServer(version: string, comment: string): Server {
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)/.exec(version.replace(/^5\.5\.5-/, '')) ?? [];
  const flavour: Flavour = /mariadb/i.test(`${version} ${comment}`) ? 'mariadb' : 'mysql';
  const series = Number(major) * 100 + Number(minor);
  if (!Number.isInteger(series) || series < OLDEST[flavour] || flavourOf(series) !== flavour) {
    const shown = version.replace(/[^\w.+-]/g, '').slice(0, 40);
    throw new HoldfastError('NotSupported', `${nameOf(flavour)} ${shown} is not supported`, {
      hint: 'MySQL 8.0 and MariaDB 10.11 are the oldest servers that Holdfast knows',
    });
  }
  return { flavour, version: `${major}.${minor}.${patch}`, series };
}

/** For people: `MySQL 8.0`, `MariaDB 10.11`. */
export function describeSeries(series: number): string {
  return `${nameOf(flavourOf(series))} ${numbersOf(series)}`;
}

/** As the configuration's `tools.mysql` and `.tools/mysql` name it: `8.0`, `mariadb-10.11`. */
export function seriesName(series: number): string {
  return flavourOf(series) === 'mariadb' ? `mariadb-${numbersOf(series)}` : numbersOf(series);
}

/** The series that such a name means; null where it means none. */
export function parseSeriesName(name: string): number | null {
  const [, maria, major, minor] = /^(mariadb-)?(\d+)\.(\d{1,2})$/.exec(name) ?? [];
  const series = Number(major) * 100 + Number(minor);
  if (!Number.isInteger(series) || (flavourOf(series) === 'mariadb') !== (maria !== undefined)) return null;
  return series;
}

/** Whether a server is of at least this version, given as `8.0.22`; only for one flavour's own numbers. */
export function isAtLeast(server: Pick<Server, 'version'>, version: string): boolean {
  const have = server.version.split('.').map(Number);
  for (const [index, wanted] of version.split('.').map(Number).entries()) {
    const number = have[index] ?? 0;
    if (number !== wanted) return number > wanted;
  }
  return true;
}

export interface ReplicationWords {
  start: string;
  stop: string;
  /** forgets the source and removes the relay logs */
  reset: string;
  status: string;
  change: string;
  /** before `_HOST`, `_LOG_FILE` … in a change and its UNTIL, and before `_Host` … in the status, there capitalised */
  source: 'SOURCE' | 'MASTER';
  /** the server option that keeps it from replicating at its start */
  skipStart: string;
}

/**
 * The statements of replication. Sources: MySQL 8.0's release notes 8.0.22 (START REPLICA), 8.0.23 (CHANGE REPLICATION
 * SOURCE TO) and 8.0.26 (--skip-replica-start); 8.4 has lost the old words; MariaDB has them alone or beside new ones.
 */
export function replicationWords(server: Server): ReplicationWords {
  if (server.flavour === 'mysql' && isAtLeast(server, '8.0.26')) {
    return {
      start: 'START REPLICA',
      stop: 'STOP REPLICA',
      reset: 'RESET REPLICA ALL',
      status: 'SHOW REPLICA STATUS',
      change: 'CHANGE REPLICATION SOURCE TO',
      source: 'SOURCE',
      skipStart: '--skip-replica-start',
    };
  }
  return {
    start: 'START SLAVE',
    stop: 'STOP SLAVE',
    reset: 'RESET SLAVE ALL',
    status: 'SHOW SLAVE STATUS',
    change: 'CHANGE MASTER TO',
    source: 'MASTER',
    skipStart: '--skip-slave-start',
  };
}

/** Says the binlog that is written now, and its position. The new words came with 8.2, the old ones left with 8.4. */
export function showBinlogStatus(server: Server): string {
  return server.flavour === 'mysql' && server.series >= 802 ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS';
}

/** Removes every binlog, and forgets the transactions that were executed. */
export function resetBinlogs(server: Server): string {
  return server.flavour === 'mysql' && server.series >= 802 ? 'RESET BINARY LOGS AND GTIDS' : 'RESET MASTER';
}

function nameOf(flavour: Flavour): string {
  return flavour === 'mariadb' ? 'MariaDB' : 'MySQL';
}

function numbersOf(series: number): string {
  return `${Math.floor(series / 100)}.${series % 100}`;
}
