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
import { databaseText, exampleConfig } from '../../config/example.ts';

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

interface Change {
  retention?: Partial<Config['databases'][string]['retention']>;
  repository?: Partial<Config['repository']>;
}
const configWith = (change: Change, config = exampleConfig()): Config => {
  const shop = config.databases.shop as Config['databases'][string];
  return {
    ...config,
    repository: { ...config.repository, ...change.repository },
    databases: { shop: { ...shop, retention: { ...shop.retention, ...change.retention } } },
  };
};

/** Once the first full is there, no day is broken, and none waits for a thaw. */
function expectKept(report: AuditReport, bases: 'physical' | 'logical' = 'physical'): void {
  const spans = report.calendars[0]?.spans ?? [];
  const hasBase = spans.findIndex((span) => (bases === 'physical' ? span.fulls : span.logicals) > 0);
  const later = spans.slice(hasBase).slice(1);
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

/** Logs are shipped, and replayed from logical backups. */
const shippedConfig = (schedule = '0 1 * * *') =>
  exampleConfig({
    databases: databaseText('shop', `tiers: {logical: {schedule: "${schedule}"}}`)
      .replace('engine: postgres', 'engine: mysql')
      .replace('    postgres: {dataDirectory: /data/shop}\n', ''),
  });

test('so do those of logs that are shipped, for any window that the configuration takes', () => {
  const report = yearOf(shippedConfig());
  expectKept(report, 'logical');
  expect(report.findings.filter(({ code }) => code !== 'window-broken')).toEqual([]);
  expect(report.calendars[0]?.promises[0]).toMatch(/^a window of 7d/);
  const schedules = fc.constantFrom(['0 1 * * *', 1], ['0 1 * * 0', 7], ['0 1,13 * * *', 1]) as fc.Arbitrary<
    [string, number]
  >;
  const policies = schedules.chain(([schedule, gap]) =>
    fc.integer({ min: 1, max: 40 }).chain((log) =>
      fc.record({
        schedule: fc.constant(schedule),
        log: fc.constant(`${log}d`),
        // No more than config check asks for.
        logical: fc.integer({ min: log + gap, max: log + gap + 60 }).map((n) => `${n}d`),
      }),
    ),
  );
  fc.assert(
    fc.property(
      policies,
      fc.boolean(),
      fc.boolean(),
      ({ schedule, ...retention }, hasLock, storageClasses) => {
        const config = configWith({ retention, repository: { storageClasses } }, shippedConfig(schedule));
        if (!hasLock) delete config.repository.lock;
        const year = yearOf(config);
        expectKept(year, 'logical');
        expect(year.findings.filter(({ code }) => code === 'lock-short' || code === 'not-locked')).toEqual(
          [],
        );
      },
    ),
    { numRuns: 40 },
  );
});

test('a rule that ends shipped logs with the window alone breaks it: the base that it begins in is older', () => {
  const config = shippedConfig('0 1 * * 0');
  const [rule] = lifecycleOf(config).rules;
  const byAge = { ...rule, id: 'by-age', prefix: 'log/', expire: { days: 7 } } as LifecycleRule;
  const spans = yearOf(config, [byAge]).calendars[0]?.spans ?? [];
  const later = spans.filter(({ from }) => from > '2026-12-31');
  expect(later.flatMap(({ broken }) => broken)).toContain('the window of 7d is not kept');
  // One week longer, and a day to make one, is enough.
  const longer = yearOf(config, [{ ...byAge, expire: { days: 15 } }]);
  expectKept(longer, 'logical');
});
