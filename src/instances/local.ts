import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, open, readdir, readFile, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { HoldfastError } from '../model/failure.ts';
import type { InstanceChange, InstanceRecord, InstanceRequest, InstanceStore } from './instance.ts';
import { instanceSchema } from './instance.ts';
import { giveTo, moveFolder, ownerOf } from './move.ts';
import { createSocketDirectory, removeSocketDirectory } from './socket.ts';
import { requireEnterable, systemUser } from './system-user.ts';

const RECORD = 'instance.json';
const UNFINISHED = '.new-';
const UNFINISHED_FORM = /^\.new-.+-[0-9a-f]{12}$/;
const UNFINISHED_AGE_MS = 60_000;

export interface LocalSite {
  site: string;
  host: string;
  /** absolute, or relative to the worker's folder */
  directory: string;
  /** operating-system user of restored servers; null: the worker's own */
  user: string | null;
  /** free bytes that a restore must leave */
  reserveBytes: number;
  /** where servers live that took a database over; default: `production` beside the directory */
  production?: string;
}

type Site = LocalSite & { production: string };

/**
 * Instances as folders of a site's disk: `<directory>/<id>/`, each with its `instance.json`. Those that became
 * production, or may, are in another folder, and of another user.
 */
export function localInstances(options: LocalSite): InstanceStore {
  const directory = resolve(options.directory);
  const production = resolve(options.production ?? join(dirname(directory), 'production'));
  const site = { ...options, directory, production };
  return {
    provision: (request) => provision(site, request),
    find: (id) => find(site, id),
    list: () => list(site),
    update: (id, change) => update(site, id, change),
    moveToProduction: (id, user) => moveToProduction(site, id, user),
    remove: (id, { stop }) => remove(site, id, stop),
    space: () => space(site),
    requireSpace: (bytes) => requireSpace(site, bytes),
  };
}

async function provision(site: Site, request: InstanceRequest): Promise<InstanceRecord> {
  const directory = directoryOf(site, request.id);
  const moved = await findMoved(site, request.id);
  if (moved !== null) return moved;
  const user = await systemUser(site.user);
  await makeSiteDirectory(site);
  await requireEnterable(site.directory, user);
  await removeUnfinished(site);

  const record: InstanceRecord = {
    ...request,
    site: site.site,
    host: site.host,
    createdAt: new Date().toISOString(),
    directory,
    user: site.user,
    url: null,
    kept: false,
  };
  // It appears under its name with its record or not at all, so that the reaper sees every instance.
  const unfinished = join(site.directory, `${UNFINISHED}${request.id}-${randomBytes(6).toString('hex')}`);
  await mkdir(unfinished, { mode: 0o700 });
  await writeRecord(unfinished, record);
  await chown(unfinished, user.uid, user.gid);
  await rename(unfinished, directory).catch(async (error: NodeJS.ErrnoException) => {
    await rm(unfinished, { recursive: true, force: true });
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
  await createSocketDirectory(directory, user);
  const found = await find(site, request.id);
  if (found === null) throw lost(site, request.id);
  return found;
}

async function makeSiteDirectory(site: Site): Promise<void> {
  const made = await mkdir(site.directory, { recursive: true });
  // The umask of a service may be 077.
  if (made !== undefined) await chmod(site.directory, 0o755);
}

/** What killed attempts left, of any instance; a fresh one may be of another attempt that is still at it. */
async function removeUnfinished(site: Site): Promise<void> {
  for (const name of await entries(site.directory)) {
    const path = join(site.directory, name);
    if (!UNFINISHED_FORM.test(name)) continue;
    const found = await stat(path).catch(() => null);
    if (found !== null && Date.now() - found.mtimeMs > UNFINISHED_AGE_MS) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

async function find(site: Site, id: string): Promise<InstanceRecord | null> {
  const directory = directoryOf(site, id);
  const read = await readRecord(directory);
  // The folder belongs to the restored server's user: what root acts on comes from the configuration.
  if (read !== null) {
    const { role: _, ...record } = read;
    return { ...record, id, site: site.site, host: site.host, directory, user: site.user };
  }
  return findMoved(site, id);
}

/** One that became production, or may: its folder says whose it is, and that it is no instance. */
async function findMoved(site: Site, id: string): Promise<InstanceRecord | null> {
  const directory = join(site.production, id);
  const record = await readRecord(directory);
  // Another site's may be in the same folder.
  if (record === null || record.site !== site.site) return null;
  const { name: user } = await ownerOf(directory);
  return { ...record, id, host: site.host, directory, user, role: record.role ?? 'candidate' };
}

async function readRecord(directory: string): Promise<InstanceRecord | null> {
  const text = await readFile(join(directory, RECORD), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  });
  return text === null ? null : instanceSchema.parse(JSON.parse(text));
}

async function list(site: Site): Promise<InstanceRecord[]> {
  const found: InstanceRecord[] = [];
  const names = [...(await entries(site.directory)), ...(await entries(site.production))];
  for (const name of [...new Set(names)].sort()) {
    if (!ID.test(name)) continue;
    const record = await find(site, name);
    if (record !== null) found.push(record);
  }
  return found;
}

async function moveToProduction(site: Site, id: string, name: string): Promise<InstanceRecord> {
  const record = await find(site, id);
  if (record === null) throw lost(site, id);
  const user = await systemUser(name);
  const directory = join(site.production, id);
  if (record.role === undefined) {
    const from = { site: site.directory, directory: record.directory, user: await systemUser(site.user) };
    await moveFolder(from, { site: site.production, directory }, user);
  }
  // Where its socket was, it no longer is.
  const moved: InstanceRecord = { ...record, directory, user: name, role: record.role ?? 'candidate' };
  if (record.role === undefined) moved.url = null;
  // Again after a kill half way: a server of the new user runs by then or not, whose files these are already.
  await giveTo(directory, user);
  await writeRecord(directory, moved);
  return moved;
}

async function update(site: Site, id: string, change: InstanceChange): Promise<InstanceRecord> {
  const record = await find(site, id);
  if (record === null) throw lost(site, id);
  const changed = { ...record, ...change };
  await writeRecord(record.directory, changed);
  return changed;
}

async function remove(
  site: Site,
  id: string,
  stop: (record: InstanceRecord) => Promise<void>,
): Promise<boolean> {
  await removeUnfinished(site);
  const record = await find(site, id);
  if (record === null) return false;
  if (record.role === 'production') throw inProduction(record);
  await stop(record);
  await removeSocketDirectory(record.directory, await systemUser(record.user));
  // The record goes last: a removal that was cut short is still listed, and done again.
  for (const name of await entries(record.directory)) {
    if (name !== RECORD) await rm(join(record.directory, name), { recursive: true, force: true });
  }
  await rm(record.directory, { recursive: true, force: true });
  return true;
}

async function space(site: Site): Promise<number> {
  await makeSiteDirectory(site);
  const { bavail, bsize } = await statfs(site.directory);
  return bavail * bsize;
}

async function requireSpace(site: Site, bytes: number): Promise<void> {
  const free = await space(site);
  if (free >= bytes + site.reserveBytes) return;
  throw new HoldfastError(
    'NotEnoughSpace',
    `the restore needs ${amount(bytes)} in ${site.directory} of site ${site.site}, where ${amount(free)} are free and ${amount(site.reserveBytes)} have to stay free`,
    {
      hint: `free ${amount(bytes + site.reserveBytes - free)} there, remove instances that nobody needs, or choose another site`,
    },
  );
}

function amount(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Written beside and renamed: a reader sees the old one or the new one. */
async function writeRecord(directory: string, record: InstanceRecord): Promise<void> {
  const path = join(directory, RECORD);
  const beside = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(beside, 'wx', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(record, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
}

async function entries(directory: string): Promise<string[]> {
  return await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** The id becomes the name of a folder that root later removes: it must not lead anywhere else. */
function directoryOf(site: Site, id: string): string {
  if (!ID.test(id)) {
    throw new HoldfastError('InvalidInput', `"${id}" cannot be the id of an instance`, {
      hint: 'use letters, digits, dots, dashes and underscores, at most 100',
    });
  }
  return join(site.directory, id);
}

function lost(site: Site, id: string): HoldfastError {
  return new HoldfastError('InstanceLost', `there is no instance ${id} at site ${site.site}`, {
    hint: 'it was removed or has expired: start the runbook again',
  });
}

function inProduction({ id, database, directory }: InstanceRecord): HoldfastError {
  return new HoldfastError('DatabaseBusy', `instance ${id} is production of ${database} by now`, {
    hint: `nobody but a person removes it: its files are in ${directory}`,
  });
}
