import { type SpawnOptions, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import type { Readable } from 'node:stream';
import { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { layoutOf } from '../../src/client/dev/configuration.ts';
import type { BenchStack } from '../stack.ts';

const LOCK_MS = 30 * 86_400_000;

/**
 * What a person would write: the output of a program handed to the SDK's managed upload with its defaults; the same
 * bucket, key and lock as ours.
 */
export async function uploadOutput(
  stack: BenchStack,
  program: { file: string; args: string[]; env: Record<string, string> },
  key: string,
  signal: AbortSignal,
): Promise<void> {
  const options: SpawnOptions = { signal, stdio: ['ignore', 'pipe', 'inherit'] };
  const child = spawn(program.file, program.args, { ...options, env: { ...process.env, ...program.env } });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', reject);
  });
  const { bucket, kmsKeyId } = stack.config.config.repository;
  const client = await connect(stack);
  try {
    const upload = new Upload({
      client,
      params: {
        Bucket: bucket,
        Key: key,
        Body: child.stdout as Readable,
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: kmsKeyId,
        ObjectLockMode: 'COMPLIANCE',
        ObjectLockRetainUntilDate: new Date(Date.now() + LOCK_MS),
      },
    });
    const [code] = await Promise.all([ended, upload.done()]);
    if (code !== 0) throw new Error(`${program.file} ended with ${code}`);
  } finally {
    client.destroy();
  }
}

async function connect({ directory, config }: BenchStack): Promise<S3Client> {
  const { endpoint, region, caFile } = config.config.repository;
  const { secrets } = layoutOf(directory);
  return new S3Client({
    region,
    endpoint: endpoint as string,
    forcePathStyle: true,
    credentials: {
      accessKeyId: await readFile(secrets.accessKeyId, 'utf8'),
      secretAccessKey: await readFile(secrets.secretAccessKey, 'utf8'),
      sessionToken: await readFile(secrets.sessionToken, 'utf8'),
    },
    requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca: await readFile(caFile as string) }) }),
  });
}
