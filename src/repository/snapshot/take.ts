import type { Manifest, StoredObject } from '../../model/backup.ts';
import type { StorageClass } from '../../model/lifecycle.ts';
import type { Run } from '../../model/progress.ts';
import { mapBounded } from '../bounded.ts';
import { copyObject } from '../copy.ts';
import { snapshotFolder } from '../layout.ts';
import { SMALLEST_MOVED_BYTES } from '../lifecycle/charges.ts';
import type { Repository } from '../repository.ts';
import { lockUntil } from '../retention.ts';
import { currentVersions } from '../stacks.ts';
import { type Contents, contentsOf, copiedKey, type Item } from './contents.ts';

const COPIES_AT_ONCE = 16;

export interface SnapshotOrder {
  id: string;
  /** where the tool keeps the backup that is copied */
  stanza: string;
  lockedUntil: string | null;
  /** from when on it may be gone */
  expiresAt: string;
  /** null: the store's own */
  storageClass: StorageClass | null;
  madeBy: Manifest['madeBy'];
}

/**
 * Copies a backup, with everything that it takes to restore it alone, within the store, and gives its manifest without
 * instructions. An earlier attempt's copies are kept, so that one that was killed goes on.
 */
export async function takeSnapshot(
  repository: Repository,
  source: Manifest,
  order: SnapshotOrder,
  run: Run,
): Promise<Manifest> {
  const folder = snapshotFolder(source.database, order.id);
  await repository.abortUploads(folder);
  const contents = await contentsOf(repository, source, order, run);
  const copies = await copyAll(repository, contents, { folder, order }, run);
  const copied = <T extends StoredObject | null | undefined>(object: T): T =>
    object == null ? object : { ...object, ...copies.get(copiedKey(folder, object.key)) };
  return {
    ...source,
    id: order.id,
    tier: 'snapshot',
    // Whatever it is a copy of: what that depends on is copied with it.
    kind: 'full',
    dependsOn: [],
    copyOf: { tier: source.tier === 'physical' ? 'physical' : 'logical', id: source.id },
    sizeBytes: contents.items.reduce((sum, { from }) => sum + from.sizeBytes, 0),
    lockedUntil: order.lockedUntil,
    expiresAt: order.expiresAt,
    ...(source.tier === 'physical' ? { stanza: order.stanza } : {}),
    databases: source.databases.map((database) => ({
      ...database,
      objects: database.objects.map(copied),
      schema: copied(database.schema),
    })),
    globals: copied(source.globals),
    ...(source.relations === undefined ? {} : { relations: copied(source.relations) }),
    instructions: null,
    notices: [...source.notices, ...contents.notices],
    madeBy: order.madeBy,
  };
}

type Copy = Pick<StoredObject, 'key' | 'versionId'>;

/** By key of the copy. */
async function copyAll(
  repository: Repository,
  { items }: Contents,
  { folder, order }: { folder: string; order: SnapshotOrder },
  run: Run,
): Promise<Map<string, Copy>> {
  // An earlier attempt's.
  const there = await currentVersions(repository, folder, run.signal);
  const before = new Map(there.map((version) => [version.key, version]));
  const total = items.reduce((sum, { from }) => sum + from.sizeBytes, 0);
  let done = 0;
  const onBytes = (bytes: number) => {
    done += bytes;
    run.progress({ phase: 'copying the backup', done, total, unit: 'bytes' });
  };
  const copies = await mapBounded(items, COPIES_AT_ONCE, async (item) => {
    const kept = before.get(item.to);
    if (!item.changes && kept !== undefined && kept.sizeBytes === item.from.sizeBytes) {
      if (order.lockedUntil !== null) await lockUntil(repository, kept, order.lockedUntil, run.signal);
      onBytes(kept.sizeBytes);
      return kept;
    }
    return copyObject(repository, item.from, item.to, {
      ...{ lockedUntil: order.lockedUntil, signal: run.signal, onBytes },
      storageClass: isSmall(item) ? null : order.storageClass,
    });
  });
  return new Map(copies.map(({ key, versionId }) => [key, { key, versionId }]));
}

/** S3 charges an object in its colder classes as this large at least, and pgBackRest's lists are read at any time. */
const isSmall = ({ from, atHand }: Item): boolean => atHand || from.sizeBytes <= SMALLEST_MOVED_BYTES;
