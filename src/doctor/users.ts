import { systemUser } from '../instances/system-user.ts';
import { HoldfastError } from '../model/failure.ts';
import { type Check, look, lookAtEach } from './check.ts';

/** Restored servers run as one user, and what takes over as another, on whose files the first has no rights. */
export const checkUsers: Check = async ({ loaded, site, takeovers }) => {
  const restores = loaded.config.sites[site]?.user ?? '';
  return [
    await look('user of restores', async () => `${restores}, uid ${(await systemUser(restores)).uid}`),
    ...(await lookAtEach(
      takeovers,
      ({ database }) => `user of ${database.name}`,
      async ({ database: { name, config } }) => {
        const owner = config.postgres?.systemUser ?? 'postgres';
        const { uid } = await systemUser(owner);
        if (owner !== restores) return `${owner}, uid ${uid}`;
        throw new HoldfastError('InvalidConfiguration', `${name} and restored servers both run as ${owner}`, {
          hint: `a restored server could write into production's files: give sites.${site}.user another user`,
        });
      },
    )),
  ];
};
