import { HoldfastError } from '../model/failure.ts';
import { type Topology, topologySchema } from '../model/topology.ts';
import { mapBounded } from './bounded.ts';
import { TOPOLOGY_FOLDER, topologyKey } from './layout.ts';
import type { Repository } from './repository.ts';

const READS_AT_ONCE = 16;

/** Where the database lives since it was moved; null: where the configuration says. */
export async function readTopology(
  repository: Repository,
  database: string,
  signal?: AbortSignal,
): Promise<Topology | null> {
  const key = topologyKey(database);
  return (await listed(repository, key, signal)).includes(key) ? read(repository, key, signal) : null;
}

/** Of every database that was moved. Throws InvalidConfiguration where one file cannot be understood. */
export async function listTopologies(repository: Repository, signal?: AbortSignal): Promise<Topology[]> {
  const keys = await listed(repository, TOPOLOGY_FOLDER, signal);
  const found = await mapBounded(keys, READS_AT_ONCE, (key) => read(repository, key, signal));
  return found.filter((topology) => topology !== null);
}

/** Where everything looks for the database from now on: so it is read back. */
export async function writeTopology(repository: Repository, topology: Topology): Promise<void> {
  const key = topologyKey(topology.database);
  const text = `${JSON.stringify(topologySchema.parse(topology), null, 2)}\n`;
  await repository.put(key, text, { contentType: 'application/json' });
  if ((await repository.getText(key)) === text) return;
  throw new HoldfastError(
    'RepositoryUnavailable',
    `${key} is not what was written: somebody else writes it`,
    {
      hint: `one recovery at a time may move ${topology.database}: see holdfast list`,
    },
  );
}

/** The database lives where the configuration says. None is success. */
export async function removeTopology(repository: Repository, database: string): Promise<void> {
  await repository.remove(topologyKey(database));
}

/** A read alone would find the version below a delete marker: one that was taken back is not listed. */
async function listed(repository: Repository, prefix: string, signal?: AbortSignal): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of repository.list(prefix, signal)) keys.push(key);
  return keys;
}

async function read(repository: Repository, key: string, signal?: AbortSignal): Promise<Topology | null> {
  const text = await repository.getText(key, signal);
  if (text === null) return null;
  const parsed = topologySchema.safeParse(parse(text));
  if (parsed.success && topologyKey(parsed.data.database) === key) return parsed.data;
  const why = parsed.success
    ? `it is of ${parsed.data.database}`
    : parsed.error.issues
        .slice(0, 3)
        .map(({ path, message }) => [path.join('.'), message].filter((part) => part !== '').join(': '))
        .join('; ');
  throw new HoldfastError('InvalidConfiguration', `${key} in the repository cannot be understood: ${why}`, {
    hint: 'it says where a database lives since a disaster recovery: put its version before back, or upgrade this worker',
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
