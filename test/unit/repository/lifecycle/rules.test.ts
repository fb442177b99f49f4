import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseConfig } from '../../../../src/config/load.ts';
import { withTopology } from '../../../../src/config/topology.ts';
import type { LifecycleRule } from '../../../../src/model/lifecycle.ts';
import type { Topology } from '../../../../src/model/topology.ts';
import { chargedDays, describeCharge } from '../../../../src/repository/lifecycle/charges.ts';
import { beyondLimits } from '../../../../src/repository/lifecycle/limits.ts';
import { lifecycleOf } from '../../../../src/repository/lifecycle/rules.ts';
import { fromS3Rules, toS3Rules } from '../../../../src/repository/lifecycle/s3-form.ts';

interface Database {
  engine?: string;
  postgres?: object | undefined;
  retention?: Partial<Record<'log' | 'logical' | 'physical' | 'snapshot' | 'undo', string>>;
  tiers?: object;
}

const configOf = (databases: Record<string, Database>, repository: object = {}) =>
  parseConfig(
    JSON.stringify({
      version: 1,
      repository: { region: 'eu-central-1', bucket: 'backups', ...repository },
      hosts: { db1: {} },
      sites: {},
      databases: Object.fromEntries(
        Object.entries(databases).map(([name, changes]) => [
          name,
          {
            engine: 'postgres',
            host: 'db1',
            connection: { host: '/var/run/postgresql', port: 5432, user: 'postgres', database: 'postgres' },
            postgres: { dataDirectory: `/data/${name}` },
            ...changes,
          },
        ]),
      ),
    }),
    'holdfast.yaml',
  );

const ofId = (rules: readonly LifecycleRule[], id: string) => rules.find((rule) => rule.id === id);
const never = { expire: null, transitions: [] };

test('a default policy: the window needs its base, physical goes to GLACIER, and nothing in the tool’s tree ends', () => {
  const { rules, lines, refusals } = lifecycleOf(configOf({ shop: {} }, { prefix: 'fleet/' }));
  expect(refusals).toEqual([]);
  expect(ofId(rules, 'holdfast-log')).toMatchObject({ prefix: 'fleet/log/', expire: { days: 15 } });
  expect(ofId(rules, 'holdfast-logical')).toMatchObject({ expire: { days: 31 }, transitions: [] });
  expect(ofId(rules, 'holdfast-snapshot')).toMatchObject({ expire: { days: 366 } });
  expect(ofId(rules, 'holdfast-manifest')).toMatchObject({ expire: { days: 366 } });
  expect(ofId(rules, 'holdfast-physical')).toMatchObject({
    prefix: 'fleet/pgbackrest/backup/',
    expire: null,
    largerThanBytes: 128 * 1024,
    transitions: [{ due: { days: 30 }, storageClass: 'GLACIER' }],
  });
  const inTool = rules.filter(({ prefix }) => 'fleet/pgbackrest/archive/'.startsWith(prefix));
  expect(inTool.map(({ id }) => id)).toEqual(['holdfast-pgbackrest', 'holdfast-everything']);
  for (const rule of inTool) expect(rule).toMatchObject(never);
  const ending = rules.filter(({ expire }) => expire !== null).map(({ prefix }) => prefix);
  expect(ending.filter((prefix) => 'fleet/topology/shop.json'.startsWith(prefix))).toEqual([]);
  expect(lines.join('\n')).toMatch(/^log 7d: kept 15 days at least: a window of 7d, and the age of the base/);
  expect(lines.join('\n')).toMatch(
    /physical 90d: kept 99 days: .*GLACIER after 30d, charged for 90 days there at least: 120 days of charge for 99 days kept/,
  );
  expect(lines.join('\n')).toMatch(/logical 30d: kept 31 days: .*STANDARD_IA from the beginning/);
});

test('logs that are shipped are kept for the window and the age of the logical backup that it begins in', () => {
  const mysql = (retention: Database['retention'], schedule = '0 1 * * *') => ({
    ...{ engine: 'mysql', postgres: undefined, tiers: { logical: { schedule } } },
    ...(retention === undefined ? {} : { retention }),
  });
  const { rules, lines, refusals } = lifecycleOf(configOf({ shop: mysql({}) }));
  expect(refusals).toEqual([]);
  expect(ofId(rules, 'holdfast-log')).toMatchObject({ prefix: 'log/', expire: { days: 9 } });
  expect(ofId(rules, 'holdfast-physical')).toBeUndefined();
  expect(lines[0]).toBe(
    'log 7d: kept 9 days: a window of 7d, and the age of the base that it begins with, up to 1d, and a day to make one',
  );
  const weekly = lifecycleOf(configOf({ shop: mysql({ log: '14d', logical: '30d' }, '0 1 * * 0') }));
  expect(ofId(weekly.rules, 'holdfast-log')).toMatchObject({ expire: { days: 22 } });
  // Both kinds beside each other.
  const both = lifecycleOf(configOf({ ledger: {}, shop: mysql({}) }));
  expect(ofId(both.rules, 'holdfast-log')).toMatchObject({ expire: { days: 15 } });
  expect(ofId(both.rules, 'holdfast-log-shop')).toMatchObject({
    ...{ prefix: 'log/shop/', expire: { days: 9 } },
  });
});

test('a store without storage classes moves nothing, and that is said', () => {
  const { rules, lines } = lifecycleOf(configOf({ shop: {} }, { endpoint: 'https://minio:9000' }));
  expect(rules.flatMap(({ transitions }) => transitions)).toEqual([]);
  expect(lines.join('\n')).toContain('the store has no storage classes');
  expect(lines.join('\n')).not.toMatch(/GLACIER|STANDARD_IA|DEEP_ARCHIVE/);
});

test('no physical backup goes to GLACIER while the window may begin in it', () => {
  const long = { retention: { log: '60d', physical: '200d' } };
  const { rules } = lifecycleOf(configOf({ shop: {}, books: long }));
  expect(ofId(rules, 'holdfast-physical')?.transitions).toEqual([
    { due: { days: 68 }, storageClass: 'GLACIER' },
  ]);
  const short = lifecycleOf(configOf({ shop: { retention: { log: '2d', physical: '14d' } } }));
  expect(ofId(short.rules, 'holdfast-physical')).toBeUndefined();
});

test('one rule for the fleet, one for each database that keeps less; a line for each distinct retention', () => {
  const { rules, lines } = lifecycleOf(
    configOf({ shop: {}, books: {}, logs: { retention: { logical: '7d' } } }),
  );
  expect(
    rules.filter(({ id }) => id.startsWith('holdfast-logical')).map(({ id, expire }) => [id, expire]),
  ).toEqual([
    ['holdfast-logical', { days: 31 }],
    ['holdfast-logical-logs', { days: 8 }],
  ]);
  const logical = lines.filter((line) => line.startsWith('logical'));
  expect(logical).toHaveLength(2);
  expect(logical[0]).toMatch(/^logical 30d \(shop, books\): kept 31 days/);
  expect(logical[1]).toMatch(/^logical 7d \(logs\): kept 8 days/);
});

test('more rules than S3 takes are refused, with the hint to share retentions', () => {
  const many = Object.fromEntries(
    Array.from({ length: 1_000 }, (_, n) => [`db-${n}`, { retention: { logical: `${n + 10}d` } }]),
  );
  const [refused] = lifecycleOf(configOf(many)).refusals;
  expect(refused).toMatchObject({
    message: expect.stringMatching(/^\d{4} lifecycle rules are needed, a bucket takes 1000/),
    hint: expect.stringContaining('the same retentions'),
  });
});

test('a stanza that was left is removed on the day on which nothing of it is promised, by a date', () => {
  const config = configOf({ shop: {}, books: {} });
  const topology = {
    ...{ formatVersion: 1, database: 'shop', by: 'disaster/shop/x', at: '2026-01-31T00:10:00.000Z' },
    ...{ site: 'here', host: 'db1', address: { host: '10.0.0.2', port: 5432 }, stanza: 'shop-2' },
    ...{ dataDirectory: '/srv/data', socketDirectory: '/srv/socket', systemUser: 'postgres' },
    ...{ systemIdentifier: '1', timeline: 2 },
    former: [
      {
        ...{ stanza: 'shop', host: 'db1', address: { host: '10.0.0.1', port: 5432 } },
        ...{ until: '2026-01-31T11:59:58Z', timeline: 1 },
      },
    ],
  } as const satisfies Topology;
  const { rules, lines, refusals } = lifecycleOf(withTopology(config, [topology]));
  expect(refusals).toEqual([]);
  const former = rules.filter(({ id }) => id.startsWith('holdfast-former'));
  expect(former.map(({ id, prefix, expire }) => [id, prefix, expire])).toEqual([
    ['holdfast-former-archive-shop', 'pgbackrest/archive/shop/', { date: '2026-05-03T00:00:00.000Z' }],
    ['holdfast-former-backup-shop', 'pgbackrest/backup/shop/', { date: '2026-05-03T00:00:00.000Z' }],
  ]);
  expect(lines.join('\n')).toContain(
    'stanza shop, that shop left on 2026-01-31: removed on 2026-05-03, when nothing of it is promised any more',
  );
});

const days = fc.integer({ min: 1, max: 4_000 }).map((n) => `${n}d`);
const database: fc.Arbitrary<Database> = fc
  .record({ log: fc.integer({ min: 1, max: 90 }), physical: fc.integer({ min: 90, max: 1_000 }) })
  .chain(({ log, physical }) =>
    fc.record({
      retention: fc.record({
        log: fc.constant(`${log}d`),
        physical: fc.constant(`${physical}d`),
        ...{ logical: days, undo: days },
        snapshot: fc.integer({ min: 32, max: 4_000 }).map((n) => `${n}d`),
      }),
    }),
  );

test('any policy gives rules that S3 takes, that survive its form, and that keep what was promised', () => {
  const fleets = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/), database, { maxKeys: 8 });
  const stores = fc.record({
    prefix: fc.constantFrom('', 'a/', 'a/b/'),
    storageClasses: fc.boolean(),
    ...{ lock: fc.constantFrom(undefined, { mode: 'GOVERNANCE' }) },
  });
  fc.assert(
    fc.property(fleets, stores, (fleet, store) => {
      const { rules, refusals } = lifecycleOf(configOf(fleet, store));
      expect(refusals).toEqual([]);
      expect(fromS3Rules(toS3Rules(rules))).toEqual(rules);
      for (const [name, { retention }] of Object.entries(fleet)) {
        for (const tier of ['log', 'logical', 'snapshot'] as const) {
          const key = `${store.prefix}${tier}/${name}/x`;
          const ends = rules.flatMap(({ prefix, expire }) =>
            key.startsWith(prefix) && expire !== null && 'days' in expire ? [expire.days] : [],
          );
          // The earliest counts, and something has to end it.
          expect(Math.min(...ends)).toBeGreaterThan(Number.parseInt(retention?.[tier] ?? '', 10));
          expect(Math.min(...ends)).toBeLessThan(Number.parseInt(retention?.[tier] ?? '', 10) + 99);
        }
      }
    }),
    { numRuns: 150 },
  );
});

const base: LifecycleRule = {
  ...{ id: 'x', enabled: true, prefix: 'x/', largerThanBytes: null, smallerThanBytes: null, tags: {} },
  ...{ expire: { days: 100 }, transitions: [], expireNoncurrent: null, noncurrentTransitions: [] },
  ...{ removeLoneMarkers: false, abortUploadsAfterDays: null },
};
const at = (afterDays: number, storageClass: string) => ({ due: { days: afterDays }, storageClass });

test.each<[string, Partial<LifecycleRule>, RegExp | null]>([
  ['IA from day 30 on', { transitions: [at(30, 'STANDARD_IA')] }, null],
  ['IA before day 30', { transitions: [at(29, 'STANDARD_IA')] }, /after 29 days, S3 does from day 30 on/],
  ['ONEZONE_IA too', { transitions: [at(1, 'ONEZONE_IA')] }, /from day 30 on/],
  ['GLACIER at once', { transitions: [at(0, 'GLACIER')] }, null],
  ['30 days of IA', { transitions: [at(30, 'STANDARD_IA'), at(60, 'GLACIER')] }, null],
  [
    '29 days of IA',
    { transitions: [at(30, 'STANDARD_IA'), at(59, 'GLACIER')] },
    /30 days have to lie between/,
  ],
  [
    'upwards',
    { transitions: [at(30, 'GLACIER'), at(90, 'STANDARD_IA')] },
    /nothing goes from GLACIER to STANDARD_IA/,
  ],
  ['a move at the end', { transitions: [at(100, 'GLACIER')] }, /when the objects have ended/],
  ['an unknown class', { transitions: [at(1, 'COLD')] }, /S3 moves nothing to COLD/],
  ['no days', { expire: { days: 0 } }, /whole and more than 0/],
  ['half a day', { expireNoncurrent: { days: 1.5, keepNewer: 0 } }, /whole and more than 0/],
  ['101 versions', { expireNoncurrent: { days: 1, keepNewer: 101 } }, /keeps 0 to 100/],
  ['a date at noon', { expire: { date: '2027-01-01T12:00:00Z' } }, /midnight/],
  ['days and dates', { expire: { date: '2027-01-01T00:00:00Z' }, transitions: [at(1, 'GLACIER')] }, /mixes/],
  ['markers and an end', { removeLoneMarkers: true }, /only one of both/],
  [
    'uploads by size',
    { expire: null, abortUploadsAfterDays: 1, largerThanBytes: 1 },
    /neither size nor tags/,
  ],
  ['nothing to do', { expire: null }, /does nothing/],
  ['no size', { largerThanBytes: 5, smallerThanBytes: 5 }, /no object is of the size/],
  ['a long id', { id: 'x'.repeat(256) }, /longer than 255/],
  [
    'noncurrent IA',
    {
      expireNoncurrent: { days: 99, keepNewer: 0 },
      noncurrentTransitions: [{ days: 7, storageClass: 'STANDARD_IA' }],
    },
    /from day 30 on/,
  ],
])('S3’s limits, offline: %s', (_, change, expected) => {
  const messages = beyondLimits([{ ...base, ...change }]).map(({ message }) => message);
  if (expected === null) expect(messages).toEqual([]);
  else expect(messages.join('\n')).toMatch(expected);
});

test('two rules of one id, or of one filter and action, are refused; of overlapping prefixes they are not', () => {
  const messages = (rules: LifecycleRule[]) =>
    beyondLimits(rules)
      .map(({ message }) => message)
      .join('\n');
  expect(messages([base, { ...base, prefix: 'y/' }])).toContain('another rule has this id');
  expect(messages([base, { ...base, id: 'y', expire: { days: 3 } }])).toContain('x says already');
  expect(messages([base, { ...base, id: 'y', prefix: 'x/y/' }])).toBe('');
  expect(messages([base, { ...base, id: 'y', enabled: false }])).toBe('');
});

test('rules of other people are read: the old form, one condition, several', () => {
  const [old, tag, both] = fromS3Rules([
    { ID: 'old', Status: 'Enabled', Prefix: 'logs/', Expiration: { Days: 3 } },
    { ID: 'tag', Status: 'Disabled', Filter: { Tag: { Key: 'a', Value: 'b' } }, Expiration: { Days: 3 } },
    {
      ID: 'both',
      Status: 'Enabled',
      Filter: { And: { Prefix: 'p/', ObjectSizeLessThan: 9, Tags: [{ Key: 'a', Value: 'b' }] } },
      Expiration: { Date: new Date('2027-01-01T00:00:00Z') },
    },
  ]);
  expect(old).toMatchObject({ prefix: 'logs/', expire: { days: 3 }, enabled: true });
  expect(tag).toMatchObject({ prefix: '', tags: { a: 'b' }, enabled: false });
  expect(both).toMatchObject({
    ...{ prefix: 'p/', smallerThanBytes: 9, tags: { a: 'b' } },
    expire: { date: '2027-01-01T00:00:00.000Z' },
  });
});

test('what a class is charged for at least', () => {
  expect(chargedDays('GLACIER', 30, 98)).toBe(120);
  expect(chargedDays('GLACIER', 30, 130)).toBe(130);
  expect(chargedDays('GLACIER', 30, 30)).toBe(30);
  expect(chargedDays('DEEP_ARCHIVE', 0, 31)).toBe(180);
  expect(chargedDays('STANDARD_IA', 0, 31)).toBe(31);
  expect(chargedDays('STANDARD', 0, 3)).toBe(3);
  expect(describeCharge('STANDARD', 0, 3)).toBeNull();
  fc.assert(
    fc.property(
      fc.constantFrom('STANDARD', 'STANDARD_IA', 'GLACIER_IR', 'GLACIER', 'DEEP_ARCHIVE'),
      ...[fc.nat(400), fc.nat(800)],
      (storageClass, after, kept) => chargedDays(storageClass, after, kept) >= kept,
    ),
  );
});
