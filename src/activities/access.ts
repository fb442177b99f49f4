import { resolveAccess } from '../config/access.ts';
import { describeDatabase } from '../config/describe.ts';
import type { DatabaseConfig } from '../config/schema.ts';
import { productionFolderOf } from '../config/takeover.ts';
import type { ToolRepository } from '../engines/contract/backup.ts';
import type { Engine, PhysicalTools } from '../engines/engine.ts';
import type { InstanceStore } from '../instances/instance.ts';
import { localInstances } from '../instances/local.ts';
import type { ServerAccess } from '../model/access.ts';
import { HoldfastError } from '../model/failure.ts';
import { openRepository, type Repository } from '../repository/repository.ts';
import { toolRepository } from '../repository/tool.ts';
import type { Dependencies } from './dependencies.ts';

/** A database as the configuration describes it, with its engine. Throws UnknownDatabase, NotSupported. */
export function databaseOf(deps: Dependencies, name: string) {
  const database = describeDatabase(deps.config.config, name);
  const engine = deps.engines[database.config.engine];
  if (engine === undefined) {
    throw new HoldfastError('NotSupported', `this worker has no engine for ${database.config.engine}`, {
      hint: 'start a worker of the version that has it',
    });
  }
  return { ...database, engine: engine satisfies Engine };
}

/** Access to the production server, secrets resolved here and nowhere earlier. */
export function productionAccess(deps: Dependencies, name: string): Promise<ServerAccess> {
  return resolveAccess(describeDatabase(deps.config.config, name).config, deps.config.directory);
}

/** Opens the repository for one activity; restores use the read-only credentials. */
export async function withRepository<T>(
  deps: Dependencies,
  use: 'backup' | 'restore',
  work: (repository: Repository) => Promise<T>,
  patienceMs?: number,
): Promise<T> {
  const { config, directory } = deps.config;
  const repository = await openRepository(config.repository, {
    ...{ use, baseDirectory: directory },
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
  try {
    return await work(repository);
  } finally {
    repository.close();
  }
}

/** The repository as backup tools need it, secrets resolved. */
export function toolRepositoryOf(
  deps: Dependencies,
  use: 'backup' | 'restore',
  place: { folder?: string } = {},
): Promise<ToolRepository> {
  const { config, directory } = deps.config;
  return toolRepository(config.repository, { use, baseDirectory: directory, ...place });
}

/** The instances of a site that live on this worker's host. */
export function instancesOf(deps: Dependencies, site: string): InstanceStore {
  const found = deps.config.config.sites[site];
  if (found === undefined) {
    throw new HoldfastError('InvalidInput', `there is no site "${site}"`, {
      hint: `the sites of the configuration are ${Object.keys(deps.config.config.sites).join(', ')}`,
    });
  }
  const { directory, user, reserveBytes } = found;
  const production = productionFolderOf(deps.config.config, site);
  return localInstances({ site, host: deps.host, directory, user, reserveBytes, production });
}

/** What backups of files need of the engine. Throws NotSupported where it has none. */
export function physicalOf(engine: Engine, database: string): PhysicalTools {
  if (engine.physical !== null) return engine.physical;
  throw new HoldfastError(
    'NotSupported',
    `${database} has no physical backups: ${engine.kind} has none yet`,
    {
      hint: 'its bases are logical backups: holdfast backup --tier logical, holdfast restore pitr',
    },
  );
}

/** The section that physical backups and logs need. Throws InvalidConfiguration where there is none. */
export function postgresOf(name: string, config: DatabaseConfig): NonNullable<DatabaseConfig['postgres']> {
  if (config.postgres !== undefined) return config.postgres;
  throw new HoldfastError('InvalidConfiguration', `database ${name} has no postgres section`, {
    hint: 'physical backups and logs need the data directory: postgres.dataDirectory in the configuration',
  });
}
