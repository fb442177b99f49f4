import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { InstancePlace } from '../contract/restore.ts';
import { lost, newLogIn, startDetached } from '../detached-server.ts';
import { readIfThere } from '../owned-files.ts';
import { runTool } from '../process.ts';
import { withConnection } from './connection.ts';
import { flavourOf } from './flavour.ts';
import { endServer, endStrays, isServer, serverPid } from './instance-processes.ts';
import { requireIsolation } from './isolation.ts';
import { instanceAccess, layoutOf, prepareLayout } from './place.ts';
import { mysqlProgram, serverArguments } from './programs.ts';
import {
  isFinished,
  isOfThisBoot,
  type ReplayState,
  readReplayState,
  writeReplayState,
} from './replay-state.ts';
import { type InstanceFacts, type InstanceSettings, sizes, writeSettings } from './settings.ts';

const QUICK_STOP_MS = 5_000;
/** What has to be rolled back and written before an orderly end. */
const ORDERLY_STOP_MS = 120_000;
const START_POLL_MS = 100;

/** Engine.stop: ends every process of an instance. Not-found is success. */
export async function stop(place: InstancePlace): Promise<void> {
  await endServer(place, QUICK_STOP_MS);
  await endStrays(place);
}

/** Ends the server in order where that does not take for ever: a second attempt goes on in its files. */
export async function stopInOrder(place: InstancePlace): Promise<void> {
  await endServer(place, ORDERLY_STOP_MS);
  await endStrays(place);
}

/**
 * Engine.ensureRunning: whether the restored server runs and answers, read-only and isolated; starts it again where its
 * process ended. Throws InstanceLost where its replay was not finished or its files may not be whole.
 */
export async function ensureRunning(place: InstancePlace, run: Run): Promise<void> {
  const state = await readReplayState(place);
  if (state === null || !isFinished(state)) throw lost(place, 'its replay was not finished');
  if ((await serverPid(place)) === null) {
    if (!(await isOfThisBoot(state))) throw lost(place, 'the machine was restarted since');
    await startAgain(place, state, run);
  } else {
    await requireOwnAccount(place, run);
  }
  await requireIsolation(place, run);
}

async function requireOwnAccount(place: InstancePlace, run: Run): Promise<void> {
  await withConnection(instanceAccess(place), run, async () => {}, { applicationName: 'start' }).catch(
    (error: unknown) => {
      if (!(error instanceof HoldfastError) || error.type !== 'AuthenticationFailed') throw error;
      throw lost(place, 'somebody has changed its accounts, and may have changed its rows');
    },
  );
}

/** Starts the server of a copy, in the manner that its state asks for; what it says goes to a log of this start. */
export async function startAgain(place: InstancePlace, state: ReplayState, run: Run): Promise<ReplayState> {
  await endStrays(place);
  const started = { ...state, log: newLogIn(layoutOf(place).logs) };
  // Before the start: whether a server ended in order is in the log that the state names.
  await writeReplayState(place, started);
  const { serverMajor, lowerCaseTableNames } = state;
  const readOnly = isFinished(state);
  const pid = await startServer(place, { serverMajor, lowerCaseTableNames, readOnly, log: started.log });
  await awaitAnswer(place, { pid, log: started.log }, run);
  return started;
}

/** Makes an empty data directory in place of whatever is there. Throws ToolMissing, ToolFailed, NotEnoughSpace. */
export async function makeServer(place: InstancePlace, facts: InstanceFacts, run: Run): Promise<void> {
  const { serverMajor, lowerCaseTableNames } = facts;
  const { data, relay, logs } = layoutOf(place);
  for (const folder of [data, relay, logs]) await rm(folder, { recursive: true, force: true });
  await prepareLayout(place);
  const base = await serverArguments(serverMajor);
  const options = {
    'lower-case-table-names': String(lowerCaseTableNames),
    'innodb-flush-method': 'nosync',
    ...sizes(serverMajor),
  };
  const settings = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
  const [program, args] =
    flavourOf(serverMajor) === 'mysql'
      ? [
          await mysqlProgram('mysqld', serverMajor),
          ['--no-defaults', ...base, `--datadir=${data}`, '--initialize-insecure', ...settings],
        ]
      : [
          await mysqlProgram('mariadb-install-db', serverMajor),
          [
            ...['--no-defaults', base[0] as string, `--datadir=${data}`, '--skip-test-db', '--skip-log-bin'],
            ...['--auth-root-authentication-method=normal', ...settings],
          ],
        ];
  await runTool(program, args, {
    ...{ signal: run.signal, user: place.user, cwd: place.directory },
    classify: ({ output }) => fullDisk(place, output),
  });
}

export interface ServerStart extends InstanceSettings {
  log: string;
}

/**
 * Starts the server of a place detached: it outlives this worker, and the next attempt finds it. Gives its pid; it need
 * not be ready.
 */
export async function startServer(place: InstancePlace, start: ServerStart): Promise<number> {
  const { data } = layoutOf(place);
  const mysqld = await mysqlProgram('mysqld', start.serverMajor);
  await prepareLayout(place);
  await removeStaleFiles(place);
  const file = await writeSettings(place, start);
  // Its own folder of plugins would be stronger than the empty one of the settings.
  const base = (await serverArguments(start.serverMajor)).filter((one) => !one.startsWith('--plugin-dir='));
  return startDetached(place, {
    ...{ program: mysqld, args: [`--defaults-file=${file}`, ...base] },
    ...{ folder: data, log: start.log },
  });
}

/** Waits until a started server lets Holdfast in. Throws why it does not, where its process ends instead. */
export async function awaitAnswer(
  place: InstancePlace,
  { pid, log }: { pid: number; log: string },
  run: Run,
): Promise<void> {
  for (;;) {
    const isAlive = await isServer(place, pid);
    try {
      return await withConnection(instanceAccess(place), run, async () => {}, { applicationName: 'start' });
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.type !== 'ConnectionFailed') throw error;
    }
    if (!isAlive) throw await startFailure(place, log);
    await sleep(START_POLL_MS, undefined, { signal: run.signal });
  }
}

/** Whether the server that wrote this log has ended in order, so that nothing of what it knew is lost. */
export async function hasEndedInOrder(log: string): Promise<boolean> {
  return /: Shutdown complete/.test((await readIfThere(log)) ?? '');
}

/** A server that was killed leaves its socket with a lock file: that names a process which may be another's by now. */
async function removeStaleFiles(place: InstancePlace): Promise<void> {
  if ((await serverPid(place)) !== null) return;
  const { sockets, configuration } = layoutOf(place);
  await rm(join(configuration, 'mysqld.pid'), { force: true });
  for (const name of await readdir(sockets)) {
    if (/^mysqld\.sock(?:\.lock)?$/.test(name)) await rm(join(sockets, name), { force: true });
  }
}

/** The server says at its start nothing of rows. */
async function startFailure(place: InstancePlace, log: string): Promise<HoldfastError> {
  const said = (await readIfThere(log)) ?? '';
  const full = fullDisk(place, said);
  if (full !== undefined) return full;
  const error = said.split('\n').find((line) => /\[ERROR\]/.test(line));
  const why =
    error?.replace(/^.*\[ERROR\]\s*(?:\[MY-\d+\] \[\w+\]\s*)?/, '').slice(0, 300) ?? 'it said nothing';
  return new HoldfastError('ToolFailed', `the restored server did not start: ${why}`, {
    hint: `see its log in ${layoutOf(place).logs}`,
  });
}

function fullDisk(place: InstancePlace, said: string): HoldfastError | undefined {
  if (!/No space left on device|Errcode: 28\b|error: 28\b|OS errno 28\b/i.test(said)) return undefined;
  return new HoldfastError('NotEnoughSpace', `the disk of the instance ran full, below ${place.directory}`, {
    hint: 'free space on the site and resume',
  });
}
