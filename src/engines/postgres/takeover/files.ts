import { access, lchown, readdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { HoldfastError } from '../../../model/failure.ts';
import type { InstancePlace, TakeOverInput } from '../../contract/restore.ts';
import { ownerOf } from '../../owned-files.ts';
import { renderPgbackrestConfig } from '../pgbackrest.ts';
import { layoutOf, prepareLayout, writeOwned } from '../place.ts';
import { CLOSED_HBA, pgbackrestFile } from './settings.ts';

/** Writes what the server needs at its first start, save its settings. Nobody may connect yet but its own user. */
export async function writeFiles(input: TakeOverInput): Promise<void> {
  const { place } = input;
  const { configuration, data, logs, locks, sockets, spool, tablespaces } = layoutOf(place);
  // Logs that the replay had fetched ahead.
  await rm(spool, { recursive: true, force: true });
  await prepareLayout(place);
  await relinkTablespaces(place, { links: join(data, 'pg_tblspc'), tablespaces });
  await writeOwned(
    place,
    pgbackrestFile(input),
    renderPgbackrestConfig({
      ...{ repository: input.repository, stanza: input.stanza, dataDirectory: data },
      ...{ port: input.server.port, socketDirectory: sockets, user: input.user, database: input.database },
      ...{ spoolDirectory: spool, lockDirectory: locks, logDirectory: logs },
    }),
  );
  await writeOwned(place, join(configuration, 'pg_hba.conf'), CLOSED_HBA);
  await writeOwned(place, join(configuration, 'pg_ident.conf'), '');
}

/** The restore put every tablespace below the instance, and linked it by its full path: that is another one by now. */
async function relinkTablespaces(
  place: InstancePlace,
  { links, tablespaces }: { links: string; tablespaces: string },
): Promise<void> {
  const { uid, gid } = ownerOf(place.user);
  for (const name of await readdir(links)) {
    const link = join(links, name);
    // A folder: a tablespace in place.
    const before = await readlink(link).catch(() => null);
    if (before === null) continue;
    const folder = join(tablespaces, basename(before));
    if (before === folder) continue;
    await access(folder).catch((cause) => {
      throw new HoldfastError('InstanceLost', `tablespace ${name} is not in ${tablespaces}`, {
        hint: 'somebody changed the restored files: start the runbook again',
        cause,
      });
    });
    const beside = join(tablespaces, `.link-${name}`);
    await rm(beside, { force: true });
    await symlink(folder, beside);
    await lchown(beside, uid, gid);
    await rename(beside, link);
  }
}

/**
 * A recovery that was ended while nothing was archived has begun a timeline of which the archive knows nothing: without
 * its history nobody could recover on it. The archiver takes what is marked.
 */
export async function archiveHistory(place: InstancePlace): Promise<void> {
  const folder = join(layoutOf(place).data, 'pg_wal');
  const status = join(folder, 'archive_status');
  const done = new Set(await readdir(status));
  for (const name of await readdir(folder)) {
    if (!/^[0-9A-F]{8}\.history$/.test(name) || done.has(`${name}.done`)) continue;
    await writeOwned(place, join(status, `${name}.ready`), '');
  }
}
