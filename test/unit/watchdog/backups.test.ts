import fc from 'fast-check';
import { expect, test } from 'vitest';
import { describeDatabase } from '../../../src/config/describe.ts';
import type { Catalog, CatalogBackup } from '../../../src/model/backup.ts';
import { backupProblems } from '../../../src/watchdog/backups.ts';
import { databaseText, exampleConfig } from '../config/example.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 0, 31, 12);

/** Logical daily, fulls on Sunday, differentials on the other days; RPO 4 h. */
const shopWith = (more: string) =>
  describeDatabase(
    exampleConfig({ databases: databaseText('shop', `objectives: {rpo: 4h, rto: 8h}\n${more}`) }),
    'shop',
  );
const shop = shopWith('');

type Aged = Partial<CatalogBackup> & {
  ageMs: number;
  verifiedMs?: number | null;
  verdict?: 'pass' | 'fail' | 'inconclusive';
};

function backup({ ageMs, verifiedMs = HOUR, verdict = 'pass', ...more }: Aged): CatalogBackup {
  const at = new Date(NOW - ageMs).toISOString();
  return {
    ...{ id: 'x', tier: 'logical', kind: 'full', startedAt: at, finishedAt: at, sizeBytes: 1 },
    ...{ dependsOn: [], lockedUntil: null },
    verified: verifiedMs === null ? null : { verdict, at: new Date(NOW - verifiedMs).toISOString() },
    ...more,
  };
}
/** Of this month: those that are missing are in a test of their own. */
const SNAPSHOT = backup({ tier: 'snapshot', ageMs: 20 * DAY, verifiedMs: null });
const catalogOf = (taken: CatalogBackup[], lostMs: number | null = 60_000): Catalog => ({
  ...{ database: 'shop', backups: [...taken, SNAPSHOT], intervals: [], gaps: [], rpoSeconds: null },
  lastRecoverableAt: lostMs === null ? null : new Date(NOW - lostMs).toISOString(),
});
const LOGICAL = backup({ ageMs: HOUR });
const FULL = backup({ tier: 'physical', ageMs: 2 * DAY });
const DIFF = backup({ tier: 'physical', kind: 'diff', ageMs: HOUR });
const ALL = [LOGICAL, FULL, DIFF];

const keysOf = (catalog: Catalog, since: number | null = NOW - 30 * DAY, database = shop) =>
  backupProblems(database, catalog, { since: () => since, now: new Date(NOW) }).map(({ key }) => key);

test.each<[string, Catalog, string[]]>([
  ['all is there and new', catalogOf(ALL), []],
  [
    'an old logical one',
    catalogOf([backup({ ageMs: 31 * HOUR }), FULL, DIFF]),
    ['overdue/shop/logical-backup'],
  ],
  ['one that is late, but not by a quarter', catalogOf([backup({ ageMs: 29 * HOUR }), FULL, DIFF]), []],
  [
    'old differentials',
    catalogOf([LOGICAL, FULL, { ...DIFF, finishedAt: FULL.finishedAt }]),
    ['overdue/shop/physical-backup'],
  ],
  [
    'differentials without a new full',
    catalogOf([LOGICAL, backup({ tier: 'physical', ageMs: 9 * DAY }), DIFF]),
    ['overdue/shop/full-backup'],
  ],
  [
    'nothing at all, for a month',
    catalogOf([], null),
    [
      'overdue/shop/logical-backup',
      'overdue/shop/physical-backup',
      'overdue/shop/full-backup',
      'overdue/shop/verification-of-a-logical-backup',
      'overdue/shop/verification-of-a-physical-backup',
    ],
  ],
  ['more would be lost than is allowed', catalogOf(ALL, 4 * HOUR + 1), ['rpo/shop']],
  ['nothing of what is there can be recovered', catalogOf(ALL, null), ['rpo/shop']],
  [
    'a failed verification',
    catalogOf([backup({ ageMs: HOUR, verdict: 'fail' }), FULL, DIFF]),
    ['verification/shop/logical/fail'],
  ],
  [
    'a snapshot that failed its verification',
    catalogOf([
      ...ALL,
      backup({ id: 'bad', tier: 'snapshot', ageMs: 40 * DAY, verdict: 'fail', verifiedMs: 9 * DAY }),
      backup({ id: 'good', tier: 'snapshot', ageMs: DAY }),
    ]),
    ['verification/shop/bad/fail'],
  ],
  [
    'a snapshot that nobody could look at, since it lies in the deep archive',
    catalogOf([...ALL, backup({ tier: 'snapshot', ageMs: DAY, verdict: 'inconclusive' })]),
    [],
  ],
  [
    'one that says nothing',
    catalogOf([backup({ ageMs: HOUR, verdict: 'inconclusive' }), FULL, DIFF]),
    ['verification/shop/logical/inconclusive'],
  ],
  [
    'an earlier one that failed',
    catalogOf([backup({ ageMs: DAY, verdict: 'fail', verifiedMs: DAY }), ...ALL]),
    [],
  ],
  [
    'one that was never made since',
    catalogOf([backup({ ageMs: HOUR, verifiedMs: 31 * HOUR }), FULL, DIFF]),
    ['overdue/shop/verification-of-a-logical-backup'],
  ],
])('%s', (_, catalog, keys) => {
  expect(keysOf(catalog)).toEqual(keys);
});

test('what was never made is due from when its schedule was made', () => {
  expect(keysOf(catalogOf([], null), NOW - HOUR)).toEqual([]);
  expect(keysOf(catalogOf([], null), NOW - 2 * DAY)).toContain('overdue/shop/logical-backup');
});

test('without a schedule that is the problem, not what it would have made', () => {
  expect(keysOf(catalogOf([], null), null)).toEqual([]);
});

test('what is off is not missed', () => {
  const off = shopWith('verify: off\ntiers: {logical: off, physical: {diff: off}}');
  expect(
    keysOf(catalogOf([backup({ tier: 'physical', ageMs: 6 * DAY, verifiedMs: null })]), null, off),
  ).toEqual([]);
});

test('says how old it is, and since when that is too old', () => {
  const catalog = catalogOf([backup({ ageMs: 3 * DAY }), FULL, DIFF]);
  expect(backupProblems(shop, catalog, { since: () => null, now: new Date(NOW) })).toEqual([
    expect.objectContaining({
      database: 'shop',
      severity: 'critical',
      what: 'the logical backup of shop is overdue: the newest is 3d old, and one is due every 1d',
      since: new Date(NOW - 3 * DAY + 30 * HOUR).toISOString(),
    }),
  ]);
});

test('there is no problem where everything is younger than its gap', () => {
  const younger = (ms: number) => fc.integer({ min: 0, max: ms });
  fc.assert(
    fc.property(younger(DAY), younger(7 * DAY), younger(DAY), younger(DAY), younger(4 * HOUR), (...ages) => {
      const [logical, full, diff, verified, lost] = ages;
      const backups = [
        backup({ ageMs: logical, verifiedMs: verified }),
        backup({ tier: 'physical', ageMs: full, verifiedMs: verified }),
        backup({ tier: 'physical', kind: 'diff', ageMs: diff, verifiedMs: verified }),
      ];
      expect(keysOf(catalogOf(backups, lost))).toEqual([]);
    }),
  );
});
