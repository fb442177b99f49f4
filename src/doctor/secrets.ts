import { type SecretReference, secretReferenceSchema } from '../config/schema/primitives.ts';
import { describeReference, readSecret } from '../config/secrets.ts';
import { type Check, lookAtEach } from './check.ts';

/** Every secret that a worker of this site reads, by its path in the configuration; the values are not shown. */
export const checkSecrets: Check = ({ loaded, databases, takeovers }) => {
  const { notify } = loaded.config;
  const { adminCredentials: _, ...repository } = loaded.config.repository;
  const own = databases.map(({ name, config }): [string, unknown] => {
    const { endpoints, ...rest } = config;
    const switched = takeovers.some(({ database }) => database.name === name);
    return [name, switched ? { ...rest, endpoints } : rest];
  });
  const needed = { repository, notify, databases: Object.fromEntries(own) };
  return lookAtEach(
    secretsIn(needed),
    ({ path }) => `secret ${path}`,
    async ({ reference }) => {
      await readSecret(reference, loaded.directory);
      return `is ${describeReference(reference)}`;
    },
  );
};

/** The references below a part of the configuration, however deep. */
export function secretsIn(part: unknown, path = ''): { path: string; reference: SecretReference }[] {
  const reference = secretReferenceSchema.safeParse(part);
  if (reference.success) return [{ path, reference: reference.data }];
  if (typeof part !== 'object' || part === null) return [];
  return Object.entries(part).flatMap(([key, value]) =>
    secretsIn(value, path === '' ? key : `${path}.${key}`),
  );
}
