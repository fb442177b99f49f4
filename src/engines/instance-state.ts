import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstancePlace } from './contract/restore.ts';
import { readIfThere, writeOwnedFile } from './owned-files.ts';

const pathOf = (place: InstancePlace) => join(place.directory, 'replay.json');

/** What an earlier attempt left to know of a copy: `replay.json` in the instance's directory. Null: nothing. */
export async function readState<State>(place: InstancePlace): Promise<State | null> {
  const text = await readIfThere(pathOf(place));
  return text === null ? null : (JSON.parse(text) as State);
}

export async function writeState(place: InstancePlace, state: object): Promise<void> {
  await writeOwnedFile(place.user, pathOf(place), `${JSON.stringify(state, null, 2)}\n`);
}

export async function removeState(place: InstancePlace): Promise<void> {
  await rm(pathOf(place), { force: true });
}

/** Changes with every start of the machine (random(4)); empty where the system has none. */
export async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
}
