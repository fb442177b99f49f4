import { access, constants } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HoldfastError } from '../model/failure.ts';
import { type Check, lookAtEach } from './check.ts';

/** Certificates and keys that the configuration names. */
export const checkFiles: Check = ({ loaded, databases, takeovers, site }) => {
  const named: [path: string, file: string | undefined][] = [
    ['repository.caFile', loaded.config.repository.caFile],
    ...databases.map(({ name, config }): [string, string | undefined] => {
      const { tls } = config.connection;
      return [`databases.${name}.connection.tls.caFile`, typeof tls === 'object' ? tls.caFile : undefined];
    }),
    ...takeovers.flatMap(({ database, takeover }) =>
      Object.entries(takeover.tls ?? {}).map(([field, file]): [string, string] => {
        const path = `databases.${database.name}.takeover.${site}.tls.${field}`;
        return [path, file];
      }),
    ),
  ];
  return lookAtEach(
    named.flatMap(([path, file]) =>
      file === undefined ? [] : [{ path, file: resolve(loaded.directory, file) }],
    ),
    ({ path }) => `file ${path}`,
    async ({ path, file }) => {
      try {
        await access(file, constants.R_OK);
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        throw new HoldfastError('InvalidConfiguration', `${file} cannot be read (${code})`, {
          hint: `put the PEM file there, or correct ${path}`,
        });
      }
      return file;
    },
  );
};
