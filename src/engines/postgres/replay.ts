import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { describeTarget, type Target } from '../../model/target.ts';
import { parseLsn } from '../../model/wal.ts';
import type { ReplayArchivedInput, ReplayResult } from '../contract/restore.ts';
import { bootId } from '../instance-state.ts';
import { raise, readParameters } from './control-data.ts';
import { endStrays, serverPid } from './instance-processes.ts';
import { requireIsolation } from './isolation.ts';
import { repositoryEnvironment } from './pgbackrest.ts';
import { layoutOf, prepareLayout, writeOwned } from './place.ts';
import { endReplay, endWhereLocked } from './replay-end.ts';
import {
  isComplete,
  type Reached,
  type ReplayState,
  readReplayState,
  requireNoProduction,
  resultOf,
  writeReplayState,
} from './replay-state.ts';
import { awaitPause, isLater } from './replay-wait.ts';
import { newLog, startServer, stop } from './server.ts';
import { writeArchiveGet, writeSettings } from './settings.ts';

/** Each start can find one more parameter that the primary raised. */
const STARTS = 6;

/**
 * Starts the restored server isolated, replays to the target, pauses there and proves the position. A second
 * run finds the server of the first and waits on. Another target than before is taken up where it lies further
 * on; else it throws InstanceLost, and the files have to be restored again. Throws TargetNotReached, LogGap,
 * TargetNotRecoverable, NotEnoughSpace, RepositoryUnavailable, RepositoryRefused.
 */
export async function replay(input: ReplayArchivedInput, run: Run): Promise<ReplayResult> {
  const { place } = input;
  await prepareLayout(place);
  const before = await readReplayState(place);
  if (before !== null) await requireUsable(before, input);
  try {
    const paused =
      (before !== null && isSame(before, input) ? await waitForRunning(before, input, run) : null) ??
      (await startAndWait(before, input, run));
    const state = paused.ended === undefined ? await endWhereLocked(place, paused, run) : paused;
    await requireIsolation(place, state, run);
    return resultOf(place, state);
  } catch (error) {
    // Nothing half recovered goes on by itself: neither after a cancellation nor after a failure.
    await stop(place);
    run.signal.throwIfAborted();
    throw error;
  }
}

/** A server of an earlier attempt that is on its way to the same target, or there. */
async function waitForRunning(
  state: ReplayState,
  input: ReplayArchivedInput,
  run: Run,
): Promise<(ReplayState & { reached: Reached }) | null> {
  const pid = await serverPid(input.place);
  if (pid === null) return null;
  const { reached } = state;
  if (state.ended !== undefined && reached !== null)
    return endReplay(input.place, { ...state, reached }, run);
  const outcome = await awaitPause(input.place, { pid, state, lastLog: input.lastLog }, run);
  return 'tooLow' in outcome ? null : await keep(input, { ...state, reached: outcome });
}

async function startAndWait(
  before: ReplayState | null,
  input: ReplayArchivedInput,
  run: Run,
): Promise<ReplayState & { reached: Reached }> {
  const { place, serverMajor, durable = false } = input;
  let parameters = await readParameters(place, serverMajor, run.signal);
  if (before !== null) parameters = raise(parameters, before.parameters);
  for (let start = 1; start <= STARTS; start += 1) {
    await stop(place);
    const log = newLog(place);
    const state: ReplayState = {
      ...{ target: input.target, timeline: input.timeline, serverMajor, parameters, log },
      ...{ user: input.user, database: input.database, lastLog: input.lastLog },
      ...{ bootId: await bootId(), reached: null, durable },
    };
    await writeReplayState(place, state);
    await writeSettings(place, { ...state, archiveGet: await writeArchiveGet(place), fsync: durable });
    await writeSignal(input);
    await endStrays(place);
    const pid = await startServer(place, { serverMajor, log, environment: archiveEnvironment(input) });
    const outcome = await awaitPause(place, { pid, state, lastLog: input.lastLog }, run);
    if (!('tooLow' in outcome)) return keep(input, { ...state, reached: outcome });
    parameters = raise(parameters, outcome.tooLow);
  }
  throw new HoldfastError('ToolFailed', 'the restored server asks for ever higher parameters', {
    hint: 'see the server log of the instance',
    retryable: false,
  });
}

async function keep<T extends ReplayState>(input: ReplayArchivedInput, state: T): Promise<T> {
  await writeReplayState(input.place, state);
  return state;
}

/** `latest` is replayed as a standby: at the end of the logs it waits, where a recovery would promote. */
async function writeSignal({ place, target }: ReplayArchivedInput): Promise<void> {
  const { data } = layoutOf(place);
  const [wanted, other] =
    'latest' in target ? ['standby.signal', 'recovery.signal'] : ['recovery.signal', 'standby.signal'];
  await rm(join(data, other as string), { force: true });
  await writeOwned(place, join(data, wanted as string), '');
}

/** The repository for restore_command: in the environment of the server and nowhere on the disk. */
function archiveEnvironment({ place, repository, stanza }: ReplayArchivedInput): Record<string, string> {
  const { data, spool, locks, logs } = layoutOf(place);
  return {
    ...repositoryEnvironment(repository),
    PGBACKREST_STANZA: stanza,
    PGBACKREST_PG1_PATH: data,
    PGBACKREST_ARCHIVE_ASYNC: 'y',
    PGBACKREST_PROCESS_MAX: '2',
    PGBACKREST_SPOOL_PATH: spool,
    PGBACKREST_LOCK_PATH: locks,
    PGBACKREST_LOG_PATH: logs,
    PGBACKREST_LOG_LEVEL_FILE: 'off',
    PGBACKREST_LOG_LEVEL_CONSOLE: 'off',
    PGBACKREST_LOG_LEVEL_STDERR: 'warn',
  };
}

async function requireUsable(before: ReplayState, input: ReplayArchivedInput): Promise<void> {
  requireNoProduction(input.place, before);
  const again = (why: string) =>
    new HoldfastError(
      'InstanceLost',
      `the restored files cannot be replayed to ${describeTarget(input.target)}: ${why}`,
      {
        hint: 'restore the files again: those that are right already are kept',
      },
    );
  if (!(await isComplete(before))) throw again('the machine was restarted since');
  if (input.durable === true && before.durable !== true)
    throw again('not all of them are on the disk for certain');
  if (before.ended !== undefined && !(isSame(before, input) && (await serverPid(input.place)) !== null)) {
    throw again('their recovery has been ended, since a transaction under way held tables');
  }
  if (!isSame(before, input) && !isFurther(before, input)) {
    throw again(`they have been replayed towards ${describeTarget(before.target)} already`);
  }
}

/** `latest` is another place once a later log is in the repository. */
function isSame(before: ReplayState, input: ReplayArchivedInput): boolean {
  const { target, timeline, lastLog } = input;
  if (before.timeline !== timeline || JSON.stringify(before.target) !== JSON.stringify(target)) return false;
  return !('latest' in target) || (lastLog ?? '') <= (before.lastLog ?? '');
}

/** Whether a target lies beyond an earlier one for certain: a replay cannot go back. */
export function isFurther(
  before: { target: Target; timeline: number; reached: { lsn: string } | null },
  next: { target: Target; timeline: number },
): boolean {
  const [from, to] = [before.target, next.target];
  if (before.timeline !== next.timeline) return false;
  if ('latest' in to) return true;
  if ('latest' in from) return false;
  if ('backup' in from) return !('backup' in to);
  if ('time' in from && 'time' in to) return isLater(to.time, from.time, false);
  if ('lsn' in from && 'lsn' in to) return parseLsn(to.lsn) > parseLsn(from.lsn);
  if ('lsn' in to && before.reached !== null) return parseLsn(to.lsn) > parseLsn(before.reached.lsn);
  return false;
}
