import { expect, test } from 'vitest';
import { noticesOf } from '../../../src/config/checks.ts';
import { disasterApprovalOf, findDatabase } from '../../../src/config/describe.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { productionFolderOf, takeoverOf } from '../../../src/config/takeover.ts';
import { databaseText, exampleConfig, exampleText } from './example.ts';

const takeover = (text: string) =>
  exampleText({ databases: databaseText('shop', `takeover: {here: {${text}}}`) });
const REMOTE = 'address: shop.second.internal, tls: {certFile: /tls/cert.pem, keyFile: /tls/key.pem}';

test.each([
  [
    'a site that is not there',
    takeover(REMOTE).replace('{here:', '{hre:'),
    'databases.shop.takeover.hre: hre is not among sites',
    'do you mean here?',
  ],
  [
    'an address that is reached over a network, without TLS',
    takeover('address: shop.second.internal'),
    'databases.shop.takeover.here.tls: is missing: the connection to shop.second.internal is verified',
    'certFile',
  ],
  [
    'a connection without TLS that would go over a network',
    takeover(REMOTE).replace('host: 127.0.0.1', 'tls: off, host: 127.0.0.1'),
    'databases.shop.takeover.here.address: shop.second.internal is not loopback, and connection.tls is off',
    'remove connection.tls',
  ],
  [
    'a certificate by a relative path',
    takeover(REMOTE).replace('/tls/cert.pem', 'cert.pem'),
    'databases.shop.takeover.here.tls.certFile: must be an absolute path',
    'docs/configuration.md',
  ],
  [
    'the place where the database lives already',
    takeover('address: 127.0.0.1, port: 5432'),
    'databases.shop.takeover.here.address: 127.0.0.1:5432 is where the database lives already',
    'a port of its own',
  ],
  [
    'one place for two databases',
    exampleText({
      databases: ['shop', 'users']
        .map((name) => databaseText(name, 'takeover: {here: {address: 127.0.0.1, port: 5433}}'))
        .join(''),
    }),
    'databases.users.takeover.here.port: 127.0.0.1:5433 at site here is for shop already',
    'another port',
  ],
  [
    "a setting that is Holdfast's own",
    takeover('address: 127.0.0.1, port: 5433, settings: {Archive_Mode: off}'),
    "databases.shop.takeover.here.settings.Archive_Mode: is Holdfast's own",
    'remove it',
  ],
  [
    'a recovery target among the settings',
    takeover('address: 127.0.0.1, port: 5433, settings: {recovery_target_lsn: 0/1}'),
    "databases.shop.takeover.here.settings.recovery_target_lsn: is Holdfast's own",
    'remove it',
  ],
  [
    'production inside the folder of instances',
    exampleText().replace('directory: instances', 'directory: instances, production: instances/production'),
    'sites.here.production: instances/production and the instances',
    'beside it',
  ],
  [
    'the folder of instances inside production',
    exampleText().replace('directory: instances', 'directory: data/instances, production: data'),
    'sites.here.production: data and the instances',
    'beside it',
  ],
  [
    'nobody who says that the old server is stopped',
    exampleText({
      top: 'approval: {disaster: none}\n',
      databases: databaseText('shop', 'takeover: {here: {address: 127.0.0.1, port: 5433}}'),
    }),
    'databases.shop.fence: is missing: nobody approves a disaster recovery of it',
    'approval.disaster',
  ],
  [
    'more approvals of a disaster recovery than approvers',
    exampleText({ top: 'approval: {disaster: {people: 2, approvers: [ann]}}\n' }),
    'approval.disaster: 2 different people have to approve, but only 1 may',
    'name more approvers',
  ],
])('refuses %s', (_name, text, message, hint) => {
  expect(() => parseConfig(text, 'holdfast.yaml')).toThrow(
    expect.objectContaining({
      type: 'InvalidConfiguration',
      message: expect.stringContaining(message),
      hint: expect.stringContaining(hint),
    }),
  );
});

test.each([
  ['a fence', 'approval: {disaster: none}\n', 'fence: {command: [/usr/local/bin/fence]}'],
  ["a person by the database's own rule", 'approval: {disaster: none}\n', 'approval: {people: 1}'],
  ['a person', '', ''],
])('a takeover is fenced by %s', (_name, top, more) => {
  const lines = `takeover: {here: {address: 127.0.0.1, port: 5433}}\n${more}`;
  expect(() => exampleConfig({ top, databases: databaseText('shop', lines) })).not.toThrow();
});

test('a takeover without endpoints is told', () => {
  const notices = noticesOf(parseConfig(takeover('address: 127.0.0.1, port: 5433'), 'x'));
  expect(notices.join('\n')).toContain('endpoints are not set for shop');
  expect(noticesOf(exampleConfig()).join('\n')).not.toContain('endpoints');
});

test('the policy of a disaster recovery: its own, of nobody, and what a database sets differently', () => {
  const policy = (top: string, more = '') => {
    const config = exampleConfig({ top, databases: databaseText('shop', more) });
    return disasterApprovalOf(config, findDatabase(config, 'shop'));
  };
  const usual = { people: 1, requesterMayApprove: false, approvers: [], timeLimitMs: 86_400_000 };
  expect(policy('')).toEqual(usual);
  expect(policy('approval: {import: {people: 3}, disaster: {people: 2, timeLimit: 1h}}\n')).toEqual({
    ...usual,
    people: 2,
    timeLimitMs: 3_600_000,
  });
  expect(policy('approval: {disaster: none}\n').people).toBe(0);
  expect(policy('approval: {disaster: none}\n', 'approval: {people: 2}').people).toBe(2);
});

test('a takeover is found by its site, or the lines to add are said', () => {
  const config = parseConfig(takeover('address: 127.0.0.1, port: 5433'), 'x');
  expect(takeoverOf(config, 'shop', 'here')).toMatchObject({
    address: '127.0.0.1',
    port: 5433,
    hba: ['host all all samenet scram-sha-256'],
  });
  expect(() => takeoverOf(config, 'shop', 'there')).toThrow(
    expect.objectContaining({
      type: 'InvalidConfiguration',
      message: expect.stringContaining('shop has no takeover at site there'),
      hint: expect.stringMatching(/databases\.shop\.takeover: \{there: \{address: .*it has one at here$/),
    }),
  );
});

test('production lives beside the instances, or where the site says', () => {
  expect(productionFolderOf(exampleConfig(), 'here')).toBe('production');
  const set = exampleText().replace(
    'directory: instances',
    'directory: instances, production: /data/production',
  );
  expect(productionFolderOf(parseConfig(set, 'x'), 'here')).toBe('/data/production');
  expect(() => productionFolderOf(exampleConfig(), 'toString')).toThrow('there is no site "toString"');
});
