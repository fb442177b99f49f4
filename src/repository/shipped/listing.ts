import type { LogBase } from '../bases.ts';
import { newestManifestAt } from '../continuity/cursor.ts';
import { logFolder, shippedFolder } from '../layout.ts';
import { listManifests } from '../manifests.ts';
import type { Repository } from '../repository.ts';
import { joined, type LogRun, newestLineage, runsOf, shippedBases, thinned } from './chain.ts';
import { listShippedLogs } from './logs.ts';
import { parseRecordKey, type ShippedLog, serverOf } from './name.ts';

/** What a round of the watcher knows of a database's bases and logs; what it ships itself is added to it. */
export interface KnownLogs {
  /** when everything was listed, ISO 8601 */
  readAt: string;
  /** when the newest manifest was written; null: there is none */
  manifestsAt: string | null;
  /** the newest of them, newest first */
  bases: LogBase[];
  runs: LogRun[];
  /** when a log, the newest as a rule, was begun by its own first bytes; null: nobody has read it yet */
  begun: { key: string; at: string } | null;
}

/** The same, as it travels from round to round: no larger for a thousand logs than for ten. */
export interface LeftLogs extends Omit<KnownLogs, 'runs'> {
  /** of each run the names of its records, within their lineage's folder, and S3's time; null: there are too many runs */
  runs: { lineage: string; logs: [name: string, shippedAt: string][] }[] | null;
}

/** What was removed, and what another server wrote, is seen as late as this: a thousand keys a request are listed. */
const WHOLE_EVERY_MS = 600_000;
const MOST_BASES = 5;
/** A history that is torn more often is listed as a whole each time. */
const MOST_RUNS = 16;
/** Around here names are not in the order of their numbers. */
const SEVENTH_DIGIT = 1_000_000;
const AROUND = 100;

/** Lists what has come since the round before, in two requests; everything where there was none, or a new manifest. */
export async function listKnown(
  repository: Repository,
  database: string,
  { left, now, signal }: { left: Partial<LeftLogs> | null; now: Date; signal?: AbortSignal },
): Promise<KnownLogs> {
  // Before the manifests themselves: one that is written meanwhile is a reason to read again.
  const manifestsAt = await newestManifestAt(repository, database, signal);
  const { readAt, bases, runs, begun = null } = left ?? {};
  const isCurrent =
    left?.manifestsAt === manifestsAt && now.getTime() - Date.parse(readAt ?? '') <= WHOLE_EVERY_MS;
  if (isCurrent && readAt !== undefined && bases !== undefined && runs?.length) {
    const before = unpacked(database, runs);
    const news = await listNews(repository, database, { before, ...(signal && { signal }) });
    return { readAt, manifestsAt, bases, begun, runs: joined([...before, ...news.map((log) => [log])]) };
  }
  return {
    ...{ readAt: now.toISOString(), manifestsAt, begun },
    bases: shippedBases(await listManifests(repository, database, now))
      .slice(0, MOST_BASES)
      .map(slim),
    runs: runsOf(await listShippedLogs(repository, database, signal === undefined ? {} : { signal })),
  };
}

/** A log that is in the repository since the listing; it may lie before the newest. */
export function addShipped(known: KnownLogs, { log, begunAt }: { log: ShippedLog; begunAt: string }): void {
  known.runs = joined([...known.runs.map(({ logs }) => logs), [log]]);
  known.begun = { key: log.key, at: begunAt };
}

/** What the next round begins with. */
export function leave({ runs, ...known }: KnownLogs): LeftLogs {
  const packed = runs.map((run) => ({
    lineage: run.lineage,
    logs: thinned(run, known.bases).map(({ key, shippedAt }): [string, string] => [nameIn(key), shippedAt]),
  }));
  return { ...known, runs: packed.length > MOST_RUNS ? null : packed };
}

const nameIn = (key: string): string => key.split('/').slice(3).join('/');

function unpacked(database: string, runs: NonNullable<LeftLogs['runs']>): ShippedLog[][] {
  return runs.map(({ lineage, logs }) =>
    logs.flatMap(([name, shippedAt]) => {
      const log = parseRecordKey(logFolder(database), `${shippedFolder(database, lineage)}${name}`);
      return log === null ? [] : [{ ...log, shippedAt }];
    }),
  );
}

/** What the server of the newest log has written since, also where it has begun to count anew. */
async function listNews(
  repository: Repository,
  database: string,
  { before, signal }: { before: ShippedLog[][]; signal?: AbortSignal },
): Promise<ShippedLog[]> {
  const lasts = runsOf(before.flatMap((logs) => logs.slice(-1)));
  const lineage = newestLineage(lasts);
  const newest = lasts.findLast((run) => run.lineage === lineage)?.logs.at(-1);
  if (newest === undefined) return [];
  const server = `${logFolder(database)}${serverOf(newest.lineage)}.`;
  // A tilde comes behind every key of the log's own folder.
  const behind = `${shippedFolder(database, newest.lineage, newest.name)}~`;
  const after = Math.abs(newest.number - SEVENTH_DIGIT) < AROUND ? undefined : behind;
  const found: ShippedLog[] = [];
  for await (const { key, lastModified } of repository.list(server, signal, after)) {
    const log = parseRecordKey(logFolder(database), key);
    if (log !== null) found.push({ ...log, shippedAt: lastModified });
  }
  return found;
}

const slim = ({ id, systemIdentifier, finishedAt, positions: { startLog, at } }: LogBase): LogBase => ({
  ...{ id, systemIdentifier, finishedAt },
  positions: { startLog, ...(at === undefined ? {} : { at }) },
});
