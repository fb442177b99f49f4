import { PutObjectRetentionCommand } from '@aws-sdk/client-s3';
import { type Attempt, mustFailLocked, POLICIES } from './attempt.ts';

/** To half of what is left: with the header where the mode knows one that lifts it. */
export const shortenLock: Attempt = async ({ writer, config, probe, signal }) => {
  if (probe.lockedUntil === null || config.lock === undefined) return [];
  const { connection, fullKey } = writer;
  const { mode } = config.lock;
  const until = new Date((Date.now() + Date.parse(probe.lockedUntil)) / 2);
  const command = () =>
    new PutObjectRetentionCommand({
      ...{ Bucket: connection.bucket, Key: fullKey(probe.key), VersionId: probe.versionId ?? 'null' },
      Retention: { Mode: mode, RetainUntilDate: until },
      ...(mode === 'GOVERNANCE' ? { BypassGovernanceRetention: true } : {}),
    });
  const found = {
    detail: `a lock of ${mode} was shortened: it protects from nobody who has these credentials`,
    hint: `deny s3:BypassGovernanceRetention to repository.credentials: ${POLICIES}. A store that does not ask for that right, as MinIO, keeps locks of COMPLIANCE only: repository.lock.mode`,
  };
  return [
    await mustFailLocked(probe, 'writer: shortens a lock', found, () =>
      connection.request((s3, abort) => s3.send(command(), abort), signal),
    ),
  ];
};
