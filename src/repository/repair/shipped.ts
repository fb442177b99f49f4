import type { LifecycleRule } from '../../model/lifecycle.ts';
import { logFolder, shippedLogOf } from '../layout.ts';
import type { ListedVersion, Repository } from '../repository.ts';
import { firstRecord, type LogRecord } from '../shipped/logs.ts';
import type { Area } from './area.ts';
import { isDue } from './records.ts';

interface Recorded {
  record: LogRecord;
  version: ListedVersion;
}

/**
 * Logs that we ship: the first version of a record that is one, and what it names. A replay finds objects below whatever
 * lies on top; a record that is hidden is a gap. What lifecycle has ended already stays as it is.
 */
export function shippedArea(
  repository: Repository,
  database: string,
  rules: readonly LifecycleRule[],
  signal?: AbortSignal,
): Area {
  const known = new Map<string, Promise<Recorded[]>>();
  const recordsIn = (folder: string) => {
    const found = known.get(folder) ?? readRecords(repository, folder, signal);
    known.set(folder, found);
    return found;
  };
  return {
    prefix: logFolder(database),
    async goodOf(key, versions) {
      const log = shippedLogOf(key);
      // Nearly all of them have nothing on top.
      if (log === null || (versions.length === 1 && versions[0]?.isDeleteMarker === false)) return null;
      const records = await recordsIn(log.folder);
      const version = log.isRecord
        ? records.find((one) => one.version.key === key)?.version
        : objectIn(records, key, versions);
      if (version === undefined || isDue(repository, rules, version, versions)) return null;
      const of = `log ${records[0]?.record.name} of ${database}`;
      // Its copy is locked for as long as it is itself.
      return { version, of, lockedUntil: null };
    },
  };
}

function objectIn(
  records: readonly Recorded[],
  key: string,
  versions: readonly ListedVersion[],
): ListedVersion | undefined {
  const named = records.flatMap(({ record }) => record.objects).find((object) => object.key === key);
  if (named === undefined) return undefined;
  return versions.find(
    (version) => !version.isDeleteMarker && (version.versionId ?? 'null') === (named.versionId ?? 'null'),
  );
}

/** Of each record in the folder of a log the first version that is one. */
async function readRecords(
  repository: Repository,
  folder: string,
  signal?: AbortSignal,
): Promise<Recorded[]> {
  const versions: ListedVersion[] = [];
  for await (const version of repository.versions(folder, signal)) {
    if (version.key.endsWith('.json') && !version.isDeleteMarker) versions.push(version);
  }
  const found: Recorded[] = [];
  for (const ofKey of Map.groupBy(versions, ({ key }) => key).values()) {
    const first = await firstRecord(repository, ofKey, signal);
    if (first !== null) found.push(first);
  }
  return found;
}
