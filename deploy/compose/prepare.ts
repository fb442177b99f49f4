// Makes what Holdfast expects to find: a bucket with Object Lock and the settings that the configuration wants,
// credentials that can only read it, and Temporal's search attributes. Safe to repeat.
import { readFile, rename, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { Connection } from '@temporalio/client';
import temporal from '@temporalio/proto';
import { loadConfig } from '../../src/config/load.ts';
import { readSecret } from '../../src/config/secrets.ts';
import { SEARCH_ATTRIBUTES } from '../../src/model/attribute.ts';
import { applySettings } from '../../src/repository/bucket/apply.ts';
import { desiredSettings } from '../../src/repository/bucket/desired.ts';
import { restorePolicy } from '../../src/repository/bucket/policies.ts';
import { openRepository } from '../../src/repository/repository.ts';

const NAMESPACE = process.env.TEMPORAL_NAMESPACE ?? 'default';
const RESTORE_CREDENTIALS = process.env.RESTORE_CREDENTIALS ?? '/var/lib/holdfast/restore-credentials';
/** MinIO's longest; they are made anew at each `docker compose up`. */
const RESTORE_CREDENTIALS_SECONDS = 365 * 86_400;

const { config, directory } = await loadConfig(process.env.HOLDFAST_CONFIG ?? '/etc/holdfast/holdfast.yaml');
const { endpoint, region, bucket, caFile, credentials } = config.repository;
if (endpoint === undefined || caFile === undefined || credentials === undefined) {
  throw new Error('the configuration must have a repository with endpoint, caFile and credentials');
}
const client = {
  endpoint,
  region,
  credentials: {
    accessKeyId: await readSecret(credentials.accessKeyId, directory),
    secretAccessKey: await readSecret(credentials.secretAccessKey, directory),
  },
  requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca: await readFile(caFile) }) }),
};

await prepareBucket(new S3Client({ ...client, forcePathStyle: true }), bucket);
await writeRestoreCredentials(new STSClient(client));
await prepareTemporal();
process.stdout.write(`the bucket ${bucket} and the namespace ${NAMESPACE} are ready\n`);

async function prepareBucket(s3: S3Client, name: string): Promise<void> {
  try {
    await s3.send(new CreateBucketCommand({ Bucket: name, ObjectLockEnabledForBucket: true }));
  } catch (error) {
    if ((error as Error).name !== 'BucketAlreadyOwnedByYou') throw error;
  }
  const repository = await openRepository(config.repository, { use: 'admin', baseDirectory: directory });
  await applySettings(repository.connection, desiredSettings(config));
  repository.close();
}

async function writeRestoreCredentials(sts: STSClient): Promise<void> {
  const { Credentials: made } = await sts.send(
    new AssumeRoleCommand({
      RoleArn: 'arn:aws:iam::000000000000:role/holdfast-restore',
      RoleSessionName: 'holdfast-restore',
      DurationSeconds: RESTORE_CREDENTIALS_SECONDS,
      Policy: JSON.stringify(restorePolicy(config)),
    }),
  );
  for (const [file, value] of Object.entries({
    'access-key-id': made?.AccessKeyId,
    'secret-access-key': made?.SecretAccessKey,
    'session-token': made?.SessionToken,
  })) {
    if (value === undefined) throw new Error('the S3 server gave no credentials for restores');
    const path = join(RESTORE_CREDENTIALS, file);
    await writeFile(`${path}.new`, value, { mode: 0o400, flag: 'w' });
    await rename(`${path}.new`, path);
  }
}

/** The server is up before its namespace is, and the namespace before it takes search attributes. */
async function prepareTemporal(): Promise<void> {
  const connection = await Connection.connect({ address: process.env.TEMPORAL_ADDRESS ?? 'temporal:7233' });
  const keyword = temporal.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;
  const until = Date.now() + 120_000;
  for (;;) {
    try {
      const { customAttributes } = await connection.operatorService.listSearchAttributes({
        namespace: NAMESPACE,
      });
      const absent = Object.values(SEARCH_ATTRIBUTES).filter((name) => !(name in customAttributes));
      if (absent.length === 0) break;
      await connection.operatorService.addSearchAttributes({
        namespace: NAMESPACE,
        searchAttributes: Object.fromEntries(absent.map((name) => [name, keyword])),
      });
    } catch (error) {
      if (Date.now() > until) throw error;
    }
    await sleep(1_000);
  }
  await connection.close();
}
