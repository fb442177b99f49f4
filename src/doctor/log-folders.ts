import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { HoldfastError } from '../model/failure.ts';
import { countOf } from '../model/plan.ts';
import { type Check, lookAtEach } from './check.ts';

/** A binary log, as servers name it: `binlog.000004`. */
const LOG = /\.\d{6,}$/;

/** Folders that logs are shipped from, where the database's host is one of this site: a worker there reads them. */
export const checkLogFolders: Check = ({ databases, loaded, site }) => {
  const hosts = loaded.config.sites[site]?.hosts ?? [];
  const here = databases.flatMap(({ name, config, tiers }) => {
    const folder = config.mysql?.logDirectory;
    return folder === undefined || tiers.log === null || !hosts.includes(config.host)
      ? []
      : [{ name, folder }];
  });
  return lookAtEach(
    here,
    ({ name }) => `logs of ${name}`,
    async ({ name, folder }) => {
      const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
        // Another host of the site may be the database's.
        if (error.code === 'ENOENT' && hosts.length > 1) return null;
        throw unreadable(folder, name, error.code);
      });
      if (names === null) return `${folder} is not on this machine`;
      const logs = names.filter((file) => LOG.test(file));
      if (logs.length === 0) {
        throw new HoldfastError('InvalidConfiguration', `there is no binary log in ${folder}`, {
          hint: `see log_bin_basename of the server, and correct databases.${name}.mysql.logDirectory`,
        });
      }
      for (const log of logs) {
        await access(`${folder}/${log}`, constants.R_OK).catch((error: NodeJS.ErrnoException) => {
          // The server has removed it meanwhile.
          if (error.code === 'ENOENT') return;
          throw unreadable(`${folder}/${log}`, name, error.code);
        });
      }
      return `${countOf(logs.length, 'log')} in ${folder} can be read`;
    },
  );
};

function unreadable(path: string, database: string, code: string | undefined): HoldfastError {
  return new HoldfastError('InvalidConfiguration', `${path} cannot be read (${code})`, {
    hint: `let the worker's user read it, or leave out databases.${database}.mysql.logDirectory: then logs are read through the server`,
  });
}
