import type { LifecycleRule } from '../../model/lifecycle.ts';
import {
  acknowledgementFolder,
  drillFolder,
  evidenceFolder,
  heartbeatFolder,
  verificationFolder,
} from '../layout.ts';
import type { ListedVersion, Repository } from '../repository.ts';
import type { Area } from './area.ts';
import { firstVersion } from './key.ts';

const DAY_MS = 86_400_000;

/**
 * What runs have left about a database. Nothing but lifecycle ever removes any of it: a marker that was laid before a rule
 * could have is not lifecycle's.
 */
export function recordAreas(
  repository: Repository,
  database: string,
  rules: readonly LifecycleRule[],
  signal?: AbortSignal,
): Area[] {
  const area = (
    prefix: string,
    of: string,
    find: (versions: readonly ListedVersion[]) => Promise<ListedVersion | null>,
  ): Area => ({
    prefix,
    async goodOf(_key, versions) {
      const version = await find(versions);
      return version === null || isDue(repository, rules, version, versions)
        ? null
        : { version, of, lockedUntil: null };
    },
  });
  const record = (versions: readonly ListedVersion[]) => newestRecord(repository, versions, signal);
  return [
    // Its name says everything that a heartbeat says.
    area(heartbeatFolder(database), `heartbeats of ${database}`, async (versions) => firstVersion(versions)),
    area(verificationFolder(database), `verifications of ${database}`, record),
    area(evidenceFolder(database), `evidence of ${database}`, record),
    area(drillFolder(database), `drills of ${database}`, record),
    area(acknowledgementFolder(database), `acknowledged gaps of ${database}`, record),
  ];
}

/** The marker on top may be lifecycle's own. */
export function isDue(
  { fullKey }: Pick<Repository, 'fullKey'>,
  rules: readonly LifecycleRule[],
  good: ListedVersion,
  versions: readonly ListedVersion[],
): boolean {
  const marker = versions.findLast(
    ({ isDeleteMarker, lastModified }) => isDeleteMarker && lastModified >= good.lastModified,
  );
  const days = daysOf(rules, fullKey(good.key));
  if (marker === undefined || days === null) return false;
  return Date.parse(marker.lastModified) >= Date.parse(good.lastModified) + days * DAY_MS;
}

/** After how many days lifecycle lays a marker on a key; null: never. */
function daysOf(rules: readonly LifecycleRule[], key: string): number | null {
  const days = rules.flatMap(({ enabled, prefix, expire }) =>
    enabled && key.startsWith(prefix) && expire !== null && 'days' in expire ? [expire.days] : [],
  );
  return days.length === 0 ? null : Math.min(...days);
}

/** Records are written anew; the newest one that is of the form of the first. */
async function newestRecord(
  repository: Repository,
  versions: readonly ListedVersion[],
  signal?: AbortSignal,
): Promise<ListedVersion | null> {
  const first = firstVersion(versions);
  if (first === null || versions.length === 1) return first;
  const form = await formOf(repository, first, signal);
  for (const version of versions) {
    if (version.isDeleteMarker) continue;
    if (version === first || (form !== null && (await formOf(repository, version, signal)) === form))
      return version;
  }
  return null;
}

/** What tells records of one kind from anything else; null: it is no record. */
async function formOf(
  repository: Repository,
  version: ListedVersion,
  signal?: AbortSignal,
): Promise<string | null> {
  const text = await repository.getText({ key: version.key, versionId: version.versionId }, signal);
  try {
    const value: unknown = JSON.parse(text ?? 'null');
    if (typeof value !== 'object' || value === null) return null;
    const { formatVersion, database } = value as Record<string, unknown>;
    return JSON.stringify([formatVersion, database]);
  } catch {
    return null;
  }
}
