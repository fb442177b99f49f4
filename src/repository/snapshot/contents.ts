import type { Manifest, StoredObject } from '../../model/backup.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { snapshotFolder, TOOL_FOLDER, toolArchiveFolder, toolBackupFolder } from '../layout.ts';
import { type LogsNeeded, toolObjects } from '../needed.ts';
import { objectsOf } from '../objects.ts';
import type { Repository } from '../repository.ts';

/** One object to copy. */
export interface Item {
  from: Pick<StoredObject, 'key' | 'versionId' | 'sizeBytes'>;
  to: string;
  /** it may have been written anew since an earlier attempt copied it: the tool's lists of what there is */
  changes: boolean;
  /** it is read at any time, and so never lies in an archive class */
  atHand: boolean;
}

export interface Contents {
  items: Item[];
  notices: string[];
}

/** Everything that it takes to restore a backup alone. Throws BackupUnusable where a part of it is missing. */
export async function contentsOf(
  repository: Repository,
  source: Manifest,
  snapshot: { id: string; stanza: string },
  run: Run,
): Promise<Contents> {
  const folder = snapshotFolder(source.database, snapshot.id);
  const own = objectsOf({ ...source, instructions: null }).map((from) => ({
    ...{ from, to: copiedKey(folder, from.key), changes: false },
    atHand: from.key === source.relations?.key,
  }));
  if (source.tier !== 'physical') return { items: own, notices: [] };
  const tool = await toolContents(repository, source, snapshot.stanza, run);
  return {
    items: [
      ...tool.keys.map(({ key, sizeBytes }) => ({
        ...{ from: { key, versionId: null, sizeBytes }, to: copiedKey(folder, key) },
        ...{ changes: LISTS.test(key), atHand: false },
      })),
      ...own,
    ],
    notices: tool.notices,
  };
}

/** backup.info and archive.info, and the tool's copies of them. */
const LISTS = /\/(?:backup|archive)\.info(?:\.copy)?$/;

/** The tool's tree stays what it is; of ours the folders of the backup and its attempt are left out. */
export function copiedKey(folder: string, key: string): string {
  return `${folder}${key.startsWith(`${TOOL_FOLDER}/`) ? key : key.split('/').slice(4).join('/')}`;
}

async function toolContents(repository: Repository, source: Manifest, stanza: string, run: Run) {
  run.progress({ phase: 'listing what the backup needs' });
  const { startLog, stopLog, timeline } = source.positions;
  const logs: LogsNeeded =
    startLog === null || stopLog === null ? null : { first: startLog.slice(8), last: stopLog.slice(8) };
  const backups = [source.id, ...source.dependsOn];
  const on = timeline ?? 1;
  const keys = await toolObjects(
    repository,
    {
      ...{ stanza, backups, logs, timelines: { from: on, to: on } },
      serverMajor: Number.parseInt(source.serverVersion, 10),
    },
    run.signal,
  );
  const there = new Set(keys.map(({ key }) => key));
  const missing = [
    ...backups.map((backup) => `${toolBackupFolder(stanza)}${backup}/backup.manifest`),
    ...[`${toolBackupFolder(stanza)}backup.info`, `${toolArchiveFolder(stanza)}archive.info`],
  ].filter((key) => !there.has(key));
  if (missing.length > 0) {
    throw new HoldfastError('BackupUnusable', `backup ${source.id} lacks ${missing.join(', ')}`, {
      hint: 'it cannot be copied as it is: see holdfast repository audit',
    });
  }
  const archived = keys.filter(({ key }) => key.startsWith(toolArchiveFolder(stanza)));
  const hasLogs = [startLog, stopLog].every(
    (log) => log !== null && archived.some(({ key }) => key.includes(log)),
  );
  const notices = hasLogs
    ? []
    : ['the logs that it needs were not in the archive any more: its own copies of them are used'];
  return { keys, notices };
}
