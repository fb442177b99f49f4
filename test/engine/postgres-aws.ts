/** `aws s3api get-object --bucket B --key K [--version-id V] FILE`, for machines without the AWS command line. */
import { createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { bucket: { type: 'string' }, key: { type: 'string' }, 'version-id': { type: 'string' } },
});
const [service, command, file] = positionals;
if (service !== 's3api' || command !== 'get-object' || file === undefined) throw new Error('unknown command');
// Endpoint, region, keys and authority come from the same variables that the real one reads.
const client = new S3Client({ forcePathStyle: true, region: process.env.AWS_DEFAULT_REGION ?? '' });
const version = values['version-id'];
const { Body } = await client.send(
  new GetObjectCommand({
    ...{ Bucket: values.bucket, Key: values.key },
    ...(version === undefined ? {} : { VersionId: version }),
  }),
);
await pipeline(Body as Readable, createWriteStream(file));
