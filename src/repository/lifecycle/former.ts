import type { DatabaseView } from '../../config/describe.ts';
import { toolArchiveFolder, toolBackupFolder } from '../layout.ts';

const DAY_MS = 86_400_000;

/** A stanza that a database has left: no tool writes there any more, so no tool's expiry acts there. */
export interface FormerStanza {
  database: string;
  stanza: string;
  /** both trees of it, relative to the repository's prefix */
  folders: { archive: string; backup: string };
  until: string;
  /** the midnight from which on nothing of it is promised; ISO 8601 */
  over: string;
}

/**
 * By a date, never by age: what a stanza cannot be read without, `archive.info`, is as old as the stanza. A stanza is
 * named by the takeover that made it, and is not used again.
 */
export function formerStanzas(databases: readonly DatabaseView[]): FormerStanza[] {
  return databases.flatMap(({ name, stanza: now, former, retention }) =>
    former
      .filter(({ stanza }) => stanza !== now)
      .map(({ stanza, until }) => {
        const keptMs = Date.parse(until) + Math.max(retention.physicalMs, retention.logMs);
        return {
          ...{ database: name, stanza, until },
          folders: { archive: toolArchiveFolder(stanza), backup: toolBackupFolder(stanza) },
          over: new Date((Math.ceil(keptMs / DAY_MS) + 1) * DAY_MS).toISOString(),
        };
      }),
  );
}
