import { dirname, join } from 'node:path';
import { HoldfastError } from '../model/failure.ts';
import { basesOf } from '../model/tier.ts';
import { findDatabase } from './describe.ts';
import type { TakeoverConfig } from './schema/database.ts';
import type { Config } from './schema.ts';

/** How a database is to live at a site. Throws UnknownDatabase, NotSupported, InvalidConfiguration with the lines to add. */
export function takeoverOf(config: Config, database: string, site: string): TakeoverConfig {
  const { takeover, engine } = findDatabase(config, database);
  if (basesOf(engine) === 'logical') {
    throw new HoldfastError(
      'NotSupported',
      `a disaster recovery of ${engine} is not supported yet: ${database}`,
      {
        hint: `holdfast restore pitr ${database} --latest --keep-instance 24h hands a restored server over`,
      },
    );
  }
  const found = Object.hasOwn(takeover, site) ? takeover[site] : undefined;
  if (found !== undefined) return found;
  const sites = Object.keys(takeover);
  const others = sites.length === 0 ? '' : `; it has one at ${sites.join(', ')}`;
  throw new HoldfastError(
    'InvalidConfiguration',
    `${database} has no takeover at site ${site}: how clients would reach it there is not said`,
    {
      hint: `add databases.${database}.takeover: {${site}: {address: <where clients reach it>, port: 5432}}${others}`,
    },
  );
}

/** Where the servers of a site live that took a database over. Throws InvalidInput where there is no such site. */
export function productionFolderOf({ sites }: Config, site: string): string {
  const found = Object.hasOwn(sites, site) ? sites[site] : undefined;
  if (found === undefined) {
    throw new HoldfastError('InvalidInput', `there is no site "${site}"`, {
      hint: `the sites of the configuration are ${Object.keys(sites).join(', ')}`,
    });
  }
  return found.production ?? join(dirname(found.directory), 'production');
}
