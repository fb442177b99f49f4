import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { type Attempt, mustFailLocked, POLICIES } from './attempt.ts';

/** A version that is locked, with the header that lifts a lock of GOVERNANCE for those who may. */
export const deleteLocked: Attempt = async ({ writer, config, probe, signal }) => {
  if (probe.lockedUntil === null) return [];
  const { connection, fullKey } = writer;
  const command = () =>
    new DeleteObjectCommand({
      ...{ Bucket: connection.bucket, Key: fullKey(probe.key), VersionId: probe.versionId ?? 'null' },
      ...(config.lock?.mode === 'GOVERNANCE' ? { BypassGovernanceRetention: true } : {}),
    });
  const found = {
    detail: 'a locked version was deleted: whoever has these credentials can delete every backup',
    hint: `deny s3:DeleteObjectVersion and s3:BypassGovernanceRetention to repository.credentials: ${POLICIES}`,
  };
  return [
    await mustFailLocked(probe, 'writer: deletes a locked version', found, () =>
      connection.request((s3, abort) => s3.send(command(), abort), signal),
    ),
  ];
};
