import { type Attempt, mustFail, POLICIES } from './attempt.ts';

/** What is restored must not be able to harm what it was restored from. */
export const restoreRole: Attempt = async ({ restorer, config, folder, probe }) => {
  const hint =
    config.restoreCredentials === undefined
      ? `set repository.restoreCredentials to those of a role that only reads: ${POLICIES}`
      : `deny it to repository.restoreCredentials: ${POLICIES}`;
  return [
    await mustFail(
      'restore role: writes',
      {
        detail: 'it could write into the repository: a restored server could archive into production’s',
        hint,
      },
      () => restorer.put(`${folder}by-the-restore-role`, 'a probe of holdfast repository check\n'),
    ),
    await mustFail(
      'restore role: deletes',
      { detail: 'it could delete: a restored server could remove backups', hint },
      () => restorer.remove(probe.key),
    ),
  ];
};
