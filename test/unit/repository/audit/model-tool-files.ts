import type { AuditFacts } from '../../../../src/repository/audit/facts.ts';
import { foundThing, isReadable, type Thing } from './model-store.ts';

/** The tool's books of a stanza: of each file there is a copy, and one of the two is enough. */
export interface ToolFiles {
  archiveInfo: Thing[];
  backupInfo: Thing[];
  /** since when both of a pair are gone: no later backup brings them back, the tool fails without them */
  goneSince: number | null;
}

export function toolFilesOf(facts: AuditFacts, stanza: string): ToolFiles {
  const named = (name: string) =>
    facts.toolFiles
      .filter(({ key }) => [name, `${name}.copy`].some((file) => key === `pgbackrest/${file}`))
      .map((version) => foundThing(facts, version, 'key'));
  return {
    archiveInfo: named(`archive/${stanza}/archive.info`),
    backupInfo: named(`backup/${stanza}/backup.info`),
    goneSince: null,
  };
}

export function lookAtToolFiles(files: ToolFiles, at: number): void {
  for (const pair of [files.archiveInfo, files.backupInfo]) {
    if (pair.length > 0 && !pair.some((file) => isReadable(file, at))) files.goneSince ??= at;
  }
}

/** At the end of each backup; `archive.info` is written once. */
export function rewriteBackupInfo({ backupInfo }: ToolFiles, at: number): void {
  for (const file of backupInfo) {
    Object.assign(file, { writtenAt: at, isThere: true, noncurrentSince: null, isArchived: false });
  }
}
