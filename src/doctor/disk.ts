import { stat, statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { productionFolderOf } from '../config/takeover.ts';
import { requireEnterable, systemUser } from '../instances/system-user.ts';
import { HoldfastError } from '../model/failure.ts';
import { type Check, look, lookAtEach, type Patient } from './check.ts';

/** Where instances are made and where servers that took over live: one disk, with space for each database. */
export const checkDisk: Check = async (patient) => {
  const { directory, production } = foldersOf(patient);
  return [
    await look('folder of instances', async () => {
      const user = await systemUser(patient.loaded.config.sites[patient.site]?.user ?? null);
      await requireEnterable(await existing(directory), user);
      return directory;
    }),
    await look('folder of production', async () => {
      const [one, other] = await Promise.all(
        [directory, production].map(async (path) => stat(await existing(path))),
      );
      if (one?.dev === other?.dev) return `${production}, on the same disk`;
      throw new HoldfastError('InvalidConfiguration', `${production} is not on the disk of ${directory}`, {
        hint: `a restored server is moved there by renaming: set sites.${patient.site}.production to a folder of that disk`,
      });
    }),
    ...(await lookAtEach(
      patient.databases,
      ({ name }) => `disk for ${name}`,
      async (database) => spaceFor(patient, database.name, (await patient.baseOf(database)).databaseBytes),
    )),
  ];
};

async function spaceFor(patient: Patient, name: string, bytes: number): Promise<string> {
  const { directory } = foldersOf(patient);
  const reserve = patient.loaded.config.sites[patient.site]?.reserveBytes ?? 0;
  const { bavail, bsize } = await statfs(await existing(directory));
  const free = bavail * bsize;
  const text = `${gigabytes(free)} free, ${gigabytes(bytes)} for ${name} and ${gigabytes(reserve)} in reserve`;
  if (free >= bytes + reserve) return text;
  throw new HoldfastError('NotEnoughSpace', `too little: ${text}`, {
    hint: `free space below ${directory}, or give the site a larger disk`,
  });
}

function foldersOf({ loaded, site }: Patient): { directory: string; production: string } {
  return {
    directory: resolve(loaded.directory, loaded.config.sites[site]?.directory ?? '.'),
    production: resolve(loaded.directory, productionFolderOf(loaded.config, site)),
  };
}

/** The folder itself, or the nearest above that is there: the rest is made when it is needed. */
async function existing(path: string): Promise<string> {
  const found = await stat(path).catch(() => null);
  return found !== null || path === dirname(path) ? path : existing(dirname(path));
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
