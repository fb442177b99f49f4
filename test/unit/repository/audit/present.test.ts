import { describe, expect, test } from 'vitest';
import { audit } from '../../../../src/repository/audit/audit.ts';
import type {
  AuditedDatabase,
  AuditedNode,
  AuditedVersion,
  AuditFacts,
} from '../../../../src/repository/audit/facts.ts';
import { findingsOfSettings } from '../../../../src/repository/audit/settings.ts';
import type { BucketSettings } from '../../../../src/repository/bucket/settings.ts';
import { DAY, factsOf, found, KEY, lines, NOW, RULES, shop, toolFiles, version } from './situation.ts';

/** The shop with some of its nodes changed; null: gone. */
function changed(change: (node: AuditedNode) => AuditedNode | null): AuditFacts {
  const database: AuditedDatabase = shop();
  const nodes = database.nodes.map(change).filter((node) => node !== null);
  return factsOf({ databases: [{ ...database, nodes }] });
}

const each = (node: AuditedNode, given: Partial<AuditedVersion>): AuditedNode => ({
  ...node,
  versions: node.versions.map((one) => ({ ...one, ...given })),
});

const MARKED = { noncurrentSince: NOW - DAY, under: 'marker' } as const;

describe('gone, deleted and overwritten', () => {
  test('a full that has lost an object takes its differentials with it', () => {
    const key = 'pgbackrest/backup/shop/202611152030F/backup.manifest';
    const facts = changed((node) => (node.id === '202611152030F' ? { ...node, missing: [key] } : node));
    expect(lines(audit(facts))).toEqual([
      `critical missing shop now: full 202611152030F has lost 1 object that it cannot be restored without (${key}): 6 differentials need it and are lost with it`,
      "critical window-broken shop 2026-11-29: the window of 7d is not kept from 2026-11-29 on, for 30m: the tool's own expiry removes the logs from full 202611082030F on, and no other base is old enough by then",
    ]);
    expect(audit(facts).calendars[0]?.spans[0]).toMatchObject({
      state: 'broken',
      fulls: 4,
      broken: [
        '1 full backup cannot be restored, and should',
        '6 differentials cannot be restored, and should',
      ],
    });
  });

  test('a differential whose full nobody knows', () => {
    const facts = changed((node) => (node.id === '202611152030F' ? null : node));
    expect(found(facts, 'missing')[0]?.what).toBe(
      'differential 202611152030F_202611162030D needs 202611152030F, which is not in the repository; 5 more backups lack something too',
    );
  });

  test('a marker is the end for the tool, and ours restore by their versions', () => {
    const facts = changed((node) =>
      node.kind === 'full' || node.kind === 'logical' ? each(node, MARKED) : node,
    );
    const [full, logical] = found(facts, 'behind-marker');
    expect(full).toMatchObject({ severity: 'critical', firstDay: null });
    expect(full?.what).toContain(
      'what lies below is not seen any more, and it cannot be restored: 4 differentials need it and are lost with it; 4 more backups lie below the same',
    );
    expect(logical).toMatchObject({ severity: 'warning' });
    expect(logical?.what).toContain('it can be restored all the same, by its versions');
    expect(audit(facts).calendars[0]?.spans[0]).toMatchObject({ fulls: 0, differentials: 0, logicals: 30 });
  });

  test('the newest full is damaged: what the schedules make until the next one builds on it', () => {
    const key = 'pgbackrest/backup/shop/202611222030F/backup.manifest';
    const facts = changed((node) => (node.id === '202611222030F' ? { ...node, missing: [key] } : node));
    expect(found(facts, 'missing')[0]?.what).toContain(
      ': 2 differentials need it and are lost with it; 4 differentials to be made would build on it',
    );
  });

  test('a marker on a manifest that is not locked takes the backup out of the catalog', () => {
    const facts = changed((node) =>
      node.kind === 'logical'
        ? {
            ...node,
            versions: node.versions.map((one) =>
              one.key.startsWith('manifest/') ? { ...one, ...MARKED, lock: null } : one,
            ),
          }
        : node,
    );
    expect(found(facts, 'behind-marker')[0]).toMatchObject({ severity: 'critical' });
    expect(audit(facts).calendars[0]?.spans[0]).toMatchObject({ logicals: 0 });
  });

  test('a newer version on top of the base', () => {
    const over = { noncurrentSince: NOW - DAY, under: 'version' } as const;
    const facts = changed((node) => (node.id === '202611222030F' ? each(node, over) : node));
    expect(found(facts, 'overwritten')[0]).toMatchObject({ severity: 'critical' });
    expect(found(facts, 'overwritten')[0]?.what).toMatch(/^a newer version lies on top of 2 objects of full/);
  });

  test.each(['marker', 'nothing'] as const)('logs of a day within the window: %s', (left) => {
    const isLost = ({ kind, startedAt }: AuditedNode) =>
      kind === 'logs' && startedAt === Date.parse('2026-11-20T00:00:00Z');
    const facts = changed((node) => (!isLost(node) ? node : left === 'marker' ? each(node, MARKED) : null));
    const [logs] = found(facts, left === 'marker' ? 'behind-marker' : 'missing');
    expect(logs?.severity).toBe('critical');
    expect(logs?.what).toBe(
      left === 'marker'
        ? '24 logs lie behind delete markers, from 000000010000000000079BD8 on: no recovery from differential 202611152030F_202611172030D goes beyond'
        : '24 logs are missing, behind 000000010000000000079BD7: no recovery from differential 202611152030F_202611172030D goes beyond',
    );
    expect(found(facts, 'window-broken')[0]?.what).toBe(
      'the window of 7d is not kept now, for 3d8h: only from 2026-11-21T20:30Z on everything can be recovered; what is older is damaged, or its logs are',
    );
  });

  test('logs that the tool has expired, or that lie before the window, are nobody’s loss', () => {
    const isOld = ({ kind, startedAt }: AuditedNode) => kind === 'logs' && startedAt < NOW - 12 * DAY;
    expect(lines(audit(changed((node) => (isOld(node) ? each(node, MARKED) : node))))).toEqual([]);
    expect(lines(audit(changed((node) => (isOld(node) ? null : node))))).toEqual([]);
  });

  test("the tool's files: below a marker, in an archive class, or not there", () => {
    const with_ = (given: Partial<AuditedVersion>) =>
      factsOf({ toolFiles: toolFiles().map((one) => ({ ...one, ...given })) });
    expect(found(with_(MARKED), 'behind-marker').map(({ severity }) => severity)).toEqual([
      'critical',
      'critical',
    ]);
    expect(audit(with_(MARKED)).calendars[0]?.spans[0]?.state).toBe('broken');
    expect(found(with_({ storageClass: 'GLACIER' }), 'archived')[0]?.what).toBe(
      'an archive class holds pgbackrest/archive/shop/archive.info now: pgBackRest reads it at every step, and neither archives nor restores without it, and it has to be thawed first',
    );
    expect(found(factsOf({ toolFiles: [] }), 'missing')).toHaveLength(2);
  });
});

describe('locks', () => {
  test('a full is locked until its last differential is promised no more', () => {
    const facts = changed((node) =>
      node.kind === 'full'
        ? each(node, { lock: { mode: 'COMPLIANCE', until: node.finishedAt + 28 * DAY } })
        : node,
    );
    expect(lines(audit(facts))).toEqual([
      'warning lock-short shop now: the lock on pgbackrest/backup/shop/202610252030F/pg_data.bundle of full 202610252030F ends on 2026-11-22, 6d before it is needed no more (2026-11-28); 9 more objects are as loose',
    ]);
  });

  test('a lock that somebody shortened, and one of the weaker mode', () => {
    const lock = { mode: 'COMPLIANCE', until: NOW + DAY } as const;
    const short = changed((node) => (node.id === 'logical-202611250200' ? each(node, { lock }) : node));
    expect(found(short, 'lock-short')).toEqual([
      expect.objectContaining({
        severity: 'warning',
        firstDay: '2026-11-26',
        what: 'the lock on logical/shop/logical-202611250200/dump of logical backup logical-202611250200 ends on 2026-11-26, 28d14h before it is needed no more (2026-12-25); 1 more object is as loose',
      }),
    ]);
    const weak = { mode: 'GOVERNANCE', until: NOW + 400 * DAY } as const;
    const weaker = changed((node) =>
      node.id === 'logical-202611250200' ? each(node, { lock: weak }) : node,
    );
    expect(found(weaker, 'lock-short')[0]?.what).toContain(
      'is locked in GOVERNANCE, and COMPLIANCE is configured',
    );
  });

  test('none at all; a legal hold will do, and what was not asked is not accused', () => {
    expect(
      found(
        changed((node) => each(node, { lock: null })),
        'not-locked',
      ),
    ).toHaveLength(1);
    expect(
      found(
        changed((node) => each(node, { lock: null, legalHold: true })),
        'not-locked',
      ),
    ).toEqual([]);
    const unasked = changed((node) => ({
      ...node,
      versions: node.versions.map(({ lock: _, ...one }) => one),
    }));
    expect(lines(audit(unasked))).toEqual([]);
    const off = { ...shop(NOW, { lock: null }) };
    expect(
      found(factsOf({ databases: [off], bucket: { versioning: 'enabled', objectLock: null } }), 'not-locked'),
    ).toEqual([]);
  });

  test("the tool's own files are locked for as long as any of its backups is promised", () => {
    const lock = { mode: 'COMPLIANCE', until: Date.parse('2026-12-01T12:00:00Z') } as const;
    const facts = factsOf({ toolFiles: toolFiles().map((one) => ({ ...one, lock })) });
    expect(lines(audit(facts))).toEqual([
      'warning lock-short shop 2026-12-01: the lock on pgbackrest/archive/shop/archive.info of the tool itself ends on 2026-12-01, 21d8h before it is needed no more (2026-12-22); 3 more objects are as loose',
    ]);
  });

  test("the bucket's default has to cover the logs to come", () => {
    const days = (retention: { mode: 'COMPLIANCE'; days: number } | null) =>
      factsOf({ bucket: { versioning: 'enabled', objectLock: { retention } } });
    expect(lines(audit(days({ mode: 'COMPLIANCE', days: 8 })))).toEqual([]);
    expect(found(days({ mode: 'COMPLIANCE', days: 7 }), 'lock-short')).toEqual([
      expect.objectContaining({
        firstDay: '2026-12-02',
        what: 'logs archived from 2026-11-25 on are locked for 7 days, until 2026-12-02, and needed until 2026-12-03',
      }),
    ]);
    expect(found(days(null), 'not-locked')[0]?.what).toContain('the bucket has no default retention');
  });
});

describe('keys', () => {
  test('a disabled key: nothing of it can be restored', () => {
    const [first] = found(factsOf({ keys: { [KEY]: 'disabled' } }), 'key-unusable');
    expect(first).toMatchObject({ severity: 'critical', database: 'shop', firstDay: null });
    expect(first?.what).toMatch(
      /^key \S+ is disabled: \d+ objects that were looked at of shop cannot be read, and no backup can be written$/,
    );
    expect(first?.hint).toContain('aws kms enable-key');
    const [deleted] = found(factsOf({ keys: { [KEY]: 'pending-deletion' } }), 'key-unusable');
    expect(deleted?.hint).toContain('cancel the deletion at once');
  });

  test('an object without the key, or under another; an id and its ARN are one', () => {
    const facts = changed((node) =>
      node.kind === 'logical'
        ? each(node, { kmsKeyId: null })
        : node.kind === 'full'
          ? each(node, { kmsKeyId: 'other' })
          : each(node, { kmsKeyId: '1234abcd' }),
    );
    expect(lines(audit(facts))).toEqual([
      expect.stringContaining("is encrypted with the store's own key, and"),
      expect.stringContaining('is encrypted with other, and'),
    ]);
  });
});

describe('cost', () => {
  test('without rules everything grows for ever', () => {
    expect(lines(audit(factsOf({ rules: [] })))).toEqual(
      ['archived logs', 'logical backups', 'physical backups', 'snapshots'].map(
        (what) =>
          `info never-expires shop now: no rule ever removes ${what} of shop for good: they grow for ever, and are paid for`,
      ),
    );
    const fleet = ['a', 'b', 'c'].map((name) => ({ ...shop(), name }));
    const [first] = found(factsOf({ rules: RULES.slice(1), databases: fleet }), 'never-expires');
    expect(first).toMatchObject({ database: null });
    expect(first?.what).toContain('logical backups of 3 databases');
  });

  test('what belongs to nothing is named: an aborted full, and another database’s backups', () => {
    const aborted = {
      why: 'backup x of shop was never completed: it has no backup.manifest',
      database: 'shop',
    };
    const stranger = {
      why: 'crm is no database of the configuration, and its backups are here',
      database: null,
    };
    const facts = factsOf({
      orphans: [
        { ...aborted, versions: [version('pgbackrest/backup/shop/x/pg_data.bundle', NOW - DAY)] },
        { ...stranger, versions: [version('logical/crm/1/dump', NOW), version('manifest/crm/1.json', NOW)] },
      ],
    });
    expect(lines(audit(facts))).toEqual([
      'info orphan - now: 2 objects of 1.9 MiB that nobody needs (logical/crm/1/dump): crm is no database of the configuration, and its backups are here',
      'info orphan shop now: 1 object of 977 KiB that nobody needs (pgbackrest/backup/shop/x/pg_data.bundle): backup x of shop was never completed: it has no backup.manifest',
    ]);
  });
});

test('settings of the bucket: what is weaker than it should be, by how bad it is', () => {
  const desired: BucketSettings = {
    region: 'eu-central-1',
    versioning: 'enabled',
    objectLock: { retention: { mode: 'COMPLIANCE', days: 15 } },
    encryption: { algorithm: 'aws:kms', kmsKeyId: KEY, bucketKey: true },
    publicAccessBlocked: true,
    policy: null,
    rules: [],
    lacking: [],
  };
  expect(findingsOfSettings(desired, desired)).toEqual([]);
  const bare: BucketSettings = {
    ...desired,
    versioning: 'off',
    objectLock: null,
    publicAccessBlocked: false,
  };
  expect(findingsOfSettings(bare, desired).map(({ severity, what }) => `${severity} ${what}`)).toEqual([
    'critical versioning: is off, should be enabled',
    expect.stringMatching(/^critical Object Lock: is /),
    'warning public access: is not blocked, should be blocked',
  ]);
  const poor: BucketSettings = { ...bare, lacking: ['versioning', 'object-lock', 'transitions'] };
  expect(findingsOfSettings(poor, desired).map(({ severity }) => severity)).toEqual([
    'warning',
    'critical',
    'critical',
  ]);
});

test('a hole on a timeline that was left counts for the bases of it', () => {
  const database = shop();
  const turn = Date.parse('2026-11-23T00:00:00Z');
  const nodes = database.nodes
    .filter(({ startedAt, kind }) => kind !== 'logs' || startedAt !== Date.parse('2026-11-20T00:00:00Z'))
    .map((node) => {
      const { segments } = node;
      return segments && node.startedAt >= turn ? { ...node, segments: { ...segments, timeline: 2 } } : node;
    });
  const facts = factsOf({ databases: [{ ...database, nodes }] });
  expect(found(facts, 'missing')[0]?.what).toMatch(/^24 logs are missing, behind 000000010000000000079BD7/);
});
