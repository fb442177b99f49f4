import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerAccess } from '../../../model/access.ts';
import type { Run } from '../../../model/progress.ts';
import type { TakenOver, TakeOverInput } from '../../contract/restore.ts';
import { readIfThere } from '../../owned-files.ts';
import { withConnection } from '../connection.ts';
import { endStrays, serverPid } from '../instance-processes.ts';
import { runPgbackrest } from '../pgbackrest.ts';
import { instanceAccess, layoutOf, writeOwned } from '../place.ts';
import { endRecovery } from '../replay-end.ts';
import {
  isComplete,
  type Reached,
  type ReplayState,
  readReplayState,
  writeReplayState,
} from '../replay-state.ts';
import { ensureRunning, newLog, startServer, stop } from '../server.ts';
import { recoverySettings } from '../settings.ts';
import { awaitTarget, type Taking } from './await-target.ts';
import { archiveHistory, writeFiles } from './files.ts';
import { noticesOf } from './notices.ts';
import { lost, requireBranch } from './promotion.ts';
import { writeService } from './service.ts';
import { CLOSED_HBA, renderProductionSettings } from './settings.ts';

const POLL_MS = 250;

type Replayed = ReplayState & { reached: Reached };

/**
 * Engine.takeOver. The server comes up in recovery, from logs of its own, where the replay had left it; only then is the
 * recovery ended, and only when it is proved where that happened, clients are let in. What has been done stands in the
 * replay's state and in the server's own files, so that a second run goes on from there.
 */
export async function takeOver(input: TakeOverInput, run: Run): Promise<TakenOver> {
  const { place } = input;
  const before = await requireReplayed(input);
  if (before.production?.taken != null) {
    await ensureRunning(place, run);
    return before.production.taken;
  }
  try {
    const { state, pid } = await start(input, before, run);
    return await finish(input, await endOnce(input, state, pid, run), pid, run);
  } catch (error) {
    // Nothing half taken over goes on by itself.
    await stop(place);
    run.signal.throwIfAborted();
    throw error;
  }
}

async function requireReplayed({ place }: TakeOverInput): Promise<Replayed> {
  const state = await readReplayState(place);
  if (state?.reached == null) throw lost(place, 'its replay was not finished');
  if (!(await isComplete(state))) throw lost(place, 'the machine was restarted since');
  if (state.ended?.nextXid === null) throw lost(place, 'its recovery was not ended orderly');
  if (state.durable !== true) throw lost(place, 'not all of it is on the disk for certain');
  return { ...state, reached: state.reached };
}

/** With the settings of now: one that runs with others, or as the isolated copy that it was, is stopped first. */
async function start(
  input: TakeOverInput,
  before: Replayed,
  run: Run,
): Promise<{ state: Taking; pid: number }> {
  const { place, serverMajor, server } = input;
  const file = join(layoutOf(place).configuration, 'postgresql.conf');
  const settings = renderProductionSettings(input, before.parameters);
  const { production } = before;
  const running = await serverPid(place);
  if (running !== null && production !== undefined && settings === (await readIfThere(file))) {
    return { state: { ...before, production }, pid: running };
  }
  run.progress({ phase: 'starting the server' });
  await stop(place);
  await writeFiles(input);
  await createStanza(input, run);
  await writeOwned(place, file, settings);
  if (before.ended !== undefined) await archiveHistory(place);
  await endStrays(place);
  const log = newLog(place);
  const promoting = production?.promoting ?? false;
  const state = { ...before, log, production: { port: server.port, promoting, taken: null } };
  await writeReplayState(place, state);
  // For this start alone: what recovers without a signal file ignores them.
  const recovery = recoverySettings({ ...before, archiveGet: null });
  const pid = await startServer(place, {
    ...{ serverMajor, log, environment: {}, withGroups: true },
    settings: Object.fromEntries(Object.entries(recovery).map(([name, value]) => [name, String(value)])),
  });
  return { state, pid };
}

/** From the control file, so that it is there before the server writes its first log. */
async function createStanza({ place, repository, stanza }: TakeOverInput, run: Run): Promise<void> {
  const { data, locks } = layoutOf(place);
  await runPgbackrest('stanza-create', ['--no-online'], {
    ...{ repository, stanza, signal: run.signal, user: place.user, lockDirectory: locks },
    env: { PGBACKREST_PG1_PATH: data },
  });
}

async function endOnce(input: TakeOverInput, state: Taking, pid: number, run: Run): Promise<Taking> {
  const { place } = input;
  const recovering = await awaitTarget(place, state, pid, run);
  if (!recovering) {
    if (state.production.promoting || state.ended !== undefined) return state;
    throw lost(place, 'somebody has promoted it');
  }
  const promoting = { ...state, production: { ...state.production, promoting: true } };
  // Written before: nobody could tell later who did it.
  await writeReplayState(place, promoting);
  run.progress({ phase: 'ending the recovery' });
  await endRecovery(place, state.serverMajor, run);
  return promoting;
}

/** Proves what it is, then lets clients in. */
async function finish(input: TakeOverInput, state: Taking, pid: number, run: Run): Promise<TakenOver> {
  const { place, server } = input;
  const { configuration, data, sockets } = layoutOf(place);
  const access = instanceAccess(place, state);
  run.progress({ phase: 'proving where it begins' });
  const branch = await requireBranch(place, { ...state, access }, run);
  const serviceFile = await writeService(input);
  await writeOwned(place, join(configuration, 'pg_hba.conf'), `${CLOSED_HBA}${server.hba.join('\n')}\n`);
  await reload(access, pid, run);
  const notices = await withConnection(access, session(run), (client) => noticesOf(input, client));
  const taken = { access, ...branch, dataDirectory: data, socketDirectory: sockets, serviceFile, notices };
  await writeReplayState(place, { ...state, production: { ...state.production, taken } });
  return taken;
}

/** By the signal, for which the user of the connection needs no right; new sessions know when it was heard. */
async function reload(access: ServerAccess, pid: number, run: Run): Promise<void> {
  const loadedAt = () =>
    withConnection(access, session(run), async (client) => {
      const { rows } = await client.query<{ at: string }>(
        'SELECT pg_catalog.pg_conf_load_time()::pg_catalog.text AS at',
      );
      return rows[0]?.at;
    });
  const before = await loadedAt();
  process.kill(pid, 'SIGHUP');
  while ((await loadedAt()) === before) await sleep(POLL_MS, undefined, { signal: run.signal });
}

const session = (run: Run) => ({ signal: run.signal, applicationName: 'take over' });
