/**
 * For machines without the AWS command line, what RESTORE.md of MySQL uses of it: `aws s3api get-object --bucket B --key K
 * [--version-id V] FILE` and `aws s3 ls s3://B/FOLDER/ --recursive`.
 */
import { createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { GetObjectCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...{ bucket: { type: 'string' }, key: { type: 'string' }, 'version-id': { type: 'string' } },
    recursive: { type: 'boolean' },
  },
});
// Endpoint, region, keys and authority come from the same variables that the real one reads.
const client = new S3Client({ forcePathStyle: true, region: process.env.AWS_DEFAULT_REGION ?? '' });

const [service, command, from = ''] = positionals;
if (`${service} ${command}` === 's3api get-object') {
  const { Body } = await client.send(
    new GetObjectCommand({ Bucket: values.bucket, Key: values.key, VersionId: values['version-id'] }),
  );
  await pipeline(Body as Readable, createWriteStream(from));
} else if (`${service} ${command}` === 's3 ls' && values.recursive === true) {
  const { hostname, pathname } = new URL(from);
  for await (const { Contents = [] } of paginateListObjectsV2(
    { client },
    { Bucket: hostname, Prefix: pathname.slice(1) },
  )) {
    for (const { Key, Size } of Contents) {
      process.stdout.write(`2026-01-31 14:05:00 ${String(Size).padStart(10)} ${Key}\n`);
    }
  }
} else throw new Error('unknown command');
