import type { Manifest } from '../model/backup.ts';
import { logicalFolder } from './layout.ts';
import type { Repository } from './repository.ts';

/**
 * Removes what attempts at a logical backup left that its manifest does not name: objects of an attempt that died
 * half way, open uploads; with no manifest, everything. Under a lock a delete marker lies on top until it ends.
 */
export async function removeUnpublished(
  repository: Repository,
  backup: { database: string; id: string },
  manifest: Manifest | null,
): Promise<void> {
  const folder = logicalFolder(backup.database, backup.id);
  const published = manifest === null ? new Set<string>() : keysOf(manifest);
  await repository.abortUploads(folder);
  for await (const { key } of repository.list(folder)) if (!published.has(key)) await repository.remove(key);
}

function keysOf({ databases, globals, relations, instructions }: Manifest): Set<string> {
  const objects = databases.flatMap((database) => [...database.objects, database.schema]);
  return new Set([...objects, globals, relations, instructions].flatMap((object) => object?.key ?? []));
}
