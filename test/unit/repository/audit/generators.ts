import fc from 'fast-check';
import type { LifecycleRule } from '../../../../src/model/lifecycle.ts';
import type { AuditedDatabase, AuditedVersion, AuditFacts } from '../../../../src/repository/audit/facts.ts';
import { accidents, befall } from './generated-accidents.ts';
import { DAY, days, moments, sometimes } from './generated-basics.ts';
import { nodesOf, orderlyHistories, plain, wildHistories } from './generated-history.ts';
import { policies, sensiblePolicies } from './generated-policies.ts';
import { rules } from './generated-rules.ts';
import { asShipped, lockLengths } from './generated-shipped.ts';

/** One name begins with another: a rule's prefix without a slash fits both. */
const NAMES = ['shop', 'shop2'];

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
  const histories = fc.oneof(wild, orderly, orderly);
  const shipped = fc.option(lockLengths, { freq: 3 });
  return fc
    .tuple(histories, accidents, fc.boolean(), shipped)
    .map(([{ policy, history }, drawn, isReversed, lockMs]) => {
      const archived = { name, stanza: name, policy, nodes: nodesOf(name, now, history) };
      const database = lockMs === null ? archived : asShipped(archived, lockMs);
      const nodes = isReversed ? database.nodes.toReversed() : database.nodes;
      const brought = drawn.flatMap((accident) => befall(nodes, accident, now));
      return { database: { ...database, nodes }, brought };
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
