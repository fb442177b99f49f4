import { hasStorageClasses } from '../config/storage-class.ts';
import { HoldfastError } from '../model/failure.ts';
import { type Capability, probeCapabilities } from '../repository/capabilities.ts';
import { type Check, type Finding, type Installation, look } from './check.ts';
import { withRepository } from './repository.ts';

/** What this S3 can do, tried with objects of its own. */
export const checkCapabilities: Check<Installation> = async (of) => {
  const { repository: config } = of.loaded.config;
  let found: Capability[] = [];
  const probed = await look('store', () =>
    withRepository(of, 'backup', async (repository) => {
      found = await probeCapabilities(repository, { signal: of.run.signal });
      return repository.connection.where;
    }),
  );
  if (!probed.ok) return [probed];
  const needed = (capability: Capability): boolean => {
    if (capability.name === 'storage classes') return hasStorageClasses(config);
    if (capability.name === 'object lock') return config.lock !== undefined;
    if (capability.name === 'encryption with a key') return config.kmsKeyId !== undefined;
    return capability.required;
  };
  return Promise.all(
    found.map(async (capability): Promise<Finding> => {
      const { name, works, detail, without } = capability;
      return look(`store: ${name}`, async () => {
        if (works || !needed(capability)) return works ? detail : `${detail}: ${without}`;
        throw new HoldfastError('NotSupported', detail, {
          hint:
            name === 'storage classes'
              ? 'set repository.storageClasses: false, and everything lies in the class that the store has'
              : 'use another store for the repository, or look whether a policy forbids it',
        });
      });
    }),
  );
};
