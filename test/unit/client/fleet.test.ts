import { expect, test } from 'vitest';
import { summarize } from '../../../src/client/fleet.ts';
import { formatFleet } from '../../../src/client/view/fleet.ts';
import type { Catalog } from '../../../src/model/backup.ts';
import type { Problem } from '../../../src/model/problem.ts';
import type { Looked } from '../../../src/watchdog/catalogs.ts';
import { databaseText, exampleConfig } from '../config/example.ts';

const NOW = new Date('2026-01-31T12:00:00Z');
const config = exampleConfig({ databases: databaseText('shop') + databaseText('users') });
const catalog: Catalog = {
  ...{ database: 'shop', backups: [], intervals: [], gaps: [], rpoSeconds: 60 },
  lastRecoverableAt: '2026-01-31T11:59:00Z',
};
const databases = summarize(
  config,
  new Map<string, Looked>([
    ['shop', { catalog, unread: null }],
    ['users', { catalog: null, unread: 'S3 is away' }],
  ]),
);
const problem = (what: string, more: Partial<Problem> = {}): Problem => ({
  ...{ key: what, database: 'shop', severity: 'critical', what, since: null, hint: null, told: 'nothing' },
  ...more,
});
const shown = (problems: Problem[], more = 0) => formatFleet(databases, [], { problems, more }, NOW);

test('says that all is well where it is', () => {
  const text = shown([]);
  expect(text).toMatch(/shop +1m +1d +met/);
  expect(text).toMatch(/users .*UNKNOWN/);
  expect(text).toContain('everything that should have run has');
});

test('a tier that a database does not have is not missed', () => {
  const off = exampleConfig({ databases: databaseText('shop', 'tiers: {physical: off, log: off}') });
  const [shop] = summarize(off, new Map<string, Looked>([['shop', { catalog, unread: null }]]));
  expect(shop?.tiers).toEqual(['logical']);
  expect(formatFleet(shop === undefined ? [] : [shop], [], { problems: [], more: 0 }, NOW)).toMatch(
    /met +never +- +never/,
  );
});

test('shows problems by database, with how long and what to do', () => {
  const text = shown(
    [
      problem('of none', { database: null }),
      problem('of users', { database: 'users', hint: 'holdfast catalog users' }),
      problem('of shop', { since: '2026-01-31T09:00:00Z' }),
    ],
    2,
  );
  expect(text).toContain('of shop (for 3h)\nof users\n  holdfast catalog users\nof none\nand 2 more');
});
