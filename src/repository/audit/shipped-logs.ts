import { logFolder } from '../layout.ts';
import type { LogRecord } from '../shipped/logs.ts';
import { parseRecordKey, type ShippedLog } from '../shipped/name.ts';
import type { AuditedVersion } from './facts.ts';
import type { Tree } from './tree.ts';

/** What is known of the content of records, by their keys; of most the names in their folder tell enough. */
export type LogRecords = ReadonlyMap<string, LogRecord>;

/** A shipped log with what it consists of. */
export interface AuditedLog extends ShippedLog {
  record: AuditedVersion;
  objects: AuditedVersion[];
  /** keys that it should have and has not */
  missing: string[];
}

/** Every shipped log of a database that is, or was, listed: each in the one version of every key that counts. */
export function shippedLogsIn(tree: Tree, database: string, records: LogRecords): AuditedLog[] {
  return foldersIn(tree, database).flatMap(([folder, versions]) => {
    const own = logsIn(folder, versions);
    // Of two records of one log the catalog takes the one that says the earlier beginning.
    const [first] = own.toSorted((a, b) => (a.log.createdAt < b.log.createdAt ? -1 : 1));
    if (first === undefined) return [];
    return [{ ...first.log, ...contentOf(folder, versions, first, records) }];
  });
}

export function foldersIn(tree: Tree, database: string): [folder: string, versions: AuditedVersion[]][] {
  return [...(tree.databases.get(database)?.logs.values() ?? [])].flatMap((folders) => [...folders]);
}

/** The keys of the records that have to be read: where names do not tell which objects a log has. */
export function recordsToRead(tree: Tree, database: string, thorough: boolean): string[] {
  return foldersIn(tree, database).flatMap(([folder, versions]) => {
    const isPlain = new Set(versions.map(({ key }) => key)).size === versions.length && versions.length === 2;
    const isCurrent = versions.every(({ noncurrentSince }) => noncurrentSince === null);
    if (isPlain && isCurrent && !thorough) return [];
    return logsIn(folder, versions).map(({ log }) => log.key);
  });
}

interface Recorded {
  log: ShippedLog;
  record: AuditedVersion;
}

function logsIn(folder: string, versions: readonly AuditedVersion[]): Recorded[] {
  const [, database = ''] = folder.split('/');
  const byKey = Map.groupBy(
    versions.filter(({ key }) => key.endsWith('.json')),
    ({ key }) => key,
  );
  return [...byKey].flatMap(([key, ofKey]) => {
    const log = parseRecordKey(logFolder(database), key);
    const record = countingOf(ofKey);
    if (log === null || record === undefined) return [];
    return [{ log: { ...log, shippedAt: new Date(record.writtenAt).toISOString() }, record }];
  });
}

/** The first one that was written; where it lies under a marker and the log was shipped again, that one. */
function countingOf(versions: readonly AuditedVersion[]): AuditedVersion | undefined {
  const [newest, first] = [versions[0], versions.at(-1)];
  return first?.under === 'marker' && newest?.noncurrentSince === null ? newest : first;
}

function contentOf(
  folder: string,
  versions: readonly AuditedVersion[],
  { log, record }: Recorded,
  records: LogRecords,
): Pick<AuditedLog, 'record' | 'objects' | 'missing'> {
  const content = versions.filter(({ key }) => !key.endsWith('.json'));
  const named = records.get(log.key)?.objects;
  if (named === undefined) {
    // Objects are written once, under a name that no other attempt takes.
    const objects = [...Map.groupBy(content, ({ key }) => key).values()].flatMap((ofKey) => ofKey.slice(-1));
    return { record, objects, missing: objects.length === 0 ? [folder] : [] };
  }
  const found = named.map(({ key, versionId }) =>
    content.find((version) => version.key === key && version.versionId === versionId),
  );
  return {
    record,
    objects: found.filter((version) => version !== undefined),
    missing: named.flatMap(({ key }, at) => (found[at] === undefined ? [key] : [])),
  };
}
