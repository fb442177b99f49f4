import type { DatabaseView } from '../../config/describe.ts';
import { dayOf } from '../../model/problem.ts';
import { parseSegmentName } from '../../model/wal.ts';
import { stanzasOf } from '../history.ts';
import type { AuditedNode, AuditedVersion } from './facts.ts';
import type { HeldLog, Tree } from './tree.ts';

/** The logs of one incarnation of a cluster, in nodes. */
export interface ArchiveRuns {
  id: string;
  stanza: string;
  /** `<version>-<n>` */
  name: string;
  nodes: AuditedNode[];
}

/** A log that is still on its way arrives before this, and later ones may be there already. */
const SETTLE_MS = 15 * 60_000;

/** The archives of a database in all its stanzas, the youngest incarnation of each first. */
export function runsIn(
  database: Pick<DatabaseView, 'name' | 'stanza' | 'former'>,
  tree: Tree,
  at: { segmentBytes: number; now: number },
): ArchiveRuns[] {
  const archives = stanzasOf(database).flatMap((stanza) => {
    const until = database.former.find((place) => place.stanza === stanza)?.until;
    const last = until === undefined ? Number.POSITIVE_INFINITY : Date.parse(until);
    const found = [...(tree.stanzas.get(stanza)?.archives ?? [])];
    return found
      .toSorted(([a], [b]) => incarnation(b) - incarnation(a))
      .map(([name, logs]) => ({
        stanza,
        name,
        logs: logs.filter(({ version }) => version.writtenAt <= last),
      }));
  });
  return archives.map(({ stanza, name, logs }) => {
    const id = `${stanza}/${name}`;
    const suffix = archives.length === 1 ? '' : ` of ${id}`;
    return { id, stanza, name, nodes: runsOf(logs, at).map((run) => nodeOf(run, id, suffix)) };
  });
}

const incarnation = (archive: string): number => Number(archive.split('-')[1]);

interface Numbered extends HeldLog {
  timeline: number;
  number: number;
}

/**
 * Logs in a row that share a fate: nothing that happens to a bucket by days tells one of a run from another. They end
 * before a hole that may yet be filled.
 */
function runsOf(
  logs: readonly HeldLog[],
  { segmentBytes, now }: { segmentBytes: number; now: number },
): Numbered[][] {
  const numbered = logs.flatMap((log): Numbered[] => {
    const segment = parseSegmentName(log.name, segmentBytes);
    return segment === null ? [] : [{ ...log, timeline: segment.timeline, number: Number(segment.number) }];
  });
  numbered.sort((a, b) => a.timeline - b.timeline || a.number - b.number);
  const runs: Numbered[][] = [];
  let fate = '';
  /** of which timeline nothing more counts */
  let open: number | null = null;
  for (const log of numbered) {
    const last = runs.at(-1)?.at(-1);
    const isBehindHole = last?.timeline === log.timeline && last.number < log.number - 1;
    if (isBehindHole && log.version.writtenAt + SETTLE_MS > now) open = log.timeline;
    if (open === log.timeline) continue;
    const own = fateOf(log.version);
    // Twice in the archive under another checksum: either will do.
    if (last?.timeline === log.timeline && last.number === log.number) continue;
    if (last?.timeline === log.timeline && last.number === log.number - 1 && own === fate) {
      runs.at(-1)?.push(log);
    } else {
      runs.push([log]);
    }
    fate = own;
  }
  return runs;
}

/** What decides when rules end a version, to the day. */
export function fateOf({ writtenAt, under, noncurrentSince, storageClass }: AuditedVersion): string {
  return [day(writtenAt), under, noncurrentSince === null ? '' : day(noncurrentSince), storageClass].join(
    ' ',
  );
}

const day = (milliseconds: number): string => dayOf(new Date(milliseconds).toISOString());

function nodeOf(run: readonly Numbered[], archive: string, suffix: string): AuditedNode {
  const [first, last] = [run[0] as Numbered, run.at(-1) as Numbered];
  return {
    id: `logs ${first.name}..${last.name}${suffix}`,
    kind: 'logs',
    startedAt: first.version.writtenAt,
    finishedAt: last.version.writtenAt,
    needs: [],
    readBy: 'key',
    versions: run.map(({ version }) => version),
    missing: [],
    segments: { archive, timeline: first.timeline, first: first.number, last: last.number },
  };
}
