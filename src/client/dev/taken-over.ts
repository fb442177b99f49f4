import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { layoutOf } from './configuration.ts';
import { runningPid } from './postgres.ts';

export interface TakenOver {
  /** everything of it lies under it */
  directory: string;
  /** null: it does not run */
  pid: number | null;
}

/** The server at the second site that is production now, by its own record; null: there is none. */
export async function takenOver(directory: string): Promise<TakenOver | null> {
  const { production } = layoutOf(directory).second;
  let newest: { directory: string; createdAt: string } | null = null;
  for (const name of await readdir(production).catch(() => [])) {
    const place = join(production, name);
    const text = await readFile(join(place, 'instance.json'), 'utf8').catch(() => '{}');
    const { role, createdAt } = JSON.parse(text) as { role?: string; createdAt: string };
    if (role !== 'production' || (newest !== null && createdAt < newest.createdAt)) continue;
    newest = { directory: place, createdAt };
  }
  return newest && { directory: newest.directory, pid: await runningPid(join(newest.directory, 'data')) };
}
