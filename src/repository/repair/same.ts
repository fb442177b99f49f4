import { createHash } from 'node:crypto';
import { HoldfastError } from '../../model/failure.ts';
import type { ListedVersion, Repository } from '../repository.ts';

/**
 * Whether two versions hold the same: a copy that an earlier repair has put on top. Neither an entity tag (with KMS it is
 * no digest) nor what a writer says of an object proves that: both are read.
 */
export async function isSameContent(
  repository: Repository,
  one: ListedVersion,
  other: ListedVersion,
  signal?: AbortSignal,
): Promise<boolean> {
  if (one.sizeBytes !== other.sizeBytes) return false;
  try {
    const [first, second] = await Promise.all(
      [one, other].map((version) => digestOf(repository, version, signal)),
    );
    return first === second;
  } catch (error) {
    signal?.throwIfAborted();
    // Gone, or in an archive class: it cannot be told, and the copy will say what is wrong.
    if (error instanceof HoldfastError && ['BackupUnusable', 'RepositoryRefused'].includes(error.type))
      return false;
    throw error;
  }
}

async function digestOf(
  repository: Repository,
  version: ListedVersion,
  signal?: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of repository.stream(version, signal) as AsyncIterable<Buffer>) hash.update(piece);
  return hash.digest('hex');
}
