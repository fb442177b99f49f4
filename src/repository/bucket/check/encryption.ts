import { PutObjectCommand, type PutObjectCommandInput } from '@aws-sdk/client-s3';
import { HoldfastError } from '../../../model/failure.ts';
import type { Finding } from '../../../model/finding.ts';
import { refusalOf } from '../../failure.ts';
import { readRetention } from '../../retention.ts';
import { isKey } from '../key.ts';
import { type Attempt, mustWork, type Trial } from './attempt.ts';
import { LOCK_MS } from './write.ts';

/** Uploads that do not name the key, or another: refused, or under the right key all the same. */
export const encryption: Attempt = async (trial) => {
  if (trial.config.kmsKeyId === undefined) return [];
  return [
    await upload(trial, 'an upload that names no key', {}),
    await upload(trial, 'an upload with another key', { ServerSideEncryption: 'AES256' }),
  ];
};

async function upload(
  trial: Trial,
  check: string,
  encryption: Pick<PutObjectCommandInput, 'ServerSideEncryption'>,
): Promise<Finding> {
  const { writer, config, folder, now, signal } = trial;
  const key = `${folder}${check.replaceAll(' ', '-')}`;
  const {
    ServerSideEncryption: _,
    SSEKMSKeyId: __,
    ...lock
  } = writer.writeParameters({
    lockedUntil: new Date(now.getTime() + LOCK_MS).toISOString(),
  });
  const command = () =>
    new PutObjectCommand({
      ...{ Bucket: writer.connection.bucket, Key: writer.fullKey(key), Body: 'a probe\n' },
      ...lock,
      ...encryption,
    });
  return mustWork(check, async () => {
    try {
      const { VersionId = null } = await writer.connection.request(
        (s3, abort) => s3.send(command(), abort),
        signal,
      );
      const { kmsKeyId, encrypted } = await readRetention(writer, { key, versionId: VersionId }, signal);
      if (kmsKeyId !== null && isKey(kmsKeyId, config.kmsKeyId ?? ''))
        return 'encrypted with the key all the same';
      const how = encrypted ? `encrypted with ${kmsKeyId ?? "the store's own key"}` : 'not encrypted at all';
      throw new HoldfastError('RepositoryRefused', `it is taken, and ${how}`, {
        hint: 'the default encryption and the policies have to ask for the key: holdfast repository apply, and the policy of the writer',
      });
    } catch (error) {
      const refusal = error instanceof HoldfastError && error.cause === undefined ? null : refusalOf(error);
      if (refusal === null) throw error;
      return `refused (${refusal})`;
    }
  });
}
