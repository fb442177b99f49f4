import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { describeTarget, type Target } from '../../model/target.ts';
import type { InstancePlace, ReplayResult, ReplayShippedInput } from '../contract/restore.ts';
import { lost } from '../detached-server.ts';
import type { Connection } from './connection.ts';
import { flavourOf, replicationWords } from './flavour.ts';
import { serverPid } from './instance-processes.ts';
import { requireIsolation } from './isolation.ts';
import { ownAccountStatements } from './own-accounts.ts';
import { instanceAccess, instanceUrl } from './place.ts';
import { applyBatch, enter, readStatus } from './replay-apply.ts';
import { placeLogs } from './replay-place.ts';
import { shortened } from './replay-reading.ts';
import {
  type Applied,
  isOfThisBoot,
  type ReplayState,
  readReplayState,
  writeReplayState,
} from './replay-state.ts';
import { isPassed, stopOf } from './replay-stop.ts';
import { ensureRunning, hasEndedInOrder, stopInOrder } from './server.ts';

type Replaying = ReplayState & { replay: NonNullable<ReplayState['replay']> };

/**
 * Engine.replay of shipped logs: they are applied by the restored server's own applier, as relay logs, up to the last
 * transaction before the target; then the copy is read-only for everybody but Holdfast. A second run finds the server of
 * the first and waits on. Another target than before is taken up where it lies further on; else it throws InstanceLost,
 * and the base has to be restored again. Throws TargetNotReached, TargetNotRecoverable, LogGap, CheckFailed where logs
 * and base do not fit, NotEnoughSpace, BackupUnusable, ChecksumMismatch. `batchBytes`: of logs that lie in the instance
 * at a time, half of what is free unless told.
 */
export async function replay(
  input: ReplayShippedInput,
  run: Run,
  { batchBytes = null }: { batchBytes?: number | null } = {},
): Promise<ReplayResult> {
  const { place } = input;
  // Refused before anything is touched.
  stopOf(input.target);
  const before = await readReplayState(place);
  if (before === null || !before.isLoaded) throw lost(place, 'the base was not restored');
  let state = await taken(place, before, input);
  if (state.replay.isReached) {
    await ensureRunning(place, run);
    return resultOf(input, state.replay.applied);
  }
  try {
    while (!state.replay.isReached) state = await step(input, state, batchBytes, run);
    return resultOf(input, state.replay.applied);
  } catch (error) {
    // Nothing half recovered goes on by itself; in order, so that another attempt can go on.
    await stopInOrder(place);
    run.signal.throwIfAborted();
    throw error;
  }
}

/** Places logs and applies them; what is done is written down before the server forgets it. */
async function step(
  input: ReplayShippedInput,
  state: Replaying,
  batchBytes: number | null,
  run: Run,
): Promise<Replaying> {
  const { place, serverMajor, target, logs } = input;
  const { applied } = state.replay;
  let batch = state.replay.batch;
  let next = state;
  if (batch === null) {
    await forgetLogs(place, state, run);
    // A server reads the list of its relay logs at its start only.
    await stopInOrder(place);
    batch = await placeLogs({ place, serverMajor, target, logs, applied, batchBytes }, run);
    if (batch === null) return settle(place, state, run);
    next = await keep(place, { ...state, replay: { ...state.replay, batch } });
  }
  const started = await applyBatch(place, next, batch, run);
  const done = { ...started, replay: { ...next.replay, applied: batch.after, batch: null } };
  await keep(place, done);
  return batch.isLast ? settle(place, done, run) : done;
}

/** What an attempt before has applied, and not made the server forget before it was killed. */
async function forgetLogs(place: InstancePlace, state: Replaying, run: Run): Promise<void> {
  if ((await serverPid(place)) === null && state.replay.applied.lastTransactionAt === null) return;
  const { session } = await enter(place, state, run);
  try {
    await resetReplication(session);
  } finally {
    await session.close();
  }
}

async function resetReplication(session: Connection): Promise<void> {
  if ((await readStatus(session)) !== null) await session.query(replicationWords(session.server).reset);
}

/** At the target: a plain server, which knows of no source, with Holdfast's accounts as they have to be. */
async function settle(place: InstancePlace, state: Replaying, run: Run): Promise<Replaying> {
  const { session, started } = await enter(place, state, run);
  try {
    await resetReplication(session);
    for (const statement of ownAccountStatements(state.serverMajor)) await session.query(statement);
    await session.query('SET GLOBAL read_only = ON');
  } finally {
    await session.close();
  }
  await requireIsolation(place, run);
  return keep(place, { ...started, replay: { ...state.replay, batch: null, isReached: true } });
}

async function keep(place: InstancePlace, state: Replaying): Promise<Replaying> {
  await writeReplayState(place, state);
  return state;
}

/** What an earlier attempt came to, or another target that lies further on. */
async function taken(
  place: InstancePlace,
  before: ReplayState,
  input: ReplayShippedInput,
): Promise<Replaying> {
  const { target, from } = input;
  const { replay: earlier } = before;
  if (earlier === undefined) {
    const applied = { lsn: from.position, gtid: from.gtid, lastTransactionAt: null, latestAt: null };
    requireAhead(target, applied);
    if (!(await isOfThisBoot(before))) throw again(input, 'the machine was restarted since');
    return { ...before, replay: { target, applied, batch: null, isReached: false } };
  }
  await requireWhole(place, before, input);
  const isSame = JSON.stringify(earlier.target) === JSON.stringify(target);
  // The end of the logs is another place once there is one more.
  if (isSame && !('latest' in target && earlier.isReached && isBehind(earlier.applied, input))) {
    return { ...before, replay: earlier };
  }
  if (earlier.batch !== null || ('backup' in target && earlier.applied.lastTransactionAt !== null)) {
    throw again(input, `it is on its way to ${describeTarget(earlier.target)}`);
  }
  if (isPassed(target, earlier.applied)) {
    throw again(input, `it has been replayed to ${describeTarget(earlier.target)} already`);
  }
  return { ...before, replay: { ...earlier, target, isReached: false } };
}

/** Whether a log has come behind the one that is applied. */
function isBehind({ lsn }: Applied, { logs }: ReplayShippedInput): boolean {
  const last = logs.at(-1)?.name;
  return last !== undefined && !lsn.startsWith(`${last}:`);
}

function requireAhead(target: Target, base: Applied): void {
  if (!isPassed(target, base)) return;
  throw new HoldfastError(
    'TargetNotRecoverable',
    `${describeTarget(target)} lies before the base, which stands at ${base.lsn}`,
    { hint: 'choose an older backup (holdfast catalog lists them), or a later target' },
  );
}

/**
 * A server that was killed half-way: MySQL notes with each transaction where it stands, MariaDB in a file that may be
 * behind, so that it would apply some twice.
 */
async function requireWhole(
  place: InstancePlace,
  state: ReplayState,
  input: ReplayShippedInput,
): Promise<void> {
  if ((await serverPid(place)) !== null) return;
  if (!(await isOfThisBoot(state))) throw again(input, 'the machine was restarted since');
  if (flavourOf(state.serverMajor) === 'mysql' || state.replay?.batch == null) return;
  if (!(await hasEndedInOrder(state.log))) throw again(input, 'its server was killed while it replayed');
}

function again({ target }: ReplayShippedInput, why: string): HoldfastError {
  return new HoldfastError(
    'InstanceLost',
    `the restored copy cannot be replayed to ${describeTarget(target)}: ${why}`,
    { hint: 'restore the base again' },
  );
}

function resultOf({ place, database }: ReplayShippedInput, applied: Applied): ReplayResult {
  const { lsn, gtid, lastTransactionAt } = applied;
  return {
    access: instanceAccess(place, database),
    url: instanceUrl(place, database),
    position: gtid === null || gtid === '' ? lsn : `${lsn}, ${shortened(gtid)}`,
    ...{ lsn, gtid, lastTransactionAt },
  };
}
