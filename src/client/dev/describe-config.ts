import type { LoadedConfig } from '../../config/load.ts';
import { readSecret } from '../../config/secrets.ts';
import { CONTROL_QUEUE, hostQueue, siteQueue } from '../../model/queue.ts';
import type { DevDescription } from './state.ts';

/** Every queue that a worker in all roles of a configuration serves. */
export function queuesOf({ config }: LoadedConfig): string[] {
  return [
    CONTROL_QUEUE,
    ...Object.keys(config.hosts).map(hostQueue),
    ...Object.keys(config.sites).map(siteQueue),
  ];
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
