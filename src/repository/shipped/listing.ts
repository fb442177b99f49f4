import { heartbeatFolder, logFolder, shippedFolder } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { listShippedLogs } from './logs.ts';
import { parseRecordKey, type ShippedLog } from './name.ts';

/** What this process has listed of a database. */
interface Listing {
  /** when everything was listed, milliseconds */
  at: number;
  byKey: Map<string, ShippedLog>;
}

/** What was removed is seen as late as this: a thousand logs a day are listed by a thousand keys a request. */
const WHOLE_EVERY_MS = 600_000;
/** Around here names are not in the order of their numbers. */
const SEVENTH_DIGIT = 1_000_000;
const AROUND = 100;

const listings = new Map<string, Listing>();

/** The same as `listShippedLogs`, for who asks every minute: what is there already is listed again now and then only. */
export async function listShippedAgain(
  repository: Repository,
  database: string,
  options: { signal?: AbortSignal } = {},
): Promise<ShippedLog[]> {
  const known = listings.get(nameOf(repository, database));
  if (known === undefined || known.at + WHOLE_EVERY_MS < Date.now()) {
    const at = Date.now();
    const logs = await listShippedLogs(repository, database, options);
    listings.set(nameOf(repository, database), { at, byKey: new Map(logs.map((log) => [log.key, log])) });
    return logs;
  }
  const root = logFolder(database);
  const newest = newestOf(known);
  for (const folder of await repository.folders(root, options.signal)) {
    if (folder === heartbeatFolder(database)) continue;
    const last = newest.get(folder);
    // A tilde comes behind every key of the log's own folder.
    const after = last === undefined ? undefined : `${shippedFolder(database, last.lineage, last.name)}~`;
    for await (const { key, lastModified } of repository.list(folder, options.signal, after)) {
      const log = parseRecordKey(root, key);
      if (log !== null) known.byKey.set(key, { ...log, shippedAt: lastModified });
    }
  }
  return [...known.byKey.values()];
}

/** A log that this process has shipped itself: it may lie before the newest. */
export function rememberShipped(repository: Repository, database: string, log: ShippedLog): void {
  listings.get(nameOf(repository, database))?.byKey.set(log.key, log);
}

/** By folder; none where a newer one may have a name that comes before. */
function newestOf({ byKey }: Listing): Map<string, ShippedLog> {
  const newest = new Map<string, ShippedLog>();
  for (const log of byKey.values()) {
    const folder = log.key.split('/').slice(0, 3).join('/');
    const last = newest.get(`${folder}/`);
    if (last === undefined || last.number < log.number) newest.set(`${folder}/`, log);
  }
  for (const [folder, { number }] of newest) {
    if (Math.abs(number - SEVENTH_DIGIT) < AROUND) newest.delete(folder);
  }
  return newest;
}

const nameOf = ({ connection, fullKey }: Repository, database: string): string =>
  `${connection.where} ${fullKey(logFolder(database))}`;
