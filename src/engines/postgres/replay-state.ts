import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../model/failure.ts';
import type { Target } from '../../model/target.ts';
import type { InstancePlace, ReplayResult, TakenOver } from '../contract/restore.ts';
import { readIfThere } from '../owned-files.ts';
import type { InstanceParameters } from './control-data.ts';
import { instanceAccess, writeOwned } from './place.ts';

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

const pathOf = (place: InstancePlace) => join(place.directory, 'replay.json');

export async function readReplayState(place: InstancePlace): Promise<ReplayState | null> {
  const text = await readIfThere(pathOf(place));
  return text === null ? null : (JSON.parse(text) as ReplayState);
}

export async function writeReplayState(place: InstancePlace, state: ReplayState): Promise<void> {
  await writeOwned(place, pathOf(place), `${JSON.stringify(state, null, 2)}\n`);
}

export async function removeReplayState(place: InstancePlace): Promise<void> {
  await rm(pathOf(place), { force: true });
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

/** Changes with every start of the machine (random(4)); empty where the system has none. */
export async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
}
