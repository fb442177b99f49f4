import { expect, test } from 'vitest';
import { noticesOf } from '../../../src/config/checks.ts';
import { parseConfig } from '../../../src/config/load.ts';
import type { HoldfastError } from '../../../src/model/failure.ts';
import { databaseText, exampleConfig, exampleText } from './example.ts';

function failureOf(text: string): HoldfastError {
  try {
    parseConfig(text, 'holdfast.yaml');
  } catch (error) {
    return error as HoldfastError;
  }
  throw new Error('it was accepted');
}
const withDatabase = (more: string) => exampleText({ databases: databaseText('shop', more) });

test.each([
  [
    'a host that is not among hosts',
    exampleText({ databases: databaseText('shop', '', 'db3') }),
    'line 12: databases.shop.host: db3 is not among hosts',
    'do you mean db1? they are db1, db2',
  ],
  [
    'a host of a site that is not among hosts',
    exampleText().replace('hosts: [db1]', 'hosts: [db1, elsewhere]'),
    'line 8: sites.here.hosts.1: elsewhere is not among hosts',
    'they are db1, db2',
  ],
  [
    'TLS off to another machine',
    exampleText().replace('host: 127.0.0.1', 'tls: off, host: db1.internal'),
    'databases.shop.connection.tls: off is for loopback and sockets only, db1.internal is neither',
    'tls.caFile',
  ],
  [
    'an address that only looks like loopback',
    exampleText().replace('host: 127.0.0.1', 'tls: off, host: 127.0.0.1.example.com'),
    'off is for loopback and sockets only',
    'tls.caFile',
  ],
  [
    'postgres without its section',
    exampleText().replace('postgres: {dataDirectory: /data/shop}', 'region: us-east-1'),
    'databases.shop.postgres: is missing',
    'dataDirectory',
  ],
  [
    'a data directory that is relative',
    exampleText().replace('/data/shop', 'data'),
    'databases.shop.postgres.dataDirectory: must be an absolute path',
    'docs/configuration.md',
  ],
  [
    'more approvals than approvers',
    exampleText({ top: 'approval: {import: {people: 3, approvers: [ann, bob, ann]}}\n' }),
    'approval.import: 3 different people have to approve, but only 2 may',
    'name more approvers',
  ],
  [
    'more approvals than approvers after the merge',
    exampleText({
      top: 'approval: {import: {approvers: [ann]}}\n',
      databases: databaseText('shop', 'approval: {people: 2}'),
    }),
    'databases.shop.approval: 2 different people have to approve, but only 1 may',
    'name more approvers',
  ],
  [
    'a database in the region of its backups',
    withDatabase('region: eu-west-1'),
    'line 15: databases.shop.region: eu-west-1 is the region of the repository: both would be lost at once',
    'repository.allowSameRegion: "<reason>"',
  ],
  [
    'two databases with one stanza',
    exampleText({
      databases:
        databaseText('shop') +
        databaseText('users').replace(
          'dataDirectory: /data/users',
          'dataDirectory: /data/users, stanza: shop',
        ),
    }),
    'databases.users.postgres.stanza: the stanza shop belongs to shop already',
    'each database needs its own',
  ],
  [
    'two databases with one data directory',
    exampleText({
      databases: databaseText('shop') + databaseText('users').replace('/data/users', '/data/shop'),
    }),
    'databases.users.postgres.dataDirectory: this data directory belongs to shop already',
    'each database needs its own',
  ],
  [
    'a lock that nobody could ever undo',
    withDatabase('retention: {snapshot: 100y}'),
    'databases.shop.retention.snapshot: 100y under a COMPLIANCE lock cannot be undone by anyone',
    'GOVERNANCE',
  ],
  [
    'undo data that expires at once',
    withDatabase('retention: {undo: 0s}'),
    'databases.shop.retention.undo: must be more than nothing',
    'docs/configuration.md',
  ],
  [
    'a retention of nothing',
    withDatabase('retention: {log: 0s}'),
    'databases.shop.retention.log: must be more than nothing',
    'docs/configuration.md',
  ],
  [
    'a tier by hand that cannot meet the RPO',
    withDatabase('class: financial\ntiers: {log: {maxAge: 2h}}'),
    'line 16: databases.shop.tiers.log.maxAge: maxAge 2h cannot meet RPO 1h (class financial): 2h could be lost',
    'leave maxAge out (it is derived: 5m)',
  ],
])('refuses %s', (_name, text, message, hint) => {
  const error = failureOf(text);
  expect(error.type).toBe('InvalidConfiguration');
  expect(error.message).toContain(message);
  expect(error.hint).toContain(hint);
});

test.each(['mongodb'])('%s is refused by name', (engine) => {
  const error = failureOf(exampleText().replace('engine: postgres', `engine: ${engine}`));
  expect(error.type).toBe('NotSupported');
  expect(error.message).toContain(`databases.shop.engine: ${engine} is not supported yet`);
});

test('a reason allows the same region, and is shown', () => {
  const text = withDatabase('region: eu-west-1').replace(
    'bucket: backups',
    'bucket: backups\n  allowSameRegion: "moving in May"',
  );
  expect(noticesOf(parseConfig(text, 'x')).join('\n')).toContain('moving in May');
});

test('the same data directory on two hosts is fine', () => {
  const second = databaseText('users', '', 'db2').replace('/data/users', '/data/shop');
  expect(() => exampleConfig({ databases: databaseText('shop') + second })).not.toThrow();
});

test('what is allowed but dangerous is told', () => {
  const notices = noticesOf(parseConfig(exampleText().replace('  lock: {mode: COMPLIANCE}\n', ''), 'x')).join(
    '\n',
  );
  expect(notices).toContain('repository.lock is not set');
  expect(notices).toContain('repository.restoreCredentials are not set');
  expect(notices).toContain('region is not set for shop');
});
