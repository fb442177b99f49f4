import { describeEndpoint } from '../config/endpoints.ts';
import type { EndpointConfig } from '../config/schema/endpoint.ts';
import type { DatabaseConfig } from '../config/schema.ts';
import { commandEndpoint } from './command.ts';
import type { Endpoint, Unnamed } from './endpoint.ts';
import { fileEndpoint } from './file.ts';
import { pgbouncer } from './pgbouncer.ts';
import { secretsManager } from './secrets-manager.ts';

/**
 * The endpoints of a database, in the configuration's order, each with a name of its own. `directory` is the
 * configuration's; secrets are read when an endpoint is used.
 */
export function openEndpoints(
  database: { name: string; config: Pick<DatabaseConfig, 'endpoints'> },
  directory: string,
): Endpoint[] {
  const seen = new Map<string, number>();
  return database.config.endpoints.map((config) => {
    const name = describeEndpoint(config);
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return {
      name: count === 1 ? name : `${name} (${count})`,
      ...open(config, database.name, directory),
    };
  });
}

function open(config: EndpointConfig, database: string, directory: string): Unnamed {
  if ('file' in config) return fileEndpoint(config.file, directory);
  if ('pgbouncer' in config) return pgbouncer(config.pgbouncer, directory);
  if ('secretsManager' in config) return secretsManager(config.secretsManager);
  return commandEndpoint(config.command, database);
}
