import type { Manifest } from '../../model/backup.ts';

/** How the tool's own expiry keeps what is in one stanza. */
export interface ToolKeeps {
  retentionFull: number;
  retentionArchive: number;
  /** how long a backup is promised from its end on */
  retentionMs: number;
}

/**
 * The backups of a stanza that are still needed: those the tool itself knows (`listed`), and those that its expiry
 * cannot have removed yet. Its expiry lays markers as an attacker does; what it took is left alone. The manifests are
 * all that there ever were, under a marker or not.
 */
export function neededBackups(
  manifests: readonly Manifest[],
  { listed, now }: { listed: ReadonlySet<string>; now: Date },
  { retentionFull, retentionMs }: ToolKeeps,
): Manifest[] {
  // A full is promised for as long as a differential on it is.
  const isPromised = ({ id }: Manifest) =>
    manifests.some(
      (one) =>
        (one.id === id || one.dependsOn.includes(id)) &&
        Date.parse(one.finishedAt) + retentionMs > now.getTime(),
    );
  const fulls = newestFirst(manifests.filter(({ kind }) => kind === 'full'));
  const kept = new Set(
    fulls
      .filter((full, index) => listed.has(full.id) || (index < retentionFull && isPromised(full)))
      .map(({ id }) => id),
  );
  return manifests.filter(({ kind, id, dependsOn }) =>
    kind === 'full' ? kept.has(id) : listed.has(id) || dependsOn.every((one) => kept.has(one)),
  );
}

/** Whether a log of an incarnation (`15-1`) is needed, by its name of 24 digits. */
export type LogNeeded = (archive: string, log: string) => boolean;

/**
 * From the beginning of the oldest full on whose logs the tool keeps, every log; before it, what other backups need to
 * become consistent. Where there never were as many fulls (`manifests` are all that there ever were), it has expired no log
 * yet. A position counts on each timeline: which of them branched off where the names do not tell.
 */
export function neededLogs(
  needed: readonly Manifest[],
  manifests: readonly Manifest[],
  { retentionArchive }: ToolKeeps,
): LogNeeded {
  const everMade = Map.groupBy(
    manifests.filter(({ kind }) => kind === 'full'),
    majorOf,
  );
  const majors = new Map<number, { from: string; ranges: [string, string][] }>();
  for (const [major, bases] of Map.groupBy(needed, majorOf)) {
    const fulls = newestFirst(bases.filter(({ kind }) => kind === 'full'));
    const oldest = fulls[Math.min(retentionArchive, fulls.length) - 1];
    majors.set(major, {
      from:
        (everMade.get(major)?.length ?? 0) < retentionArchive
          ? ALWAYS
          : (positionOf(oldest?.positions.startLog) ?? NEVER),
      ranges: bases.flatMap(({ positions }): [string, string][] => {
        const [first, last] = [positionOf(positions.startLog), positionOf(positions.stopLog)];
        return first === null || last === null ? [] : [[first, last]];
      }),
    });
  }
  return (archive, log) => {
    const ofMajor = majors.get(Number.parseInt(archive, 10));
    const position = positionOf(log);
    if (ofMajor === undefined || position === null) return false;
    return (
      position >= ofMajor.from ||
      ofMajor.ranges.some(([first, last]) => first <= position && position <= last)
    );
  };
}

/** Before every position, and behind every position: digits are less than this letter. */
const ALWAYS = '';
const NEVER = 'G';

const majorOf = ({ serverVersion }: Manifest): number => Number.parseInt(serverVersion, 10);

/** A log's name without its timeline: digits of one width, which compare as numbers do. */
const positionOf = (log: string | null | undefined): string | null => log?.slice(8, 24) ?? null;

const newestFirst = (manifests: readonly Manifest[]): Manifest[] =>
  manifests.toSorted((a, b) => Date.parse(b.finishedAt) - Date.parse(a.finishedAt));
