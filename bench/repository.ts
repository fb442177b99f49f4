import { mapBounded } from '../src/repository/bounded.ts';
import type { Repository } from '../src/repository/repository.ts';
import { type RepositoryFixture, startRepository } from '../test/engine/repository/fixture.ts';

const PUTS_AT_ONCE = 64;

/** A real S3 server of this benchmark's own, ended and removed whatever happens. */
export async function withRepository<T>(
  work: (repository: Repository, fixture: RepositoryFixture) => Promise<T>,
): Promise<T> {
  const fixture = await startRepository();
  const repository = await fixture.open();
  try {
    return await work(repository, fixture);
  } finally {
    repository.close();
    await fixture.dispose();
  }
}

/** Empty objects: of logs and heartbeats only the names are ever read. */
export async function putNames(
  repository: Repository,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await mapBounded(keys, PUTS_AT_ONCE, async (key) => {
    signal.throwIfAborted();
    await repository.put(key, '');
  });
}

/** As pgBackRest names them. */
export function logKey(stanza: string, name: string): string {
  return `pgbackrest/archive/${stanza}/15-1/${name.slice(0, 16)}/${name}-${'a'.repeat(40)}.zst`;
}
