import { heartbeatFolder } from './layout.ts';
import type { Repository } from './repository.ts';

/**
 * A commit that the watcher made in production: once its log is archived, every moment before `at` can be
 * recovered, because recovery to a time needs a commit after it.
 */
export interface Heartbeat {
  at: string;
  /** the position after the commit */
  position: string;
  /** the log that holds the commit */
  log: string;
  timeline: number;
  /** the number of its transaction, which counts all that began before; absent: an earlier version did not ask */
  xid?: string;
}

const NAME = /^(\d{8}T\d{9}Z)_(\d+)_([0-9A-F]{24})_([0-9A-F]+)-([0-9A-F]+)(?:_(\d+))?$/;

/** Leaves an empty object whose name says everything, so that listing alone reads a day of them. */
export async function writeHeartbeat(
  repository: Repository,
  database: string,
  heartbeat: Heartbeat,
  signal?: AbortSignal,
): Promise<void> {
  const key = `${heartbeatFolder(database)}${heartbeatName(heartbeat)}`;
  await repository.put(key, '', signal === undefined ? {} : { signal });
}

/** Oldest first; only those of a moment and later, where one is given. */
export async function listHeartbeats(
  repository: Repository,
  database: string,
  options: { since?: string; signal?: AbortSignal } = {},
): Promise<Heartbeat[]> {
  const { since, signal } = options;
  const folder = heartbeatFolder(database);
  const after = since === undefined ? undefined : `${folder}${stampOf(since)}`;
  const found: Heartbeat[] = [];
  for await (const { key } of repository.list(folder, signal, after)) {
    const heartbeat = parseHeartbeatName(key.slice(folder.length));
    if (heartbeat !== null) found.push(heartbeat);
  }
  return found;
}

/** `20260131T140500123Z_1_000000010000000000000003_0-3000148_4711`; the time is cut to milliseconds, never rounded up. */
export function heartbeatName({ at, position, log, timeline, xid }: Heartbeat): string {
  const number = xid === undefined ? '' : `_${xid}`;
  return `${stampOf(at)}_${timeline}_${log}_${position.replace('/', '-')}${number}`;
}

const stampOf = (at: string) => new Date(Date.parse(at)).toISOString().replaceAll(/[-:.]/g, '');

export function parseHeartbeatName(name: string): Heartbeat | null {
  const parts = NAME.exec(name);
  if (parts === null) return null;
  const [, time, timeline, log, high, low, xid] = parts as unknown as string[];
  const at = (time as string).replace(
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z$/,
    '$1-$2-$3T$4:$5:$6.$7Z',
  );
  return {
    ...{ at, timeline: Number(timeline), log: log as string, position: `${high}/${low}` },
    ...(xid === undefined ? {} : { xid }),
  };
}
