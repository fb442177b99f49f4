import type { LogPlace, LogShipping, LogSurvey } from '../engines/contract/ship.ts';
import { HoldfastError } from '../model/failure.ts';
import { numberOf } from '../model/log-position.ts';
import type { Run } from '../model/progress.ts';
import type { Repository } from '../repository/repository.ts';
import type { KnownLogs } from '../repository/shipped/listing.ts';
import { readLogRecord } from '../repository/shipped/logs.ts';
import {
  generationOf,
  lineageOf,
  type ShippedLog,
  serverNameOf,
  serverOf,
  siblingOf,
} from '../repository/shipped/name.ts';

/** What the server counts its logs in now. */
interface Counted {
  lineage: string;
  /** it has begun to count them anew: all of them are of now */
  isAnew: boolean;
}

/** The lineage of the server's closed logs, of what is shipped; a reset since has made a new one. */
export async function countedNow(
  repository: Repository,
  known: KnownLogs,
  at: { survey: LogSurvey; shipping: LogShipping; place: LogPlace },
  run: Run,
): Promise<Counted> {
  const { systemIdentifier } = at.survey;
  const server = serverNameOf(systemIdentifier);
  const own = known.runs.filter(({ lineage }) => serverOf(lineage) === server);
  const generation = Math.max(0, ...own.map(({ lineage }) => generationOf(lineage)));
  const lineage = lineageOf(systemIdentifier, generation);
  const newest = own.findLast((one) => one.lineage === lineage)?.logs.at(-1);
  if (newest === undefined) return { lineage: lineageOf(systemIdentifier, 1), isAnew: false };
  if (!(await countsAnew(repository, { newest, known }, at, run))) return { lineage, isAnew: false };
  return { lineage: lineageOf(systemIdentifier, generation + 1), isAnew: true };
}

/**
 * Whether the server has begun to count its logs anew (RESET MASTER, another `log_bin`) since the newest that is shipped:
 * its numbers are lower, its names are others, or the log of that name is another one. Sizes do not tell: those of idle
 * logs agree.
 */
async function countsAnew(
  repository: Repository,
  { newest, known }: { newest: ShippedLog; known: KnownLogs },
  { survey, shipping, place }: { survey: LogSurvey; shipping: LogShipping; place: LogPlace },
  run: Run,
): Promise<boolean> {
  const { closed, current } = survey;
  if (siblingOf(current.name, newest.number) !== newest.name) return true;
  if ((numberOf(current.name) ?? 0) <= newest.number) return true;
  const same = closed.find(({ name }) => name === newest.name);
  if (same === undefined) return false;
  if (known.begun?.key !== newest.key) known.begun = await begunOf(repository, newest, run.signal);
  const begunAt = await shipping.begunAt({ ...place, log: same }, run).catch((error: unknown) => {
    // Removed since the server was asked for its list.
    if (error instanceof HoldfastError && error.type === 'LogGap') return null;
    throw error;
  });
  if (known.begun === null || begunAt === null) return false;
  return Date.parse(begunAt) !== Date.parse(known.begun.at);
}

/** By its record: its name may say another time. Null: the record is damaged, which is the audit's to tell. */
async function begunOf(
  repository: Repository,
  { key, name }: ShippedLog,
  signal: AbortSignal,
): Promise<KnownLogs['begun']> {
  try {
    return { key, at: (await readLogRecord(repository, { key, name }, signal)).createdAt };
  } catch (error) {
    if (error instanceof HoldfastError && error.type === 'BackupUnusable') return null;
    throw error;
  }
}
