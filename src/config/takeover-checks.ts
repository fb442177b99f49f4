import { isAbsolute, relative, resolve } from 'node:path';
import { nearestNames } from '../model/nearest.ts';
import { isLocal } from './access.ts';
import { disasterApprovalOf } from './describe.ts';
import type { ConfigIssue } from './issue.ts';
import type { TakeoverConfig } from './schema/database.ts';
import type { Config, DatabaseConfig } from './schema.ts';
import { productionFolderOf } from './takeover.ts';

/** What Holdfast itself sets on a server that takes a database over. */
const OWN_SETTINGS = [
  ...['archive_mode', 'archive_command', 'archive_library', 'restore_command', 'primary_conninfo'],
  ...['listen_addresses', 'port', 'unix_socket_directories', 'data_directory'],
  ...['hba_file', 'ident_file', 'config_file', 'fsync', 'full_page_writes'],
];
const OWN_PREFIX = 'recovery_target';

/** What contradicts itself in how databases live where they are recovered to. */
export function checkTakeovers(config: Config): ConfigIssue[] {
  return [
    ...Object.keys(config.sites).flatMap((site) => checkProduction(config, site)),
    ...Object.entries(config.databases).flatMap(([name, database]) => [
      ...checkFence(config, name, database),
      ...Object.entries(database.takeover).flatMap(([site, takeover]) =>
        checkTakeover(config, { name, database, site, takeover }),
      ),
    ]),
    ...checkPlaces(config),
  ];
}

/** Instances are removed with all that lies under them: production may not be among them. */
function checkProduction(config: Config, site: string): ConfigIssue[] {
  const [production, directory] = [
    productionFolderOf(config, site),
    config.sites[site]?.directory ?? '',
  ] as const;
  if (!isWithin(production, directory) && !isWithin(directory, production)) return [];
  const message = `${production} and the instances' directory ${directory} lie within each other`;
  const hint = 'use a folder beside it, on the same disk';
  return [{ path: ['sites', site, 'production'], message, hint }];
}

function isWithin(path: string, folder: string): boolean {
  const way = relative(resolve(folder), resolve(path));
  return !isAbsolute(way) && way.split('/')[0] !== '..';
}

function checkFence(config: Config, name: string, database: DatabaseConfig): ConfigIssue[] {
  const { takeover, fence } = database;
  if (Object.keys(takeover).length === 0 || fence !== undefined) return [];
  if (disasterApprovalOf(config, database).people > 0) return [];
  const message =
    'is missing: nobody approves a disaster recovery of it, so nobody says that the old server is stopped';
  const hint =
    'add fence: {command: [<program that stops it>]}, or ask a person: approval.disaster: {people: 1}';
  return [{ path: ['databases', name, 'fence'], message, hint }];
}

interface Named {
  name: string;
  database: DatabaseConfig;
  site: string;
  takeover: TakeoverConfig;
}

function checkTakeover(config: Config, { name, database, site, takeover }: Named): ConfigIssue[] {
  const at = (...path: string[]) => ['databases', name, 'takeover', site, ...path];
  const { address, port, tls, settings } = takeover;
  const issues: ConfigIssue[] = [];
  const sites = Object.keys(config.sites);
  if (!sites.includes(site)) {
    const [nearest] = nearestNames(site, sites, 1);
    const known = sites.length === 0 ? 'there are none yet' : `they are ${sites.join(', ')}`;
    const hint = nearest === undefined ? known : `do you mean ${nearest}? ${known}`;
    issues.push({ path: at(), message: `${site} is not among sites`, hint });
  }
  if (!isLocal(address) && database.connection.tls === 'off') {
    const message = `${address} is not loopback, and connection.tls is off, which is for loopback only`;
    issues.push({ path: at('address'), message, hint: 'remove connection.tls: off' });
  } else if (!isLocal(address) && tls === undefined) {
    const message = `is missing: the connection to ${address} is verified`;
    const hint = 'add tls: {certFile: <path>, keyFile: <path>}, PEM files on the hosts of the site';
    issues.push({ path: at('tls'), message, hint });
  }
  if (address === database.connection.host && port === database.connection.port) {
    const message = `${address}:${port} is where the database lives already: the old server could not be told from the new`;
    issues.push({ path: at('address'), message, hint: 'give it an address or a port of its own' });
  }
  for (const [field, path] of Object.entries(tls ?? {})) {
    if (isAbsolute(path)) continue;
    issues.push({
      path: at('tls', field),
      message: "must be an absolute path: it is meant on the site's hosts",
    });
  }
  for (const setting of Object.keys(settings)) {
    const lower = setting.toLowerCase();
    if (!OWN_SETTINGS.includes(lower) && !lower.startsWith(OWN_PREFIX)) continue;
    const message = "is Holdfast's own: what it is set to follows from the takeover";
    const hint = 'remove it; address, port, listen, hba and tls say where the server listens, and to whom';
    issues.push({ path: at('settings', setting), message, hint });
  }
  return issues;
}

/** Two servers cannot listen at one place. */
function checkPlaces(config: Config): ConfigIssue[] {
  const seen = new Map<string, string>();
  return Object.entries(config.databases).flatMap(([name, { takeover }]) =>
    Object.entries(takeover).flatMap(([site, { address, port }]): ConfigIssue[] => {
      const place = `${site} ${address}:${port}`;
      const other = seen.get(place);
      seen.set(place, other ?? name);
      if (other === undefined) return [];
      const message = `${address}:${port} at site ${site} is for ${other} already`;
      return [{ path: ['databases', name, 'takeover', site, 'port'], message, hint: 'use another port' }];
    }),
  );
}
