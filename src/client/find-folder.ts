import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive } from './dev/detached.ts';

const PREFIX = 'holdfast-find-';

/**
 * Runs with an empty folder for fetched logs, which only this user can read: they hold production's rows. It is removed
 * afterwards; what a killed search left is removed by the next one, for its process is in the folder's name.
 */
export async function withLogFolder<T>(work: (directory: string) => Promise<T>): Promise<T> {
  await sweep();
  const directory = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    // Another user's is that user's to remove.
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => {});
  }
}
