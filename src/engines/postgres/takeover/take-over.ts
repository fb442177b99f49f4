import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerAccess } from '../../../model/access.ts';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import { parseLsn } from '../../../model/wal.ts';
import type { TakenOver, TakeOverInput } from '../../engine.ts';
import { withConnection } from '../connection.ts';
import { endStrays, isServer, serverPid } from '../instance-processes.ts';
import { runPgbackrest } from '../pgbackrest.ts';
import { instanceAccess, layoutOf, readIfThere, writeOwned } from '../place.ts';
import { endRecovery } from '../replay-end.ts';
import {
  isComplete,
  type Production,
  type Reached,
  type ReplayState,
  readReplayState,
  writeReplayState,
} from '../replay-state.ts';
import { ensureRunning, newLog, startServer, stop } from '../server.ts';
import { failureOfServer } from '../server-log.ts';
import { recoverySettings } from '../settings.ts';
import { archiveHistory, writeFiles } from './files.ts';
import { noticesOf } from './notices.ts';
import { lost, requireBranch } from './promotion.ts';
import { writeService } from './service.ts';
import { CLOSED_HBA, renderProductionSettings } from './settings.ts';

const POLL_MS = 250;

type Taking = ReplayState & { reached: Reached; production: Production };
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
  const recovering = await awaitTarget(input, state, pid, run);
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

/** Waits until the server is where the replay had stopped: true; false where its recovery has ended. */
async function awaitTarget({ place }: TakeOverInput, state: Taking, pid: number, run: Run): Promise<boolean> {
  const access = instanceAccess(place, state);
  for (;;) {
    const alive = await isServer(place, pid);
    const now = await withConnection(access, session(run), async (client) => {
      const { rows } = await client.query<{ lsn: string | null }>(
        `SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
           THEN pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text END AS lsn`,
      );
      return rows[0] as { lsn: string | null };
    }).catch((error: unknown) => {
      // While it replays it may not answer yet, or not know yet what made the user or the db.
      if (!(error instanceof HoldfastError)) throw error;
      return null;
    });
    if (now?.lsn === null) return false;
    if (now?.lsn === state.reached.lsn) return true;
    if (now != null && parseLsn(now.lsn) > parseLsn(state.reached.lsn)) {
      throw lost(place, `it went on to ${now.lsn}, beyond the target at ${state.reached.lsn}`);
    }
    if (now === null && !alive) throw await startFailure(state);
    run.progress({
      phase: 'replaying its own logs',
      ...(now === null ? {} : { detail: `at ${now.lsn}` }),
    });
    await sleep(POLL_MS, undefined, { signal: run.signal });
  }
}

const IN_THE_CONFIGURATION =
  /(?:could not bind|could not load (?:server|private)|(?:private key|certificate) file|unrecognized configuration parameter|invalid value for parameter|could not access file).*/;

/** What an operator can mend in the configuration parks the runbook. */
async function startFailure(state: Taking): Promise<HoldfastError> {
  const log = (await readIfThere(state.log)) ?? '';
  const said = IN_THE_CONFIGURATION.exec(log)?.[0];
  if (said !== undefined) {
    return new HoldfastError('ToolFailed', `the new server does not start: ${said.slice(0, 300)}`, {
      hint: 'correct takeover of this site in the configuration (port, settings, tls), or free the port, then resume',
      retryable: false,
    });
  }
  return failureOfServer({ ...state, log, lastLog: null, missingLog: null });
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
