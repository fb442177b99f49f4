import { PutObjectRetentionCommand } from '@aws-sdk/client-s3';
import { type Attempt, mustFail, POLICIES } from './attempt.ts';
import { LOCK_MS } from './write.ts';

/** To half of what it was: with the header where the mode knows one that lifts it. */
export const shortenLock: Attempt = async ({ writer, config, probe, now, signal }) => {
  if (probe.lockedUntil === null || config.lock === undefined) return [];
  const { connection, fullKey } = writer;
  const { mode } = config.lock;
  const command = () =>
    new PutObjectRetentionCommand({
      ...{ Bucket: connection.bucket, Key: fullKey(probe.key), VersionId: probe.versionId ?? 'null' },
      Retention: { Mode: mode, RetainUntilDate: new Date(now.getTime() + LOCK_MS / 2) },
      ...(mode === 'GOVERNANCE' ? { BypassGovernanceRetention: true } : {}),
    });
  const found = {
    detail: `a lock of ${mode} was shortened: it protects from nobody who has these credentials`,
    hint: `deny s3:BypassGovernanceRetention to repository.credentials: ${POLICIES}. A store that does not ask for that right, as MinIO, keeps locks of COMPLIANCE only: repository.lock.mode`,
  };
  return [
    await mustFail('writer: shortens a lock', found, () =>
      connection.request((s3, abort) => s3.send(command(), abort), signal),
    ),
  ];
};
