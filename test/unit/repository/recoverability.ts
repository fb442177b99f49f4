import type { Manifest } from '../../../src/model/backup.ts';
import { DEFAULT_SEGMENT_BYTES, formatLsn, formatSegmentName, segmentStart } from '../../../src/model/wal.ts';
import type { Heartbeat } from '../../../src/repository/heartbeats.ts';
import type { ArchivedLog } from '../../../src/repository/logs.ts';

/** A clock for tests: segment n is written during the n-th span of ten seconds. */
export const EPOCH = Date.parse('2026-01-31T00:00:00Z');
export const SEGMENT_MS = 10_000;
export const isoAt = (ms: number): string => new Date(EPOCH + ms).toISOString();
export const segmentAt = (ms: number): number => Math.floor(ms / SEGMENT_MS);

export function logName(segment: number, timeline = 1, segmentBytes = DEFAULT_SEGMENT_BYTES): string {
  return formatSegmentName({ timeline, number: BigInt(segment) }, segmentBytes);
}

export function archived(segment: number, timeline = 1, archive = '15-1', stanza = 'shop'): ArchivedLog {
  return {
    kind: 'segment',
    name: logName(segment, timeline),
    ...{ stanza, archive },
    archivedAt: isoAt((segment + 1) * SEGMENT_MS + 1_000),
    key: `pgbackrest/archive/${stanza}/${archive}/0000000100000000/${logName(segment, timeline)}-0.zst`,
  };
}

export function archivedRange(first: number, last: number, timeline = 1, stanza = 'shop'): ArchivedLog[] {
  return Array.from({ length: last - first + 1 }, (_, offset) =>
    archived(first + offset, timeline, '15-1', stanza),
  );
}

export function heartbeat(ms: number, timeline = 1): Heartbeat {
  const segment = segmentAt(ms);
  return {
    at: isoAt(ms),
    timeline,
    log: logName(segment, timeline),
    position: formatLsn(segmentStart(BigInt(segment)) + 4_096n),
  };
}

/** A full physical backup from the start of one segment to `finishedMs`. */
export function base(
  id: string,
  startSegment: number,
  finishedMs: number,
  changes: Partial<Manifest> = {},
): Manifest {
  const stopSegment = segmentAt(finishedMs);
  const timeline = changes.positions?.timeline ?? 1;
  return {
    formatVersion: 1,
    id,
    database: 'shop',
    engine: 'postgres',
    tier: 'physical',
    kind: 'full',
    startedAt: isoAt(startSegment * SEGMENT_MS),
    finishedAt: isoAt(finishedMs),
    sizeBytes: 1,
    databaseBytes: 1,
    dependsOn: [],
    lockedUntil: null,
    serverVersion: '15',
    systemIdentifier: '1',
    stanza: 'shop',
    tools: {},
    encryption: { kmsKeyId: null, repositoryCipher: false },
    databases: [],
    globals: null,
    instructions: null,
    notices: [],
    madeBy: { workflowId: 'w', runId: 'r' },
    ...changes,
    positions: {
      timeline,
      start: formatLsn(segmentStart(BigInt(startSegment)) + 40n),
      stop: formatLsn(segmentStart(BigInt(stopSegment)) + 80n),
      startLog: logName(startSegment, timeline),
      stopLog: logName(stopSegment, timeline),
    },
  };
}

export function onTimeline(timeline: number): Partial<Manifest> {
  return { positions: { timeline, start: null, stop: null, startLog: null, stopLog: null } };
}
