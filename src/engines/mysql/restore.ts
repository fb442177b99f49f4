import type { Run } from '../../model/progress.ts';
import type { InstancePlace, RestoreDumpsInput } from '../contract/restore.ts';
import { bootId } from '../instance-state.ts';
import { serverPid } from './instance-processes.ts';
import { type Deferred, loadAccounts, loadDeferred, loadDump } from './load.ts';
import {
  isOfThisBoot,
  type ReplayState,
  readReplayState,
  removeReplayState,
  writeReplayState,
} from './replay-state.ts';
import { hasEndedInOrder, makeServer, startAgain, stop, stopInOrder } from './server.ts';

/**
 * Engine.restore: makes a new, isolated server of a logical backup, and stops it. A second run keeps the dbs that are
 * loaded whole, unless a replay has begun: then everything is loaded anew. Throws BackupUnusable, CheckFailed,
 * ToolMissing, NotEnoughSpace, RepositoryUnavailable, ChecksumMismatch.
 */
export async function restore(input: RestoreDumpsInput, run: Run): Promise<void> {
  const { place, globals, dumps } = input;
  if (await isDone(input)) return;
  try {
    let state = await startForLoading(input, run);
    const loading = { place, serverMajor: input.serverMajor, backup: input.backup };
    const deferred: Deferred[] = globals === null ? [] : await loadAccounts(loading, globals, run);
    for (const dump of dumps) {
      if (state.loaded.includes(dump.database)) continue;
      const views = await loadDump(loading, dump, () => true, run);
      deferred.push(...views);
      // A view that waits for another db is forgotten with this attempt: its own db is loaded again then.
      if (views.length > 0) continue;
      state = { ...state, loaded: [...state.loaded, dump.database] };
      await writeReplayState(place, state);
    }
    const notices = await loadDeferred(loading, deferred, run);
    await stopInOrder(place);
    await writeReplayState(place, { ...state, notices, isLoaded: true });
  } catch (error) {
    await stop(place);
    run.signal.throwIfAborted();
    throw error;
  }
}

/** Loaded by an earlier attempt, and not touched since. */
async function isDone({ place, backup }: RestoreDumpsInput): Promise<boolean> {
  const state = await readReplayState(place);
  if (state === null || state.backup !== backup || !state.isLoaded) return false;
  return (await serverPid(place)) === null && (await isSound(place, state));
}

/** A running server: that of an earlier attempt at the same backup where its files are sound, else an empty one. */
export async function startForLoading(
  input: Pick<RestoreDumpsInput, 'place' | 'backup' | 'serverMajor' | 'globals'>,
  run: Run,
): Promise<ReplayState> {
  const { place, backup, serverMajor } = input;
  const before = await readReplayState(place);
  if (before !== null && before.backup === backup && (await isSound(place, before))) {
    if ((await serverPid(place)) !== null) return before;
    return startAgain(place, before, run);
  }
  await stop(place);
  await removeReplayState(place);
  const facts = { serverMajor, lowerCaseTableNames: lowerCaseTableNames(input.globals) };
  run.progress({ phase: 'making an empty server' });
  await makeServer(place, facts, run);
  const state: ReplayState = {
    ...{ ...facts, backup, loaded: [], isLoaded: false, notices: [] },
    ...{ log: '', bootId: await bootId() },
  };
  return startAgain(place, state, run);
}

/** Whether what is there is part of a load, and whole: a server that was killed may lack what it had not written yet. */
async function isSound(place: InstancePlace, state: ReplayState): Promise<boolean> {
  if (state.replay !== undefined || state.copy !== undefined || !(await isOfThisBoot(state))) return false;
  return (await serverPid(place)) !== null || hasEndedInOrder(state.log);
}

/** As the backup's accounts say it of production; else as Linux has it. It cannot be changed later. */
function lowerCaseTableNames(globals: string | null): number {
  const said = /\blower_case_table_names\s*[=:]\s*([012])\b/.exec(globals ?? '')?.[1];
  return said === undefined ? 0 : Number(said);
}
