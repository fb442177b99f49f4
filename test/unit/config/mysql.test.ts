import { expect, test } from 'vitest';
import { describeDatabase, protectionOf } from '../../../src/config/describe.ts';
import { parseConfig } from '../../../src/config/load.ts';
import type { HoldfastError } from '../../../src/model/failure.ts';
import { exampleText } from './example.ts';

const mysqlText = (more: string) =>
  exampleText()
    .replace('engine: postgres', 'engine: mysql')
    .replace('postgres: {dataDirectory: /data/shop}', more);

function failureOf(text: string): HoldfastError {
  try {
    parseConfig(text, 'holdfast.yaml');
  } catch (error) {
    return error as HoldfastError;
  }
  throw new Error('it was accepted');
}

test('logical backups are the bases of MySQL: there is no physical tier, and logs are replayed from dumps', () => {
  const config = parseConfig(mysqlText('mysql: {logDirectory: /var/lib/mysql}'), 'holdfast.yaml');
  const { tiers, bases } = describeDatabase(config, 'shop');
  expect(bases).toBe('logical');
  expect(tiers.physical).toBeNull();
  expect(tiers.log).not.toBeNull();
  expect(tiers.logical).not.toBeNull();
  expect(tiers.snapshot?.of).toBe('logical');
  const { lines, refusals } = protectionOf(
    'shop',
    config.databases.shop as NonNullable<(typeof config.databases)['shop']>,
  );
  expect(refusals).toEqual([]);
  expect(lines.join('\n')).toContain('loads the newest dump, which is up to 1d old, and replays its logs');
});

test.each([
  [
    'logs without the bases that they need',
    'tiers: {logical: off}',
    'logs cannot be replayed without the logical tier',
  ],
  [
    'physical backups',
    'tiers: {physical: {full: "0 1 * * 0"}}',
    'there are no physical backups of mysql yet',
  ],
  ['a takeover', 'takeover: {here: {address: db2}}', 'a disaster recovery of mysql is not supported yet'],
  ['a relative folder', 'mysql: {logDirectory: binlogs}', 'mysql.logDirectory: must be an absolute path'],
  [
    "PostgreSQL's section",
    'postgres: {dataDirectory: /data/shop}',
    'is of PostgreSQL, and the engine is mysql',
  ],
  ['snapshots of physical backups', 'tiers: {snapshot: {of: physical}}', 'snapshots copy physical backups'],
  [
    'a window that is longer than its bases are kept',
    'retention: {log: 60d, logical: 30d}',
    'a window of 60d begins in a logical backup that is up to 1d older, and they are kept 30d only',
  ],
])('%s are refused', (_, more, message) => {
  expect(failureOf(mysqlText(more)).message).toContain(message);
});

test("MySQL's section is refused for PostgreSQL", () => {
  const text = exampleText().replace(
    'dataDirectory: /data/shop}',
    'dataDirectory: /data/shop}\n    mysql: {}',
  );
  expect(failureOf(text).message).toContain('is of MySQL and MariaDB, and the engine is postgres');
});
