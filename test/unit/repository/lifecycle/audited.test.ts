import fc from 'fast-check';
import { expect, test } from 'vitest';
import { describeDatabase } from '../../../../src/config/describe.ts';
import type { Config } from '../../../../src/config/schema.ts';
import type { AuditReport } from '../../../../src/model/audit.ts';
import type { LifecycleRule } from '../../../../src/model/lifecycle.ts';
import { audit } from '../../../../src/repository/audit/audit.ts';
import { policyOf } from '../../../../src/repository/audit/policy.ts';
import { defaultRetentionDays } from '../../../../src/repository/lifecycle/days.ts';
import { lifecycleOf } from '../../../../src/repository/lifecycle/rules.ts';
import { exampleConfig } from '../../config/example.ts';

/** A new repository, and the year that follows with the rules that the configuration asks for. */
function yearOf(config: Config, others: LifecycleRule[] = []): AuditReport {
  const { bucket, prefix, region, lock } = config.repository;
  const view = describeDatabase(config, 'shop');
  return audit({
    now: Date.parse('2026-11-25T10:00:00Z'),
    repository: { bucket, prefix, region },
    bucket: {
      versioning: 'enabled',
      objectLock:
        lock === undefined ? null : { retention: { mode: lock.mode, days: defaultRetentionDays(config) } },
    },
    rules: [...lifecycleOf(config).rules, ...others],
    ...{ kmsKeyId: null, keys: {}, toolFiles: [], orphans: [] },
    databases: [{ name: 'shop', stanza: view.stanza, policy: policyOf(view, config.repository), nodes: [] }],
    looked: { versions: 0, markers: 0, bytes: 0, headed: 0 },
  });
}

const configWith = (change: {
  retention?: Partial<Config['databases'][string]['retention']>;
  repository?: Partial<Config['repository']>;
}): Config => {
  const config = exampleConfig();
  const shop = config.databases.shop as Config['databases'][string];
  return {
    ...config,
    repository: { ...config.repository, ...change.repository },
    databases: { shop: { ...shop, retention: { ...shop.retention, ...change.retention } } },
  };
};

/** Once the first full is there, no day is broken, and none waits for a thaw. */
function expectKept(report: AuditReport): void {
  const spans = report.calendars[0]?.spans ?? [];
  const later = spans.slice(spans.findIndex(({ fulls }) => fulls > 0)).slice(1);
  expect(later.filter(({ state }) => state !== 'kept')).toEqual([]);
  expect(spans.at(-1)).toMatchObject({ state: 'kept' });
}

test('what the rules of a default policy leave is what it promises, on every day of a year', () => {
  const report = yearOf(exampleConfig());
  expectKept(report);
  expect(report.findings.filter(({ code }) => code !== 'window-broken')).toEqual([]);
});

test('so do those of any policy', () => {
  const inDays = (min: number, max: number) => fc.integer({ min, max }).map((n) => `${n}d`);
  const retentions = fc.integer({ min: 1, max: 60 }).chain((log) =>
    fc.record({
      ...{ log: fc.constant(`${log}d`), physical: inDays(Math.max(log, 7), 400) },
      ...{ logical: inDays(1, 400), snapshot: inDays(32, 800) },
    }),
  );
  const repositories = fc.record({
    ...{ storageClasses: fc.boolean(), prefix: fc.constantFrom('', 'fleet/') },
    lock: fc.constantFrom(undefined, { mode: 'COMPLIANCE' as const }),
  });
  fc.assert(
    fc.property(retentions, repositories, (retention, { lock, ...repository }) => {
      const config = configWith({ retention, repository });
      if (lock === undefined) delete config.repository.lock;
      expectKept(yearOf(config));
    }),
    { numRuns: 40 },
  );
});

test('a rule by age in the tool’s tree breaks them, and the first broken day is known today', () => {
  const config = exampleConfig();
  const [rule] = lifecycleOf(config).rules;
  const byAge = {
    ...rule,
    id: 'by-age',
    prefix: 'pgbackrest/backup/',
    expire: { days: 60 },
  } as LifecycleRule;
  const { findings } = yearOf(config, [byAge]);
  expect(findings).toContainEqual(
    expect.objectContaining({ code: 'expires-too-early', database: 'shop', firstDay: expect.any(String) }),
  );
});
