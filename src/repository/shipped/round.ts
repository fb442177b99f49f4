import type { LogGap } from '../../model/backup.ts';
import { uniqueGapName } from '../../model/gap.ts';
import { acknowledge, readAcknowledgements } from '../acknowledgements.ts';
import type { LogBase } from '../bases.ts';
import { newestManifestAt } from '../continuity/cursor.ts';
import type { LogRound } from '../continuity/round.ts';
import { listManifests } from '../manifests.ts';
import type { Repository } from '../repository.ts';
import { newestLineage, provenUntil, runsOf, shippedBases, stretchFrom } from './chain.ts';
import { gapsOf } from './continuity.ts';
import { listShippedAgain } from './listing.ts';
import { timelineOf } from './name.ts';

/** Where a round of the watcher left off. Small: it travels. */
export interface ShippedCursor {
  kind: 'shipped';
  /** when the newest manifest was written: others are read again */
  manifestsAt: string | null;
  /** the newest bases */
  bases: LogBase[];
  /** what was missing in the round before, by name: a second look makes it lost */
  missing: string[];
  /** a replay from one of the bases reaches the newest log, and what is written now */
  anchored: boolean;
}

const MOST_BASES = 5;

/** What the repository holds of the logs that we have shipped, and what can be recovered by them. */
export async function lookAtShipped(
  repository: Repository,
  database: string,
  { cursor, now, signal }: { cursor: ShippedCursor | null; now: Date; signal?: AbortSignal },
): Promise<LogRound<ShippedCursor>> {
  // Before the manifests themselves: one that is written meanwhile is a reason to read again.
  const manifestsAt = await newestManifestAt(repository, database, signal);
  const bases =
    cursor !== null && cursor.manifestsAt === manifestsAt
      ? cursor.bases
      : shippedBases(await listManifests(repository, database, now))
          .slice(0, MOST_BASES)
          .map(slim);
  const shipped = await listShippedAgain(repository, database, signal === undefined ? {} : { signal });
  const runs = runsOf(shipped);
  const stretches = bases.map((base) => stretchFrom(base, runs));
  const gaps = gapsOf(runs, stretches);
  const written = newestLineage(runs);
  const newest = runs.findLast(({ lineage }) => lineage === written)?.logs.at(-1);
  const until = stretches.map(provenUntil);
  return {
    cursor: {
      ...{ kind: 'shipped', manifestsAt, bases },
      missing: gaps.map(uniqueGapName),
      anchored: stretches.some(({ isOpen }) => isOpen),
    },
    timeline: newest === undefined ? null : timelineOf(newest.lineage),
    archivedUpTo: newest?.name ?? null,
    inFlight: [],
    lost: await ofConcern(repository, database, { gaps, before: cursor?.missing ?? [], signal }),
    recoverableAt: until.length === 0 ? null : new Date(Math.max(...until)).toISOString(),
  };
}

/** Seen twice, and with what people have said of them. */
async function ofConcern(
  repository: Repository,
  database: string,
  { gaps, before, signal }: { gaps: LogGap[]; before: string[]; signal: AbortSignal | undefined },
): Promise<LogGap[]> {
  const lost = gaps.filter((gap) => before.includes(uniqueGapName(gap)));
  return lost.length === 0 ? [] : acknowledge(lost, await readAcknowledgements(repository, database, signal));
}

const slim = ({ id, systemIdentifier, finishedAt, positions }: LogBase): LogBase => ({
  ...{ id, systemIdentifier, finishedAt },
  // A set of GTIDs may be long, and is not needed here.
  positions: { ...positions, gtid: null },
});
