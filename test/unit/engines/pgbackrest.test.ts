import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ToolRepository } from '../../../src/engines/contract/backup.ts';
import {
  pgbackrestFailure,
  renderPgbackrestConfig,
  repositoryEnvironment,
} from '../../../src/engines/postgres/pgbackrest.ts';
import { parsePgbackrestInfo } from '../../../src/engines/postgres/pgbackrest-info.ts';
import { HoldfastError } from '../../../src/model/failure.ts';

const INFO = readFileSync(new URL('./pgbackrest-info.txt', import.meta.url), 'utf8');
const repository: ToolRepository = {
  ...{ endpoint: 's3.example:9000', region: 'eu', bucket: 'b', path: 'fleet/pgbackrest', pathStyle: true },
  ...{ caFile: '/ca.crt', kmsKeyId: 'key', cipher: 'open sesame' },
  credentials: { accessKeyId: 'id', secretAccessKey: 'the secret', sessionToken: 'the token' },
};
const failed = (message: string) => new HoldfastError('ToolFailed', message);

describe('pgbackrest info', () => {
  it('is read as it was captured from 2.45: a full and a differential', () => {
    const [full, diff] = parsePgbackrestInfo(INFO, 'shop', failed);
    expect(full).toEqual({
      ...{ id: '20261123-083619F', kind: 'full', dependsOn: [], error: false },
      ...{ startedAt: '2026-11-23T08:36:19.000Z', finishedAt: '2026-11-23T08:36:27.000Z' },
      ...{ sizeBytes: 3789600, databaseBytes: 47241570, serverMajor: 15, toolVersion: '2.45' },
      systemIdentifier: /"system-id":(\d+)/.exec(INFO)?.[1],
      positions: {
        ...{ timeline: 1, start: '0/2000028', stop: '0/2000408' },
        ...{ startLog: '000000010000000000000002', stopLog: '000000010000000000000002' },
      },
    });
    expect(diff).toMatchObject({ kind: 'diff', dependsOn: ['20261123-083619F'] });
  });

  it('keeps all 64 bits of the system identifier', () => {
    const text = INFO.replace(/"system-id":\d+/, '"system-id":18446744073709551557');
    expect(parsePgbackrestInfo(text, 'shop', failed)[0]).toMatchObject({
      systemIdentifier: '18446744073709551557',
    });
  });

  it.each([1, 2, 3])('with status %i means that there is nothing yet', (code) => {
    expect(parsePgbackrestInfo(INFO.replaceAll('"code":0', `"code":${code}`), 'shop', failed)).toEqual([]);
  });

  it('of another stanza is nothing', () => {
    expect(parsePgbackrestInfo(INFO, 'other', failed)).toEqual([]);
  });

  it('exits 0 where it could not read: that is an error', () => {
    const text = INFO.replaceAll(
      '"code":0,"message":"ok"',
      '"code":99,"message":"[CryptoError] unable"',
    ).replaceAll(/"status":\{"code":0/g, '"status":{"code":99');
    expect(() => parsePgbackrestInfo(text, 'shop', failed)).toThrow('CryptoError');
    // With a wrong passphrase it prints raw bytes, which is no JSON.
    expect(() => parsePgbackrestInfo('[{"message":"FormatError: \u0001"}]', 'shop', failed)).toThrow(
      'FormatError',
    );
  });
});

describe('a repository', () => {
  it('goes through the environment, secrets and all', () => {
    expect(repositoryEnvironment(repository)).toEqual({
      PGBACKREST_REPO1_TYPE: 's3',
      PGBACKREST_REPO1_PATH: '/fleet/pgbackrest',
      PGBACKREST_REPO1_S3_BUCKET: 'b',
      PGBACKREST_REPO1_S3_REGION: 'eu',
      PGBACKREST_REPO1_S3_ENDPOINT: 's3.example:9000',
      PGBACKREST_REPO1_S3_URI_STYLE: 'path',
      PGBACKREST_REPO1_STORAGE_VERIFY_TLS: 'y',
      PGBACKREST_REPO1_STORAGE_CA_FILE: '/ca.crt',
      PGBACKREST_REPO1_S3_KEY_TYPE: 'shared',
      PGBACKREST_REPO1_S3_KEY: 'id',
      PGBACKREST_REPO1_S3_KEY_SECRET: 'the secret',
      PGBACKREST_REPO1_S3_TOKEN: 'the token',
      PGBACKREST_REPO1_S3_KMS_KEY_ID: 'key',
      PGBACKREST_REPO1_CIPHER_TYPE: 'aes-256-cbc',
      PGBACKREST_REPO1_CIPHER_PASS: 'open sesame',
    });
  });

  it('of AWS needs neither endpoint nor keys', () => {
    const aws = {
      ...repository,
      endpoint: null,
      credentials: null,
      cipher: null,
      kmsKeyId: null,
      caFile: null,
    };
    expect(repositoryEnvironment(aws)).toMatchObject({
      PGBACKREST_REPO1_S3_ENDPOINT: 's3.eu.amazonaws.com',
      PGBACKREST_REPO1_S3_KEY_TYPE: 'auto',
      PGBACKREST_REPO1_CIPHER_TYPE: 'none',
    });
    expect(Object.keys(repositoryEnvironment(aws))).not.toContain('PGBACKREST_REPO1_S3_KEY');
  });

  it('becomes the configuration of archive_command', () => {
    const text = renderPgbackrestConfig({
      ...{
        repository,
        stanza: 'shop',
        dataDirectory: '/data',
        port: 5432,
        socketDirectory: '/run',
        user: 'postgres',
      },
      ...{ database: 'shop', spoolDirectory: '/spool', lockDirectory: '/lock', logDirectory: '/log' },
    });
    for (const line of [
      'archive-async=y',
      'spool-path=/spool',
      'compress-type=zst',
      '[shop]',
      'pg1-path=/data',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
  });
});

describe('what pgBackRest says when it fails', () => {
  const said = (exitCode: number | null, output: string) =>
    pgbackrestFailure('backup', { repository, stanza: 'shop' }, { exitCode, output });
  const info = "unable to load info file '/pgbackrest/backup/shop/backup.info':";

  it.each([
    [50, 'P00  ERROR: [050]: unable to acquire lock on file', 'LockNotAvailable', /stanza shop/],
    [
      39,
      `P00  ERROR: [039]: ${info}\nHTTP request failed with 403 (Forbidden):\n<Code>AccessDenied</Code>`,
      'RepositoryRefused',
      /\(AccessDenied\)/,
    ],
    [
      95,
      `P00  ERROR: [095]: ${info}\nCryptoError: unable to verify certificate presented by 'x'`,
      'RepositoryUnavailable',
      /certificate/,
    ],
    [
      49,
      `P00  ERROR: [049]: ${info}\nHostConnectError: unable to connect to 'x:1': [111] Connection refused`,
      'RepositoryUnavailable',
      /Connection refused/,
    ],
    [
      29,
      `P00  ERROR: [029]: ${info}\nFormatError: key/value found outside of section at line 1: \u0001\u0002`,
      'RepositoryRefused',
      /decrypted/,
    ],
    [
      55,
      `P00  ERROR: [055]: ${info}\nFileMissingError\nHINT: has a stanza-create been performed?`,
      'InvalidConfiguration',
      /not usable/,
    ],
    [75, 'P00  ERROR: [075]: backup set 20200101-000000F is not valid', 'UnknownBackup', /20200101/],
    [56, 'P00  ERROR: [056]: unable to find primary cluster - cannot proceed', 'ConnectionFailed', /primary/],
    [
      82,
      'P00  ERROR: [082]: WAL segment was not archived before the 60000ms timeout',
      'BackupFailed',
      /in time/,
    ],
    [99, 'P00  ERROR: [099]: something new', 'ToolFailed', /something new$/],
  ])('exit %i, %j', (exitCode, output, type, message) => {
    const error = said(exitCode, output);
    expect(error.type).toBe(type);
    expect(error.message).toMatch(message);
    expect(error.message).not.toMatch(/HINT|\n/);
  });
});
