import type { LogGap } from '../../model/backup.ts';
import { uniqueGapName } from '../../model/gap.ts';
import { acknowledge, readAcknowledgements } from '../acknowledgements.ts';
import type { LogRound } from '../continuity/round.ts';
import type { Repository } from '../repository.ts';
import { newestLineage, provenUntil, stretchFrom } from './chain.ts';
import { gapsOf } from './continuity.ts';
import { type KnownLogs, type LeftLogs, leave } from './listing.ts';
import { timelineOf } from './name.ts';

/** Where a round of the watcher left off. Small: it travels. An earlier version left less. */
export interface ShippedCursor extends Partial<LeftLogs> {
  kind: 'shipped';
  /** what was missing in the round before, by name: a second look makes it lost */
  missing: string[];
  /** a replay from one of the bases reaches the newest log, and what is written now */
  anchored: boolean;
}

/** The newest: each travels, and is told. */
const MOST_GAPS = 20;

/** What the repository holds of the logs that we have shipped, and what can be recovered by them. */
export async function lookAtShipped(
  repository: Repository,
  database: string,
  { known, missing, signal }: { known: KnownLogs; missing: readonly string[]; signal?: AbortSignal },
): Promise<LogRound<ShippedCursor>> {
  const { bases, runs } = known;
  const stretches = bases.map((base) => stretchFrom(base, runs));
  const gaps = gapsOf(runs, stretches).toSorted(newestFirst).slice(0, MOST_GAPS);
  const written = newestLineage(runs);
  const newest = runs.findLast(({ lineage }) => lineage === written)?.logs.at(-1);
  const until = stretches.map(provenUntil);
  return {
    cursor: {
      ...{ kind: 'shipped', ...leave(known) },
      missing: gaps.map(uniqueGapName),
      anchored: stretches.some(({ isOpen }) => isOpen),
    },
    timeline: newest === undefined ? null : timelineOf(newest.lineage),
    archivedUpTo: newest?.name ?? null,
    inFlight: [],
    lost: await ofConcern(repository, database, { gaps, missing, signal }),
    recoverableAt: until.length === 0 ? null : new Date(Math.max(...until)).toISOString(),
  };
}

const newestFirst = (a: LogGap, b: LogGap): number => Date.parse(b.before ?? '') - Date.parse(a.before ?? '');

/** Seen twice, and with what people have said of them. */
async function ofConcern(
  repository: Repository,
  database: string,
  { gaps, missing, signal }: { gaps: LogGap[]; missing: readonly string[]; signal: AbortSignal | undefined },
): Promise<LogGap[]> {
  const lost = gaps.filter((gap) => missing.includes(uniqueGapName(gap)));
  return lost.length === 0 ? [] : acknowledge(lost, await readAcknowledgements(repository, database, signal));
}
