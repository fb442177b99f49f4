import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resolveAccess } from '../../../src/config/access.ts';
import { describeDatabase } from '../../../src/config/describe.ts';
import type { HoldfastError } from '../../../src/model/failure.ts';
import { databaseText, exampleConfig } from './example.ts';

const HOUR = 3_600_000;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-access-'));
  await writeFile(join(directory, 'password'), 'hunter2\n');
  await writeFile(join(directory, 'ca.pem'), 'PEM');
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('a database is seen with everything merged, in milliseconds', () => {
  const config = exampleConfig({
    top: 'approval: {import: {people: 1, requesterMayApprove: true, timeLimit: 2h}}\n',
    databases: databaseText('shop', 'class: user-content\napproval: {people: 2}\nretention: {log: 2d}'),
  });
  expect(describeDatabase(config, 'shop')).toMatchObject({
    name: 'shop',
    stanza: 'shop',
    objectives: { rpoMs: 4 * HOUR, rtoMs: 4 * HOUR },
    tiers: { log: { maxAgeMs: 300_000 }, logical: { fingerprints: true } },
    retention: { logMs: 48 * HOUR, logicalMs: 720 * HOUR, undoMs: 720 * HOUR },
  });
  // What a database leaves out comes from the general policy, never from the schema's defaults.
  expect(describeDatabase(config, 'shop').approval).toEqual({
    people: 2,
    requesterMayApprove: true,
    approvers: [],
    timeLimitMs: 2 * HOUR,
  });
});

test('an unknown database is refused with the nearest names', () => {
  const config = exampleConfig({ databases: databaseText('shop') + databaseText('users') });
  const failure = (name: string): HoldfastError => {
    try {
      describeDatabase(config, name);
    } catch (error) {
      return error as HoldfastError;
    }
    throw new Error('it was found');
  };
  expect(failure('shpo')).toMatchObject({
    type: 'UnknownDatabase',
    message: 'there is no database "shpo" in the configuration',
    hint: 'do you mean shop? the databases are shop, users',
  });
  expect(failure('toString').type).toBe('UnknownDatabase');
});

test.each([
  ['plain on loopback', '127.0.0.1', undefined, null],
  ['verified elsewhere', 'db1.internal', undefined, { ca: null, serverName: null }],
  ['never on a socket', '/var/run/postgresql', {}, null],
  [
    'verified on loopback when asked for',
    'localhost',
    { serverName: 'db1' },
    { ca: null, serverName: 'db1' },
  ],
  ['with the authority of a file', 'db1', { caFile: 'ca.pem' }, { ca: 'PEM', serverName: null }],
  ['off where it may be', '::1', 'off', null],
] as const)('TLS is %s', async (_name, host, tls, expected) => {
  const database = describeDatabase(exampleConfig(), 'shop').config;
  const connection = { ...database.connection, host, ...(tls === undefined ? {} : { tls }) };
  expect((await resolveAccess({ ...database, connection }, directory)).tls).toEqual(expected);
});

test('the password is read where it is used, and a missing file is named', async () => {
  const database = describeDatabase(exampleConfig(), 'shop').config;
  const given = { ...database, connection: { ...database.connection, password: { file: 'password' } } };
  expect(await resolveAccess(given, directory)).toEqual({
    host: '127.0.0.1',
    port: 5432,
    user: 'holdfast',
    password: 'hunter2',
    database: 'shop',
    tls: null,
  });
  const missing = { ...database, connection: { ...database.connection, tls: { caFile: 'none.pem' } } };
  await expect(resolveAccess(missing, directory)).rejects.toThrow(
    `connection.tls.caFile ${join(directory, 'none.pem')} cannot be read (ENOENT)`,
  );
});
