import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { connectS3 } from '../../client.ts';
import { type Attempt, mustFail } from './attempt.ts';

/** Somebody who has no credentials at all. */
export const anonymous: Attempt = async ({ config, baseDirectory, admin, probe, signal }) => {
  const visitor = await connectS3(config, { credentials: 'none', baseDirectory, patienceMs: PATIENCE_MS });
  const found = {
    detail: 'everybody can read the backups',
    hint: 'block public access to the bucket: holdfast repository apply',
  };
  const Bucket = visitor.bucket;
  try {
    return [
      await mustFail('without credentials: lists', found, () =>
        visitor.request(
          (s3, abort) =>
            s3.send(new ListObjectsV2Command({ Bucket, Prefix: admin.fullKey(''), MaxKeys: 1 }), abort),
          signal,
        ),
      ),
      await mustFail('without credentials: reads', found, () =>
        visitor.request(
          (s3, abort) =>
            s3.send(
              new GetObjectCommand({
                Bucket,
                Key: admin.fullKey(probe.key),
                VersionId: probe.versionId ?? 'null',
              }),
              abort,
            ),
          signal,
        ),
      ),
    ];
  } finally {
    visitor.close();
  }
};

const PATIENCE_MS = 5_000;
