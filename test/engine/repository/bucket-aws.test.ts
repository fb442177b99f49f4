import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateBucketCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loopbackCertificate } from '../../../src/client/dev/s3-certificate.ts';
import type { Config } from '../../../src/config/schema.ts';
import { applySettings } from '../../../src/repository/bucket/apply.ts';
import { desiredSettings } from '../../../src/repository/bucket/desired.ts';
import { difference } from '../../../src/repository/bucket/difference.ts';
import { readBucketSettings } from '../../../src/repository/bucket/read.ts';
import { openRepository, type Repository } from '../../../src/repository/repository.ts';
import { type Moto, startMoto } from '../../moto.ts';
import { exampleConfig } from '../../unit/config/example.ts';

// What only AWS has: public access that can be blocked, policies that bind everybody, storage classes.
let directory: string;
let moto: Moto;
let admin: Repository;
let config: Config;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hf-bucket-'));
  const { caFile, certsDirectory } = await loopbackCertificate(directory);
  moto = await startMoto({ certsDirectory });
  process.env.BUCKET_AWS_KEY = 'key';
  const key = { env: 'BUCKET_AWS_KEY' };
  const example = exampleConfig();
  config = {
    ...example,
    repository: {
      ...example.repository,
      ...{ endpoint: moto.endpoint, caFile, pathStyle: true, storageClasses: true },
      ...{ kmsKeyId: '1234abcd', credentials: { accessKeyId: key, secretAccessKey: key } },
    },
  };
  admin = await openRepository(config.repository, { use: 'admin', baseDirectory: directory });
  const Bucket = config.repository.bucket;
  await send((s3) =>
    s3.send(
      new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint: 'eu-west-1' } }),
    ),
  );
  // S3 turns Object Lock on afterwards only where there are versions.
  const VersioningConfiguration = { Status: 'Enabled' } as const;
  await send((s3) => s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration })));
});
afterAll(async () => {
  admin?.close();
  await moto?.end();
  await rm(directory, { recursive: true, force: true });
});

const send = (request: (s3: S3Client) => Promise<unknown>) => admin.connection.request(request);
/** moto forgets the size that a rule asks for. */
function desired() {
  const settings = desiredSettings(config);
  return { ...settings, rules: settings.rules.map((rule) => ({ ...rule, largerThanBytes: null })) };
}
const plan = async () => difference(await readBucketSettings(admin.connection), desired());

test('public access, the policy and transitions are planned, applied and read back', async () => {
  const { changes, lacking } = await plan();
  expect(lacking).toEqual([]);
  expect(new Set(changes.map(({ aspect }) => aspect))).toEqual(
    new Set(['object-lock', 'encryption', 'public-access-block', 'policy', 'lifecycle']),
  );
  expect(changes).toContainEqual(
    expect.objectContaining({ item: 'holdfast-physical', willBe: expect.stringContaining('to GLACIER') }),
  );
  await applySettings(admin.connection, desired());
  expect((await plan()).changes).toEqual([]);
  const settings = await readBucketSettings(admin.connection);
  expect(settings).toMatchObject({ region: 'eu-west-1', publicAccessBlocked: true, lacking: [] });
});

test("a statement of somebody else's stays beside ours", async () => {
  const foreign = {
    ...{ Sid: 'Auditors', Effect: 'Allow', Principal: { AWS: 'arn:aws:iam::111122223333:root' } },
    ...{ Action: 's3:GetBucketPolicy', Resource: `arn:aws:s3:::${config.repository.bucket}` },
  };
  const Policy = JSON.stringify({ Version: '2012-10-17', Id: 'theirs', Statement: foreign });
  await send((s3) => s3.send(new PutBucketPolicyCommand({ Bucket: config.repository.bucket, Policy })));
  const { changes, kept } = await plan();
  expect(changes.map(({ item }) => item)).toEqual([
    ...['holdfastTlsOnly', 'holdfastNoKeyOfTheirs', 'holdfastKmsOnly', 'holdfastOneKeyOnly'],
  ]);
  expect(kept).toMatchObject([{ aspect: 'policy', item: 'Auditors' }]);
  await applySettings(admin.connection, desired());
  expect((await plan()).changes).toEqual([]);
  const { policy } = await readBucketSettings(admin.connection);
  expect(policy).toMatchObject({ Id: 'theirs', Statement: [foreign, {}, {}, {}, {}] });
});
