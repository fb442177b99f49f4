import type { LifecycleRule } from '../src/model/lifecycle.ts';
import { formatSegmentName } from '../src/model/wal.ts';
import type {
  AuditedDatabase,
  AuditedNode,
  AuditedVersion,
  AuditFacts,
} from '../src/repository/audit/facts.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const NOW = Date.UTC(2026, 10, 25, 6);
const OBJECTS = 12;
const SEGMENTS_A_DAY = 100;
const KEY = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd';

/** What a fleet has in a repository: the same for the same number, whatever the machine. */
export function fleetFacts(count: number): AuditFacts {
  const random = randomFrom(7);
  const databases = Array.from({ length: count }, (_, index) => databaseOf(`db-${index}`, random));
  const names = databases.map(({ name }) => name);
  const versions = databases
    .flatMap(({ nodes }) => nodes)
    .reduce((sum, node) => sum + node.versions.length, 0);
  return {
    now: NOW,
    repository: { bucket: 'backups', prefix: 'holdfast/', region: 'eu-central-1' },
    bucket: { versioning: 'enabled', objectLock: { retention: { mode: 'COMPLIANCE', days: 15 } } },
    rules: rulesOf(names),
    kmsKeyId: KEY,
    keys: { [KEY]: 'enabled' },
    databases,
    toolFiles: names.flatMap((name) =>
      ['', '.copy'].flatMap((ending) => [
        versionOf(`pgbackrest/archive/${name}/archive.info${ending}`, NOW - 300 * DAY, 4_096),
        versionOf(`pgbackrest/backup/${name}/backup.info${ending}`, NOW - DAY / 2, 16_384),
      ]),
    ),
    orphans: [],
    looked: { versions, markers: 0, bytes: 0, headed: versions },
  };
}

/** Rules for each database, and somebody else's that takes bases. */
function rulesOf(names: readonly string[]): LifecycleRule[] {
  const rule = (id: string, prefix: string, days: number | null): LifecycleRule => ({
    ...{
      id,
      enabled: true,
      prefix: `holdfast/${prefix}`,
      largerThanBytes: null,
      smallerThanBytes: null,
      tags: {},
    },
    ...{ expire: days === null ? null : { days }, transitions: [], noncurrentTransitions: [] },
    ...{ expireNoncurrent: { days: 7, keepNewer: 0 }, removeLoneMarkers: false, abortUploadsAfterDays: 1 },
  });
  return [
    ...names.flatMap((name) => [
      rule(`holdfast-logical-${name}`, `logical/${name}/`, 31),
      rule(`holdfast-snapshot-${name}`, `snapshot/${name}/`, 366),
    ]),
    rule('holdfast-manifest', 'manifest/', 366),
    rule('holdfast-tool', 'pgbackrest/', null),
    rule('old', 'pgbackrest/backup/db-1', 60),
  ];
}

function databaseOf(name: string, random: () => number): AuditedDatabase {
  const minute = Math.floor(random() * 240);
  const cron = (days: string) => `${minute % 60} ${20 + Math.floor(minute / 60)} * * ${days}`;
  const evening = 20 * HOUR + minute * 60_000;
  const today = Math.floor(NOW / DAY) * DAY;
  const nodes: AuditedNode[] = [];
  let full: AuditedNode | null = null;
  for (let day = today - 98 * DAY; day < today; day += DAY) {
    const isSunday = new Date(day).getUTCDay() === 0;
    if (full === null && !isSunday) continue;
    const startedAt = day + evening + Math.floor(random() * 60_000);
    const made = baseOf(name, startedAt, isSunday ? null : full);
    if (isSunday) full = made;
    nodes.push(made);
  }
  for (let ago = 30; ago > 0; ago -= 1) nodes.push(copyOf(name, 'logical', today - ago * DAY + 2 * HOUR));
  for (let month = 0; month < 12; month += 1) {
    nodes.push(copyOf(name, 'snapshot', Date.UTC(2025, 11 + month, 1, 18)));
  }
  for (let ago = 20; ago > 0; ago -= 1) nodes.push(logsOf(name, today - ago * DAY));
  return {
    ...{ name, stanza: name, nodes },
    policy: {
      ...{ windowMs: 7 * DAY, logicalMs: 30 * DAY, physicalMs: 90 * DAY, snapshotMs: 365 * DAY },
      ...{ fulls: [cron('0')], diffs: [cron('1-6')], logicals: ['0 2 * * *'], snapshots: true },
      ...{ retentionFull: 15, retentionArchive: 3, lock: 'COMPLIANCE' },
      ...{ logicalClass: 'STANDARD_IA', snapshotClass: 'DEEP_ARCHIVE' },
    },
  };
}

function baseOf(name: string, startedAt: number, full: AuditedNode | null): AuditedNode {
  const stamp = new Date(startedAt).toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  const id = full === null ? `${stamp}F` : `${full.id}_${stamp}D`;
  const folder = `pgbackrest/backup/${name}/${id}/`;
  const finishedAt = startedAt + HOUR / 2;
  const segment = segmentAt(startedAt);
  return {
    ...{ id, kind: full === null ? 'full' : 'diff', startedAt, finishedAt, readBy: 'key', missing: [] },
    needs: full === null ? [] : [full.id],
    versions: [
      ...Array.from({ length: OBJECTS }, (_, index) =>
        versionOf(`${folder}bundle/${index}`, startedAt + index, 2 ** 28),
      ),
      versionOf(`manifest/${name}/${id}.json`, finishedAt, 4_096),
    ],
    replayFrom: { archive: `${name}/15-1`, timeline: 1, first: segment, stop: segment + 2 },
  };
}

function copyOf(name: string, kind: 'logical' | 'snapshot', finishedAt: number): AuditedNode {
  const id = new Date(finishedAt).toISOString().slice(0, 10);
  return {
    ...{
      id: `${kind}-${id}`,
      kind,
      startedAt: finishedAt,
      finishedAt,
      needs: [],
      readBy: 'version',
      missing: [],
    },
    versions: [
      ...Array.from({ length: OBJECTS }, (_, index) =>
        versionOf(`${kind}/${name}/${id}/${index}`, finishedAt, 2 ** 26),
      ),
      versionOf(`manifest/${name}/${kind}-${id}.json`, finishedAt, 4_096),
    ],
  };
}

function logsOf(name: string, midnight: number): AuditedNode {
  const first = segmentAt(midnight);
  const last = first + SEGMENTS_A_DAY - 1;
  const nameAt = (number: number) => formatSegmentName({ timeline: 1, number: BigInt(number) });
  return {
    ...{ id: `logs ${nameAt(first)}..${nameAt(last)}`, kind: 'logs', startedAt: midnight },
    ...{ finishedAt: midnight + DAY - 1, needs: [], readBy: 'key', missing: [] },
    versions: Array.from({ length: SEGMENTS_A_DAY }, (_, index) => {
      const segment = nameAt(first + index);
      const key = `pgbackrest/archive/${name}/15-1/${segment.slice(0, 16)}/${segment}-0a.zst`;
      return versionOf(key, midnight + Math.floor(((index + 1) * DAY) / SEGMENTS_A_DAY) - 1, 2 ** 20);
    }),
    segments: { archive: `${name}/15-1`, timeline: 1, first, last },
  };
}

const segmentAt = (at: number): number => Math.floor((at / DAY) * SEGMENTS_A_DAY);

function versionOf(key: string, writtenAt: number, sizeBytes: number): AuditedVersion {
  return {
    ...{
      key,
      versionId: 'v1',
      writtenAt,
      sizeBytes,
      storageClass: 'STANDARD',
      noncurrentSince: null,
      under: null,
    },
    ...{ lock: { mode: 'COMPLIANCE', until: writtenAt + 400 * DAY }, legalHold: false },
    ...{ kmsKeyId: KEY, encrypted: true },
  };
}

/** A linear congruential generator: the numbers of Numerical Recipes. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
