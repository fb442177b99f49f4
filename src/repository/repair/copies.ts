import { randomUUID } from 'node:crypto';
import { stampOf } from '../../model/workflow-id.ts';
import { mapBounded } from '../bounded.ts';
import { FOLDERS } from '../layout.ts';
import type { Repository } from '../repository.ts';

/** A version that a repair has put back on top of what was written over it. */
export interface PutBack {
  key: string;
  /** the version that was good */
  from: string;
  /** its copy */
  to: string;
}

interface CopiesRecord {
  formatVersion: 1;
  at: string;
  copies: PutBack[];
}

const READS_AT_ONCE = 16;

/**
 * Leaves which versions are copies of good ones: nothing else tells them from what was written over a backup. The writer's
 * policy refuses writes there: whoever forges backups must not vouch for them.
 */
export async function recordCopies(
  repository: Repository,
  copies: readonly PutBack[],
  now: Date,
): Promise<void> {
  if (copies.length === 0) return;
  const record: CopiesRecord = { formatVersion: 1, at: now.toISOString(), copies: [...copies] };
  const key = `${FOLDERS.repair}${stampOf(now)}-${randomUUID()}.json`;
  await repository.put(key, JSON.stringify(record), { contentType: 'application/json' });
}

/** By the version of a copy: the good version that it is of, also where that was a copy itself. */
export async function readCopies(repository: Repository, signal?: AbortSignal): Promise<Map<string, string>> {
  const keys: string[] = [];
  for await (const { key } of repository.list(FOLDERS.repair, signal)) keys.push(key);
  const records = await mapBounded(keys, READS_AT_ONCE, (key) =>
    repository.getJson<CopiesRecord>(key, signal),
  );
  const origins = new Map<string, string>();
  const all = records.filter((record) => record?.formatVersion === 1) as CopiesRecord[];
  for (const { copies } of all.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at))) {
    for (const { from, to } of copies) origins.set(to, origins.get(from) ?? from);
  }
  return origins;
}
