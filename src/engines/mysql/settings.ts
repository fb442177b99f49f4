import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { InstancePlace } from '../contract/restore.ts';
import { flavourOf } from './flavour.ts';
import { ownAccountStatements } from './own-accounts.ts';
import { layoutOf, writeOwned } from './place.ts';

/** What a restored server has to have as production has it: it cannot be changed once there are data. */
export interface InstanceFacts {
  serverMajor: number;
  /** 0: names of tables are as they were written; 1: in lower case; 2: as written, compared in lower case */
  lowerCaseTableNames: number;
}

export interface InstanceSettings extends InstanceFacts {
  /** the copy is where it should be: only Holdfast's own account still writes */
  readOnly: boolean;
}

/** Applier threads; more than cores a small site has would only wait for each other. */
const APPLIERS = 4;
/** MySQL and MariaDB: 1 GiB is the most that a row, and so an event, can need. */
const LARGEST_PACKET = '1G';
const BUFFER_POOL = '256M';
const REDO_LOG = '256M';

/**
 * What a replay goes past: accounts of a plugin and functions of a library, which are not here nor may be loaded (1524,
 * 1126), and statements on accounts that are there already or not at all: a backup may lack them, and Holdfast's own may
 * have production's names. Numbers: "Server Error Message Reference" of MySQL's manual, "MariaDB Error Codes".
 */
const GONE_PAST = [...[1524, 1126], ...[1133, 1141, 1147, 1269, 1396, 1403, 1410, 1959, 3523, 3530]];

/** Writes the whole configuration of a restored server. Nothing of production's own applies. Gives the file. */
export async function writeSettings(place: InstancePlace, settings: InstanceSettings): Promise<string> {
  const { configuration } = layoutOf(place);
  const file = join(configuration, 'my.cnf');
  const statements = ownAccountStatements(settings.serverMajor).map((statement) => `${statement};\n`);
  await writeOwned(place, initFile(place), statements.join(''));
  await writeOwned(place, file, renderSettings(place, settings));
  return file;
}

const initFile = (place: InstancePlace): string => join(layoutOf(place).configuration, 'init.sql');

export function renderSettings(place: InstancePlace, settings: InstanceSettings): string {
  const values = {
    ...placesOf(place),
    ...isolation(place, settings.serverMajor),
    ...applier(place, settings.serverMajor),
    ...manner(settings),
  };
  const lines = Object.entries(values).map(([name, value]) => `${name} = ${value}\n`);
  return `# written by Holdfast: a restored, isolated server\n[mysqld]\n${lines.join('')}`;
}

function placesOf(place: InstancePlace): Record<string, string> {
  const { data, sockets, temporary, configuration } = layoutOf(place);
  return {
    datadir: quote(data),
    socket: quote(join(sockets, 'mysqld.sock')),
    'pid-file': quote(join(configuration, 'mysqld.pid')),
    tmpdir: quote(temporary),
    'init-file': quote(initFile(place)),
  };
}

/** Nothing that is restored may reach production, act by itself, or load a library. */
function isolation(place: InstancePlace, series: number): Record<string, string> {
  const { files, plugins } = layoutOf(place);
  return {
    'skip-networking': 'ON',
    // MySQL's cannot be switched on while the server runs. MariaDB's would not even show or make events (error 1577).
    'event-scheduler': flavourOf(series) === 'mysql' ? 'DISABLED' : 'OFF',
    'skip-log-bin': 'ON',
    'loose-skip-replica-start': 'ON',
    'loose-skip-slave-start': 'ON',
    'plugin-dir': quote(plugins),
    'secure-file-priv': quote(files),
    // Holdfast's own staging; the driver never lets a server ask for files.
    'local-infile': 'ON',
    'symbolic-links': 'OFF',
    'general-log': 'OFF',
    'slow-query-log': 'OFF',
    ...(flavourOf(series) === 'mysql'
      ? {
          'loose-mysqlx': 'OFF',
          'loose-auto-generate-certs': 'OFF',
          'loose-caching-sha2-password-auto-generate-rsa-keys': 'OFF',
          'loose-sha256-password-auto-generate-rsa-keys': 'OFF',
          'loose-admin-ssl': 'OFF',
        }
      : { 'loose-feedback': 'OFF', 'loose-wsrep-on': 'OFF' }),
  };
}

/** Both names of an option where MySQL renamed it: what a server does not know, `loose-` lets it pass over. */
const renamed = (name: string, value: string): Record<string, string> => ({
  [`loose-replica-${name}`]: value,
  [`loose-slave-${name}`]: value,
});

function applier(place: InstancePlace, series: number): Record<string, string> {
  const { relay, temporary } = layoutOf(place);
  return {
    // Not production's, and events of whatever server are applied: the logs hold nothing that we have done ourselves.
    'server-id': String(randomInt(2 ** 30, 2 ** 32 - 1)),
    'replicate-same-server-id': 'ON',
    'relay-log': quote(join(relay, 'relay')),
    'relay-log-index': quote(join(relay, 'relay.index')),
    // Recovery would throw the placed logs away, and a purge forgets logs that are still in use (measured with 8.0.31).
    'relay-log-recovery': 'OFF',
    'relay-log-purge': 'OFF',
    'sync-relay-log': '0',
    'sync-relay-log-info': '0',
    ...renamed('load-tmpdir', quote(temporary)),
    ...renamed('skip-errors', GONE_PAST.join(',')),
    ...renamed('max-allowed-packet', LARGEST_PACKET),
    ...(flavourOf(series) === 'mysql'
      ? {
          // Takes transactions with and without GTIDs, and gives our own statements none.
          'gtid-mode': 'OFF_PERMISSIVE',
          'enforce-gtid-consistency': 'OFF',
          ...renamed('parallel-workers', String(APPLIERS)),
          ...renamed('parallel-type', 'LOGICAL_CLOCK'),
          ...renamed('preserve-commit-order', 'ON'),
          ...renamed('pending-jobs-size-max', LARGEST_PACKET),
        }
      : {
          'slave-parallel-threads': String(APPLIERS),
          'slave-parallel-mode': 'conservative',
          // Else a table that is missing, or there already, would pass unnoticed.
          'slave-ddl-exec-mode': 'STRICT',
          'gtid-strict-mode': 'OFF',
        }),
  };
}

function manner(settings: InstanceSettings): Record<string, string> {
  const isMysql = flavourOf(settings.serverMajor) === 'mysql';
  return {
    'read-only': settings.readOnly ? 'ON' : 'OFF',
    'lower-case-table-names': String(settings.lowerCaseTableNames),
    'max-connections': '100',
    'max-allowed-packet': LARGEST_PACKET,
    'default-time-zone': "'+00:00'",
    'explicit-defaults-for-timestamp': 'ON',
    'log-bin-trust-function-creators': 'ON',
    // What production could create once, it has to be possible to create.
    'innodb-strict-mode': 'OFF',
    ...(isMysql ? { 'loose-partial-revokes': 'ON', 'loose-restrict-fk-on-non-standard-key': 'OFF' } : {}),
    'innodb-buffer-pool-size': BUFFER_POOL,
    ...sizes(settings.serverMajor),
    // An instance has to outlive the end of its process, not of its machine: after that it is made anew.
    'innodb-flush-log-at-trx-commit': '2',
    'innodb-flush-method': 'nosync',
    'innodb-buffer-pool-dump-at-shutdown': 'OFF',
  };
}

/** As at the data directory's making: a server that starts with others writes new files first. */
export function sizes(series: number): Record<string, string> {
  return flavourOf(series) === 'mysql'
    ? { 'loose-innodb-redo-log-capacity': REDO_LOG }
    : { 'innodb-log-file-size': REDO_LOG };
}

/** Option files take backslashes and quotes for their own ("Using Option Files" of MySQL's manual). */
function quote(path: string): string {
  return `"${path.replaceAll('\\', '\\\\')}"`;
}
