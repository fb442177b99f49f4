import type { AuditFinding } from '../../model/audit.ts';
import { toolInfoKeys } from '../layout.ts';
import { isBase, isInStanza } from './backup.ts';
import type { Horizon } from './calendar.ts';
import type { AuditedVersion } from './facts.ts';
import { type Ending, type Fate, NEVER, PAST } from './fate.ts';
import { fateOfVersion, type World } from './life.ts';
import type { Outlook } from './outlook.ts';
import { promisedBackups } from './present.ts';
import { describeCause, finding, firstDay, hintOf, plural, when } from './words.ts';

/** A file that the tool reads at every step; its copy beside it will do. */
interface Pair {
  key: string;
  versions: AuditedVersion[];
  /** when the tool writes it again */
  rewritten: number[];
}

export interface ToolFiles {
  findings: AuditFinding[];
  /** from when on nothing of the tool's can be restored */
  broken: { from: number; line: string }[];
}

/** What becomes of the files without which the tool neither archives nor restores. */
export function lookAtToolFiles(
  outlook: Outlook,
  toolFiles: ReadonlyMap<string, AuditedVersion>,
  world: World,
): ToolFiles {
  const { database, horizon } = outlook;
  const told: ToolFiles = { findings: [], broken: [] };
  for (const pair of pairsOf(outlook, toolFiles)) {
    if (pair.versions.length === 0) {
      told.findings.push(...tellAbsent(outlook, pair));
      continue;
    }
    const gone = firstEnd(pair, world, ({ unreadable }) => unreadable);
    if (gone.at < horizon.end) {
      told.findings.push(tellGone(database.name, pair, gone, horizon));
      told.broken.push({
        from: gone.at,
        line: `${pair.key} is gone: pgBackRest restores nothing without it`,
      });
    }
    const archived = firstEnd(pair, world, (fate) => fate.archived);
    if (archived.at < Math.min(gone.at, horizon.end)) {
      told.findings.push(tellArchived(database.name, pair, archived, horizon));
    }
  }
  return told;
}

function pairsOf({ database, lives }: Outlook, toolFiles: ReadonlyMap<string, AuditedVersion>): Pair[] {
  const keys = toolInfoKeys(database.stanza);
  const pair = (of: readonly string[], rewritten: number[]): Pair => ({
    key: of[0] ?? '',
    versions: of.map((key) => toolFiles.get(key)).filter((file) => file !== undefined),
    rewritten,
  });
  const planned = [...lives.keys()].filter((backup) => isBase(backup) && backup.node === null);
  const ends = planned.map(({ finishedAt }) => finishedAt).sort((a, b) => a - b);
  return [pair(keys.archive, []), pair(keys.backup, ends)];
}

/** When both of a pair have ended before they are written again. */
function firstEnd({ versions, rewritten }: Pair, world: World, endingOf: (fate: Fate) => Ending): Ending {
  for (const [index, next] of [...rewritten, Number.POSITIVE_INFINITY].entries()) {
    const writtenAt = rewritten[index - 1];
    const endings = versions.map((version) => {
      const fresh = { ...version, noncurrentSince: null, under: null, storageClass: 'STANDARD' };
      return endingOf(
        fateOfVersion(writtenAt === undefined ? version : { ...fresh, writtenAt }, 'key', world),
      );
    });
    const last = endings.reduce((latest, one) => (one.at > latest.at ? one : latest), PAST);
    if (last.at <= next) return last;
    // What no rule ends once, none ends later.
    if (last.at === Number.POSITIVE_INFINITY && writtenAt !== undefined) return NEVER;
  }
  return NEVER;
}

const READ = 'pgBackRest reads it at every step, and neither archives nor restores without it';

function tellGone(database: string, pair: Pair, gone: Ending, horizon: Horizon): AuditFinding {
  if (gone.at > horizon.now) {
    return finding('critical', 'needed-gone', {
      database,
      what: `${describeCause(gone.cause)} removes ${pair.key} ${when(gone.at, horizon)}: ${READ}`,
      firstDay: firstDay(gone.at, horizon),
      hint: hintOf(gone.cause),
    });
  }
  const isOverwritten = pair.versions.some(({ under }) => under === 'version');
  return finding('critical', isOverwritten ? 'overwritten' : 'behind-marker', {
    database,
    what: `${isOverwritten ? 'a newer version lies' : 'a delete marker lies'} on top of ${pair.key}: ${READ}`,
    hint: 'holdfast repository repair shows what it would take away, asks, and puts the good version back on top',
  });
}

function tellArchived(database: string, { key }: Pair, archived: Ending, horizon: Horizon): AuditFinding {
  const by =
    archived.cause.by === 'rule' ? `${describeCause(archived.cause)} moves` : 'an archive class holds';
  return finding('critical', 'archived', {
    database,
    what: `${by} ${key} ${when(archived.at, horizon)}: ${READ}, and it has to be thawed first`,
    firstDay: firstDay(archived.at, horizon),
    hint:
      archived.cause.by === 'rule'
        ? hintOf(archived.cause)
        : 'thaw it and copy it over itself into the standard class, and see which rule moved it',
  });
}

/** Where backups are that only the tool can read. */
function tellAbsent(outlook: Outlook, { key }: Pair): AuditFinding[] {
  const { name, stanza } = outlook.database;
  const count = promisedBackups(outlook).filter(
    (backup) => isBase(backup) && backup.node?.missing.length === 0 && isInStanza(backup, stanza),
  ).length;
  if (count === 0) return [];
  const absent = finding('critical', 'missing', {
    database: name,
    what: `${key} is not in the repository: ${READ}; ${plural(count, 'physical backup')} that ${count === 1 ? 'is' : 'are'} promised cannot be restored without it`,
    hint: 'holdfast repository repair brings it back where a version of it is left; else restore it from a copy of the bucket',
  });
  return [absent];
}
