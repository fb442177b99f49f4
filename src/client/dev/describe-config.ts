import type { LoadedConfig } from '../../config/load.ts';
import { readSecret } from '../../config/secrets.ts';
import { CONTROL_QUEUE, hostQueue, siteQueue } from '../../model/queue.ts';
import { allRoles, type Role } from '../../workers/roles.ts';
import { SECOND } from './configuration.ts';
import type { DevDescription, WorkerName } from './state.ts';

/** What each worker does. The second site has one of its own, where a configuration has that site; else no roles. */
export function rolesByWorker({ config }: LoadedConfig): Record<WorkerName, Role[]> {
  const all = allRoles(config);
  if (!config.sites[SECOND]?.hosts.includes(SECOND)) return { worker: all, second: [] };
  const isSecond = (role: Role) => role.kind !== 'control' && role.name === SECOND;
  return {
    worker: all.filter((role) => !isSecond(role)),
    second: all.filter((role) => role.kind === 'control' || isSecond(role)),
  };
}

/** The queues that a worker of these roles serves. */
export function queuesOf(roles: readonly Role[]): string[] {
  return roles.map((role) => {
    if (role.kind === 'control') return CONTROL_QUEUE;
    return role.kind === 'host' ? hostQueue(role.name) : siteQueue(role.name);
  });
}

/** Databases (with their passwords) and sites of a configuration, as `dev.json` has them. */
export async function describeConfig({
  config,
  directory,
}: LoadedConfig): Promise<Pick<DevDescription, 'databases' | 'sites'>> {
  const databases: DevDescription['databases'] = {};
  for (const [name, { engine, connection }] of Object.entries(config.databases)) {
    const { host, port, user, password, database } = connection;
    const url = new URL(`${engine === 'postgres' ? 'postgresql' : engine}://${host}:${port}`);
    url.username = user;
    if (password !== undefined) url.password = await readSecret(password, directory);
    url.pathname = database;
    databases[name] = { engine, url: url.href };
  }
  const sites = Object.keys(config.sites).map((name) => [name, { queue: siteQueue(name) }]);
  return { databases, sites: Object.fromEntries(sites) };
}
