import type { StorageClass } from '../model/lifecycle.ts';
import type { RepositoryConfig } from './schema.ts';

/** Whether S3's storage classes can be used. Many stores refuse them, and then everything lies in the one they have. */
export function hasStorageClasses({ storageClasses, endpoint }: RepositoryConfig): boolean {
  return storageClasses ?? endpoint === undefined;
}

/**
 * The class that objects of a tier are written in; null: the store's own. Straight into it: a lifecycle rule moves to
 * STANDARD_IA from day 30 on only, when a logical backup has ended.
 */
export function classOf(repository: RepositoryConfig, tier: 'logical' | 'snapshot'): StorageClass | null {
  if (!hasStorageClasses(repository)) return null;
  return tier === 'logical' ? 'STANDARD_IA' : 'DEEP_ARCHIVE';
}
