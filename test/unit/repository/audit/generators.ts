import fc from 'fast-check';
import type { LifecycleRule } from '../../../../src/model/lifecycle.ts';
import type {
  AuditedDatabase,
  AuditedPolicy,
  AuditedVersion,
  AuditFacts,
} from '../../../../src/repository/audit/facts.ts';
import { accidents, befall } from './generated-accidents.ts';
import { nodesOf, orderlyHistories, plain, wildHistories } from './generated-history.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
/** One name begins with another: a rule's prefix without a slash fits both. */
const NAMES = ['shop', 'shop2'];
const CLASSES = ['STANDARD', 'STANDARD_IA', 'GLACIER', 'DEEP_ARCHIVE'];

/** Moments on and around midnights and the ends of months, where off-by-one errors live. */
export const moments: fc.Arbitrary<number> = fc
  .record({
    day: fc.oneof(
      fc.integer({ min: 0, max: 400 }),
      fc.constantFrom(Date.UTC(2027, 0, 1), Date.UTC(2027, 1, 28), Date.UTC(2026, 11, 31)).map(dayOf),
    ),
    offset: fc.oneof(
      fc.constantFrom(0, 1, DAY - 1, 18 * HOUR, 12 * HOUR),
      fc.integer({ min: 0, max: DAY - 1 }),
    ),
  })
  .map(({ day, offset }) => Date.UTC(2026, 5, 1) + day * DAY + offset);

function dayOf(at: number): number {
  return (at - Date.UTC(2026, 5, 1)) / DAY;
}

const days = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
/** Durations: mostly whole days, some a little beside. */
const spans = (max: number): fc.Arbitrary<number> =>
  fc
    .tuple(days(max), fc.constantFrom(0, 0, 0, 0, 1, -1, HOUR, -HOUR))
    .map(([length, beside]) => length * DAY + beside);

const fullCrons = fc.constantFrom<string[]>(
  ...[['0 20 * * 0'], ['0 20 * * 0'], ['30 3 * * *'], ['0 0 * * *'], ['0 0 */3 * *'], ['15 6 1 * *'], []],
  ['0 20 * * 0', '0 8 * * 3'],
);
const diffCrons = fc.constantFrom<string[]>(
  ...[['0 20 * * 1-6'], ['0 20 * * 1-6'], ['0 20 * * *'], ['0 0 * * *'], ['0 2,14 * * *'], []],
);
const logicalCrons = fc.constantFrom<string[]>(
  ['0 2 * * *'],
  ['0 2 * * *'],
  ['0 0 * * *'],
  ['0 18 1 * *'],
  [],
);

export function policies(scale: number): fc.Arbitrary<AuditedPolicy> {
  return fc
    .record({
      windowMs: fc.option(spans(14), { freq: 6 }),
      logicalMs: spans(30 * scale),
      physicalMs: spans(40 * scale),
      snapshotMs: fc.oneof(spans(100), fc.constant(365 * DAY)),
      fulls: fullCrons,
      diffs: diffCrons,
      logicals: logicalCrons,
      snapshots: fc.boolean(),
      retentionFull: fc.oneof(fc.integer({ min: 1, max: 7 }), fc.constant(15)),
      archive: fc.integer({ min: 1, max: 7 }),
      lock: fc.constantFrom(null, 'GOVERNANCE' as const, 'COMPLIANCE' as const),
      logicalClass: fc.constantFrom('STANDARD', 'STANDARD_IA', 'GLACIER'),
      snapshotClass: fc.constantFrom('STANDARD', 'DEEP_ARCHIVE'),
    })
    .map(({ archive, ...policy }) => ({
      ...policy,
      retentionArchive: Math.min(policy.retentionFull, archive),
    }));
}

/** Enough fulls are kept for what is promised, as Holdfast derives it. */
function sensiblePolicies(scale: number): fc.Arbitrary<AuditedPolicy> {
  const schedules = fc.constantFrom<{ fulls: string[]; diffs: string[]; gap: number }>(
    { fulls: ['0 20 * * 0'], diffs: ['0 20 * * 1-6'], gap: 7 },
    { fulls: ['0 0 * * *'], diffs: [], gap: 1 },
    { fulls: ['0 20 * * 0', '0 8 * * 3'], diffs: ['0 2,14 * * *'], gap: 5 },
  );
  return fc.tuple(policies(scale), schedules).map(([policy, { gap, ...crons }]) => {
    const keep = (kept: number) => Math.max(2, Math.ceil(kept / DAY / gap) + 1);
    const retentionFull = keep(policy.physicalMs);
    const retentionArchive = Math.min(retentionFull, keep(policy.windowMs ?? 0));
    return { ...policy, ...crons, retentionFull, retentionArchive };
  });
}

const prefixes = (prefix: string) =>
  fc
    .constantFrom(
      ...['', 'pgbackrest/', 'pgbackrest/archive/', 'pgbackrest/archive/shop/', 'pgbackrest/backup/'],
      ...['pgbackrest/backup/shop/', 'logical/', 'logical/shop/', 'logical/shop', 'snapshot/', 'manifest/'],
      ...['manifest/shop/', 'log/', 'other/', 'pgbackrest/backup/shop/F1', 'logical/shop/L'],
    )
    .map((own) => prefix + own);

function dues(now: number): fc.Arbitrary<LifecycleRule['expire'] & object> {
  const today = Math.floor(now / DAY) * DAY;
  return fc.oneof(
    { weight: 6, arbitrary: days(60).map((count) => ({ days: count })) },
    {
      weight: 1,
      arbitrary: fc
        .integer({ min: -10, max: 30 })
        .map((later) => ({ date: new Date(today + later * DAY).toISOString() })),
    },
  );
}

function rules(now: number, prefix: string): fc.Arbitrary<Omit<LifecycleRule, 'id'>> {
  return fc.record({
    enabled: fc.constantFrom(true, true, true, true, true, false),
    prefix: prefixes(prefix),
    largerThanBytes: sometimes(fc.constantFrom(16_383, 16_384, 131_072, 1_073_741_824), 6),
    smallerThanBytes: sometimes(fc.constantFrom(16_384, 16_385, 1_048_577, 1_073_741_824), 6),
    tags: fc.constantFrom<Record<string, string>>({}, {}, {}, {}, {}, {}, {}, { keep: 'short' }),
    expire: sometimes(dues(now), 2),
    transitions: fc.array(fc.record({ due: dues(now), storageClass: fc.constantFrom(...CLASSES) }), {
      maxLength: 2,
    }),
    expireNoncurrent: sometimes(fc.record({ days: days(40), keepNewer: fc.constantFrom(0, 0, 0, 1, 2) }), 2),
    noncurrentTransitions: fc.array(
      fc.record({ days: days(20), storageClass: fc.constantFrom(...CLASSES) }),
      { maxLength: 1 },
    ),
    removeLoneMarkers: fc.boolean(),
    abortUploadsAfterDays: fc.constantFrom(null, 1),
  });
}

/** One in so many is set, the rest are null. */
function sometimes<T>(arbitrary: fc.Arbitrary<T>, oneIn: number): fc.Arbitrary<T | null> {
  return fc.oneof({ weight: oneIn - 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
}

/** Whatever a bucket may hold and a configuration may promise, most of it far from what anybody would want. */
export function facts(scale = 1): fc.Arbitrary<AuditFacts> {
  return fc
    .tuple(moments, fc.constantFrom('', '', 'holdfast/'))
    .chain(([now, prefix]) =>
      fc.record({
        now: fc.constant(now),
        repository: fc.constant<AuditFacts['repository']>({
          bucket: 'backups',
          prefix,
          region: 'eu-central-1',
        }),
        bucket: buckets,
        rules: fc
          .array(rules(now, prefix), { maxLength: 4 })
          .map((list) => list.map((rule, at): LifecycleRule => ({ id: `rule-${at}`, ...rule }))),
        kmsKeyId: fc.constant(null),
        keys: fc.constant<AuditFacts['keys']>({}),
        databases: fc
          .integer({ min: 1, max: 2 })
          .chain((count) => fc.tuple(...NAMES.slice(0, count).map((name) => databases(name, now, scale)))),
        toolFiles: toolFiles(now),
        looked: fc.constant({ versions: 0, markers: 0, bytes: 0, headed: 0 }),
      }),
    )
    .map(({ databases: drawn, ...others }) => {
      const [list, versions] = [
        drawn.map(({ database }) => database),
        drawn.flatMap(({ brought }) => brought),
      ];
      const orphans = versions.length === 0 ? [] : [{ versions, why: 'nobody wrote it', database: null }];
      return withoutLocksWhereThereAreNone({ ...others, databases: list, orphans });
    });
}

/** Books of the tool, written long ago or today, in which something may be wrong. */
function toolFiles(now: number): fc.Arbitrary<AuditFacts['toolFiles']> {
  const file = (name: string) =>
    fc
      .record({
        age: fc.integer({ min: 0, max: 60 }),
        isThere: fc.boolean(),
        isHidden: sometimes(fc.constant(true), 15),
      })
      .map(({ age, isThere, isHidden }) => {
        const version = plain(`pgbackrest/${name}`, now - age * DAY, 2_000);
        if (isHidden) Object.assign(version, { noncurrentSince: now - 1, under: 'marker' });
        return isThere ? [version] : [];
      });
  const pairs = ['archive/shop/archive.info', 'backup/shop/backup.info'];
  const files = fc.tuple(...pairs.flatMap((name) => [file(name), file(`${name}.copy`)]));
  return sometimes(files, 3).map((drawn) => (drawn ?? []).flat());
}

const buckets: fc.Arbitrary<AuditFacts['bucket']> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      versioning: fc.constant('enabled' as const),
      objectLock: fc.oneof(
        fc.constant(null),
        fc.record({
          retention: fc.option(
            fc.record({
              mode: fc.constantFrom('GOVERNANCE' as const, 'COMPLIANCE' as const),
              days: days(30),
            }),
            { freq: 3 },
          ),
        }),
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      versioning: fc.constantFrom('off' as const, 'suspended' as const),
      objectLock: fc.constant(null),
    }),
  },
);

interface Drawn {
  database: AuditedDatabase;
  /** versions that belong to nothing */
  brought: AuditedVersion[];
}

function databases(name: string, now: number, scale: number): fc.Arbitrary<Drawn> {
  const wild = fc.record({ policy: policies(scale), history: wildHistories(now) });
  const orderly = sensiblePolicies(scale).chain((policy) =>
    fc.record({ policy: fc.constant(policy), history: orderlyHistories(now, policy) }),
  );
  return fc.tuple(fc.oneof(wild, orderly, orderly), accidents).map(([{ policy, history }, drawn]) => {
    const nodes = nodesOf(name, now, history);
    const brought = drawn.flatMap((accident) => befall(nodes, accident, now));
    return { database: { name, stanza: name, policy, nodes }, brought };
  });
}

/** Without versions there are no version ids, no locks and nothing that lies below another. */
function withoutLocksWhereThereAreNone(facts: AuditFacts): AuditFacts {
  const { versioning, objectLock } = facts.bucket;
  for (const version of [
    ...facts.databases.flatMap(({ nodes }) => nodes.flatMap((node) => node.versions)),
    ...facts.toolFiles,
    ...facts.orphans.flatMap(({ versions }) => versions),
  ]) {
    if (objectLock === null) {
      version.lock = null;
      version.legalHold = false;
    }
    if (versioning === 'off') {
      version.versionId = null;
      version.noncurrentSince = null;
      version.under = null;
    } else if (versioning === 'enabled') version.versionId ??= 'v0';
  }
  return facts;
}
