import { HoldfastError } from '../../model/failure.ts';
import type { Target } from '../../model/target.ts';
import type { InstancePlace, ReplayResult, TakenOver } from '../contract/restore.ts';
import { bootId, readState, removeState, writeState } from '../instance-state.ts';
import type { InstanceParameters } from './control-data.ts';
import { instanceAccess } from './place.ts';

/** Where the replay stopped. */
export interface Reached {
  position: string;
  lsn: string;
  lastTransactionAt: string | null;
}

/** What a later attempt has to know of a replay: `replay.json` in the instance's directory. */
export interface ReplayState {
  target: Target;
  timeline: number;
  serverMajor: number;
  user: string;
  database: string;
  parameters: InstanceParameters;
  /** the last log known to be in the repository when the replay began: `latest` reaches its end, null: nobody said */
  lastLog: string | null;
  /** the server's log since its last start */
  log: string;
  /** a machine that restarted may have lost what a server without fsync wrote */
  bootId: string;
  reached: Reached | null;
  /**
   * there where the recovery was ended at its target (replay-end.ts), with the number that the next transaction
   * will have; null while it is being ended. `unlogged`: it has rows that do not outlive the server's process
   */
  ended?: { nextXid: string | null; unlogged?: boolean };
  /** what people have to know of a copy made from a dump */
  notices?: string[];
  /** it is to become production: what it writes outlives the machine's crash */
  durable?: boolean;
  /** there once it is no isolated copy any more (takeover/) */
  production?: Production;
}

export interface Production {
  /** of its clients, and of its private socket */
  port: number;
  /** the end of its recovery was asked for, and may have come */
  promoting: boolean;
  /** null: not finished */
  taken: TakenOver | null;
}

export function readReplayState(place: InstancePlace): Promise<ReplayState | null> {
  return readState<ReplayState>(place);
}

export function writeReplayState(place: InstancePlace, state: ReplayState): Promise<void> {
  return writeState(place, state);
}

export function removeReplayState(place: InstancePlace): Promise<void> {
  return removeState(place);
}

/** What later steps have to know of a copy that is where it should be. */
export function resultOf(place: InstancePlace, state: ReplayState & { reached: Reached }): ReplayResult {
  const access = instanceAccess(place, state);
  const url = `postgresql://${encodeURIComponent(access.user)}@/${encodeURIComponent(access.database)}?host=${encodeURIComponent(access.host)}`;
  return { access, url, ...state.reached };
}

/** Throws DatabaseBusy where a place holds what may be production by now: nothing is restored or replayed over it. */
export function requireNoProduction(place: InstancePlace, state: ReplayState | null): void {
  if (state?.production === undefined) return;
  throw new HoldfastError('DatabaseBusy', `the server in ${place.directory} took a database over`, {
    hint: 'restore into another instance: start the runbook again',
  });
}

/** Whether all that a stopped copy wrote is on its disk. */
export async function isComplete({ durable, bootId: before }: ReplayState): Promise<boolean> {
  return durable === true || before === (await bootId());
}
