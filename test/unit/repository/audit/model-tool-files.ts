import type { AuditFacts } from '../../../../src/repository/audit/facts.ts';
import { foundThing, isReadable, type Thing } from './model-store.ts';

/** A file of the tool and its copy: one of the two is enough. */
interface Pair {
  files: Thing[];
  /** since when both are gone: no later backup brings them back, the tool fails without them */
  goneSince: number | null;
}
export interface ToolFiles {
  archiveInfo: Pair;
  backupInfo: Pair;
}

export function toolFilesOf(facts: AuditFacts, stanza: string): ToolFiles {
  const pairOf = (name: string): Pair => ({
    files: facts.toolFiles
      .filter(({ key }) => [name, `${name}.copy`].some((file) => key === `pgbackrest/${file}`))
      .map((version) => foundThing(facts, version, 'key')),
    goneSince: null,
  });
  return {
    archiveInfo: pairOf(`archive/${stanza}/archive.info`),
    backupInfo: pairOf(`backup/${stanza}/backup.info`),
  };
}

export function lookAtToolFiles({ archiveInfo, backupInfo }: ToolFiles, at: number): void {
  for (const pair of [archiveInfo, backupInfo]) {
    const isGone = pair.files.length > 0 && !pair.files.some((file) => isReadable(file, at));
    if (isGone) pair.goneSince ??= at;
  }
}

/** At the end of each backup; `archive.info` is written once. */
export function rewriteBackupInfo({ backupInfo }: ToolFiles, at: number): void {
  for (const file of backupInfo.files) {
    Object.assign(file, { writtenAt: at, isThere: true, noncurrentSince: null, isArchived: false });
  }
}
