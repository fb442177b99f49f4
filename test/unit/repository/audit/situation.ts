import type { AuditFinding, AuditReport, FindingCode } from '../../../../src/model/audit.ts';
import type { LifecycleRule } from '../../../../src/model/lifecycle.ts';
import { audit } from '../../../../src/repository/audit/audit.ts';
import type {
  AuditedDatabase,
  AuditedNode,
  AuditedPolicy,
  AuditedVersion,
  AuditFacts,
} from '../../../../src/repository/audit/facts.ts';

export const DAY = 86_400_000;
export const KEY = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd';
/** A Wednesday: fulls are made on Sundays at 20:00, differentials on the other days, logical backups at 02:00. */
export const NOW = Date.parse('2026-11-25T12:00:00Z');

export const at = (iso: string): number => Date.parse(iso.length === 10 ? `${iso}T00:00:00Z` : iso);

export const POLICY: AuditedPolicy = {
  windowMs: 7 * DAY,
  logicalMs: 30 * DAY,
  physicalMs: 28 * DAY,
  snapshotMs: 365 * DAY,
  fulls: ['0 20 * * 0'],
  diffs: ['0 20 * * 1-6'],
  logicals: ['0 2 * * *'],
  snapshots: true,
  retentionFull: 6,
  retentionArchive: 3,
  lock: 'COMPLIANCE',
  logicalClass: 'STANDARD',
  snapshotClass: 'DEEP_ARCHIVE',
};

const RULE: LifecycleRule = {
  id: 'some',
  enabled: true,
  prefix: '',
  largerThanBytes: null,
  smallerThanBytes: null,
  tags: {},
  expire: null,
  transitions: [],
  expireNoncurrent: null,
  noncurrentTransitions: [],
  removeLoneMarkers: false,
  abortUploadsAfterDays: null,
};
export const rule = (given: Partial<LifecycleRule> & { id: string; prefix: string }): LifecycleRule => ({
  ...RULE,
  ...given,
});

/** What the configuration asks for. */
export const RULES: LifecycleRule[] = [
  ...(['logical/', 'manifest/', 'snapshot/'] as const).map((prefix) =>
    rule({
      id: `holdfast-${prefix.slice(0, -1)}`,
      prefix,
      expire: { days: prefix === 'logical/' ? 31 : 366 },
      expireNoncurrent: { days: 1, keepNewer: 0 },
    }),
  ),
  rule({ id: 'holdfast-tool', prefix: 'pgbackrest/', expireNoncurrent: { days: 7, keepNewer: 0 } }),
];

export function version(key: string, writtenAt: number, given: Partial<AuditedVersion> = {}): AuditedVersion {
  return {
    key,
    versionId: `${key}@${writtenAt}`,
    writtenAt,
    sizeBytes: 1_000_000,
    storageClass: 'STANDARD',
    noncurrentSince: null,
    under: null,
    lock: { mode: 'COMPLIANCE', until: writtenAt + 400 * DAY },
    legalHold: false,
    kmsKeyId: KEY,
    encrypted: true,
    ...given,
  };
}

/** Where its logs lie. */
const ARCHIVE = 'shop/15-1';

const stamp = (time: number): string => new Date(time).toISOString().slice(0, 16).replaceAll(/[-:T]/g, '');
const segmentAt = (time: number): number => Math.floor(time / 3_600_000);
const named = (segment: number): string => `00000001${segment.toString(16).toUpperCase().padStart(16, '0')}`;

/** A full or a differential of half an hour, with everything that belongs to it. */
export function base(kind: 'full' | 'diff', endedAt: number, of?: AuditedNode): AuditedNode {
  const id = kind === 'full' ? `${stamp(endedAt)}F` : `${of?.id}_${stamp(endedAt)}D`;
  const startedAt = endedAt - DAY / 48;
  const folder = `pgbackrest/backup/shop/${id}/`;
  return {
    ...{ id, kind, startedAt, finishedAt: endedAt, needs: of === undefined ? [] : [of.id], readBy: 'key' },
    versions: [
      version(`${folder}pg_data.bundle`, startedAt),
      version(`${folder}backup.manifest`, endedAt),
      version(`manifest/shop/${id}.json`, endedAt),
    ],
    missing: [],
    replayFrom: { archive: ARCHIVE, timeline: 1, first: segmentAt(startedAt), stop: segmentAt(endedAt) },
  };
}

function copy(kind: 'logical' | 'snapshot', endedAt: number): AuditedNode {
  const id = `${kind}-${stamp(endedAt)}`;
  return {
    ...{ id, kind, startedAt: endedAt, finishedAt: endedAt, needs: [], readBy: 'version', missing: [] },
    versions: [
      version(
        `${kind}/shop/${id}/dump`,
        endedAt,
        kind === 'snapshot' ? { storageClass: 'DEEP_ARCHIVE' } : {},
      ),
      version(`manifest/shop/${id}.json`, endedAt),
    ],
  };
}

/** The segments of a day, one an hour, up to now. */
function logsOf(midnight: number, now: number): AuditedNode {
  const [first, last] = [segmentAt(midnight), Math.min(segmentAt(midnight + DAY), segmentAt(now)) - 1];
  const versions = Array.from({ length: last - first + 1 }, (_, index) =>
    version(
      `pgbackrest/archive/shop/15-1/${named(first).slice(0, 16)}/${named(first + index)}-0a.zst`,
      midnight + (index + 1) * 3_600_000 - 1,
    ),
  );
  return {
    id: `logs ${named(first)}..${named(last)}`,
    ...{ kind: 'logs', startedAt: midnight, finishedAt: midnight + DAY - 1, needs: [], readBy: 'key' },
    versions,
    missing: [],
    segments: { archive: ARCHIVE, timeline: 1, first, last },
  };
}

/** Five weeks of a database that is well: what each situation starts from. */
export function shop(now: number = NOW, policy: Partial<AuditedPolicy> = {}): AuditedDatabase {
  const nodes: AuditedNode[] = [];
  const today = Math.floor(now / DAY) * DAY;
  let full: AuditedNode | undefined;
  for (let day = today - 35 * DAY; day <= today; day += DAY) {
    const evening = day + 20 * 3_600_000 + DAY / 48;
    const isSunday = new Date(day).getUTCDay() === 0;
    const made =
      evening > now ? null : isSunday ? base('full', evening) : full && base('diff', evening, full);
    if (isSunday && made) full = made;
    if (made) nodes.push(made);
    if (day > today - 30 * DAY) nodes.push(copy('logical', day + 2 * 3_600_000));
    nodes.push(logsOf(day, now));
  }
  for (let month = 1; month <= 11; month += 1) {
    nodes.push(copy('snapshot', Date.UTC(2026, month - 1, 1, 18)));
  }
  return { name: 'shop', stanza: 'shop', policy: { ...POLICY, ...policy }, nodes };
}

export function factsOf(given: Partial<AuditFacts> = {}): AuditFacts {
  const { now = NOW } = given;
  return {
    now,
    repository: { bucket: 'backups', prefix: '', region: 'eu-central-1' },
    bucket: { versioning: 'enabled', objectLock: { retention: { mode: 'COMPLIANCE', days: 15 } } },
    rules: RULES,
    kmsKeyId: KEY,
    keys: { [KEY]: 'enabled' },
    databases: [shop(now)],
    toolFiles: toolFiles(now),
    orphans: [],
    looked: { versions: 0, markers: 0, bytes: 0, headed: 0 },
    ...given,
  };
}

/** `archive.info` was written when the stanza was made, `backup.info` after the last backup. */
export const toolFiles = (now: number = NOW): AuditedVersion[] =>
  ['', '.copy'].flatMap((ending) => [
    version(`pgbackrest/archive/shop/archive.info${ending}`, now - 36 * DAY),
    version(`pgbackrest/backup/shop/backup.info${ending}`, now - DAY / 2),
  ]);

/** A report as one reads it: a line for each finding. */
export const lines = ({ findings }: AuditReport): string[] =>
  findings.map(
    ({ severity, code, database, firstDay, what }) =>
      `${severity} ${code} ${database ?? '-'} ${firstDay ?? 'now'}: ${what}`,
  );

/** The findings of one kind. */
export function found(facts: AuditFacts, code: FindingCode, days?: number): AuditFinding[] {
  return audit(facts, days).findings.filter((one) => one.code === code);
}
