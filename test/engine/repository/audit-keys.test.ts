import {
  CreateAliasCommand,
  CreateKeyCommand,
  DisableKeyCommand,
  KMSClient,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readKeys } from '../../../src/repository/audit/key-states.ts';
import { keyName } from '../../../src/repository/audit/keys.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { type Moto, startMoto } from '../../moto.ts';
import { exampleConfig } from '../../unit/config/example.ts';

let moto: Moto;
let kms: KMSClient;
beforeAll(async () => {
  moto = await startMoto();
  process.env.AWS_ENDPOINT_URL_KMS = moto.endpoint;
  process.env.AUDIT_KEYS_TEST = 'test';
  kms = new KMSClient({
    ...{ endpoint: moto.endpoint, region: 'eu-west-1' },
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
});
afterAll(async () => {
  delete process.env.AWS_ENDPOINT_URL_KMS;
  kms?.destroy();
  await moto?.end();
});

const made = async () => (await kms.send(new CreateKeyCommand({}))).KeyMetadata?.Arn as string;

async function statesOf(kmsKeyId: string | undefined, found: string[]) {
  const { repository } = exampleConfig();
  const secret = { env: 'AUDIT_KEYS_TEST' };
  const version = { versionId: null, writtenAt: 0, sizeBytes: 1, storageClass: 'STANDARD' } as const;
  return readKeys({} as Repository, {
    config: {
      ...repository,
      ...(kmsKeyId === undefined ? {} : { kmsKeyId }),
      credentials: { accessKeyId: secret, secretAccessKey: secret },
    },
    directory: '/',
    closed: found.map((key) => ({
      ...{ ...version, key: 'k', noncurrentSince: null, under: null, kmsKeyId: keyName(key) },
    })),
    signal: new AbortController().signal,
  });
}

test('KMS says what becomes of each key, and what an alias stands for', async () => {
  const [own, disabled, doomed] = [await made(), await made(), await made()];
  await kms.send(new CreateAliasCommand({ AliasName: 'alias/backups', TargetKeyId: own }));
  await kms.send(new DisableKeyCommand({ KeyId: keyName(disabled) }));
  await kms.send(new ScheduleKeyDeletionCommand({ KeyId: keyName(doomed) }));
  const gone = '11111111-2222-3333-4444-555555555555';
  expect(await statesOf('alias/backups', [own, disabled, doomed, gone])).toEqual({
    configured: keyName(own),
    states: {
      [keyName(own)]: 'enabled',
      [keyName(disabled)]: 'disabled',
      [keyName(doomed)]: 'pending-deletion',
      [gone]: 'not-found',
    },
    findings: [],
  });
  expect(await statesOf(disabled, [])).toMatchObject({ configured: keyName(disabled) });
  expect(await statesOf(undefined, [])).toEqual({ configured: null, states: {}, findings: [] });
});

test('a key has one name, whatever AWS puts before it', () => {
  expect(keyName('arn:aws:kms:eu-west-1:123456789012:key/1234')).toBe('1234');
  expect(keyName('arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1234')).toBe('1234');
  expect(keyName('arn:aws:kms:eu-west-1:123456789012:alias/backups')).toBe('alias/backups');
  expect(keyName('arn:aws:kms:holdfast-key')).toBe('holdfast-key');
  expect(keyName('holdfast-key')).toBe('holdfast-key');
});
