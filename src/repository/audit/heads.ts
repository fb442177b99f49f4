import { HoldfastError } from '../../model/failure.ts';
import { mapBounded } from '../bounded.ts';
import { isNotFound } from '../failure.ts';
import type { Repository } from '../repository.ts';
import { readRetention } from '../retention.ts';
import type { AuditedDatabase, AuditedVersion } from './facts.ts';
import { keyName } from './keys.ts';
import { isReadByTool } from './put-back.ts';

/** Of a tool's folder, and of a run of logs: every so many, and the last. They are written by one program in a row. */
const SAMPLE_EVERY = 256;
const HEADS_AT_ONCE = 32;

/** The versions whose lock and key are asked for: all of ours, and a sample of what was written by the thousand. */
export function versionsToAsk(
  databases: readonly AuditedDatabase[],
  toolFiles: readonly AuditedVersion[],
  thorough: boolean,
): AuditedVersion[] {
  const wanted = new Set<AuditedVersion>(toolFiles);
  for (const { nodes } of databases) {
    for (const { kind, versions } of nodes) {
      const isSampled = ({ key }: AuditedVersion) => kind === 'logs' || isOfTool(key);
      const sampled = versions.filter(isSampled);
      for (const version of versions) {
        // What lies under something lives as long as its lock.
        const isCovered = kind !== 'logs' && version.under !== null;
        if (thorough || isCovered || !isSampled(version)) wanted.add(version);
      }
      for (let at = 0; at < sampled.length; at += SAMPLE_EVERY) wanted.add(sampled[at] as AuditedVersion);
      const last = sampled.at(-1);
      if (last !== undefined) wanted.add(last);
    }
  }
  return [...wanted];
}

/** Its own manifest says what all of a backup is: that is asked for always. */
function isOfTool(key: string): boolean {
  return isReadByTool(key) && !/\/backup\.manifest(?:\.copy)?$/.test(key);
}

/** Those that could not be asked, and what was said of the first. */
export interface Unasked {
  count: number;
  first: { key: string; why: string } | null;
}

/** Asks each for its lock, hold, key and class, which no listing says, and notes that in it. */
export async function askVersions(
  repository: Repository,
  versions: readonly AuditedVersion[],
  options: { signal: AbortSignal; progress: (asked: number) => void },
): Promise<Unasked> {
  const unasked: Unasked = { count: 0, first: null };
  let asked = 0;
  await mapBounded(versions, HEADS_AT_ONCE, async (version) => {
    try {
      const { lock, legalHold, kmsKeyId, encrypted, storageClass } = await readRetention(
        repository,
        version,
        options.signal,
      );
      version.lock = lock === null ? null : { mode: lock.mode, until: Date.parse(lock.until) };
      version.legalHold = legalHold;
      version.kmsKeyId = kmsKeyId === null ? null : keyName(kmsKeyId);
      version.encrypted = encrypted;
      version.storageClass = storageClass;
    } catch (error) {
      if (options.signal.aborted) throw error;
      // Removed since it was listed: the next audit sees it.
      if (isNotFound(error)) return;
      if (error instanceof HoldfastError && error.type === 'RepositoryUnavailable') throw error;
      unasked.count += 1;
      unasked.first ??= { key: version.key, why: error instanceof Error ? error.message : String(error) };
    }
    asked += 1;
    options.progress(asked);
  });
  return unasked;
}
