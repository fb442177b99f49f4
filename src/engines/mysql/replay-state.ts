import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Target } from '../../model/target.ts';
import type { InstancePlace } from '../contract/restore.ts';
import { readIfThere } from '../owned-files.ts';
import { writeOwned } from './place.ts';
import type { InstanceFacts } from './settings.ts';

/** How far transactions were applied. */
export interface Applied {
  /** `binlog.000004:1234`: after the last one */
  lsn: string;
  /** every transaction that is in the copy; null: the server has no GTIDs */
  gtid: string | null;
  /** ISO 8601, of the last one's commit; null: none was applied yet */
  lastTransactionAt: string | null;
  /** microseconds since 1970, the latest of them: in a log they may step back */
  latestAt: string | null;
}

/** Logs that lie in the instance as relay logs, and up to where they are applied. */
export interface Batch {
  /** `relay`: the file's name in the relay folder; `from`, `to`: bytes of it that count */
  files: { relay: string; log: string; from: number; to: number }[];
  /** what is true once all of it is applied */
  after: Applied;
  /** transactions that a server may go past (settings.ts) without a place among its own, as a set; MariaDB has none */
  excused: string;
  /** the target is reached then */
  isLast: boolean;
}

/** What a later attempt has to know of a copy: `replay.json` in the instance's directory. */
export interface ReplayState extends InstanceFacts {
  backup: string;
  /** dbs that are loaded whole */
  loaded: string[];
  /** everything of the backup is there */
  isLoaded: boolean;
  /** the server's log since its last start */
  log: string;
  /** a machine that restarted may have lost what a server that does not sync wrote */
  bootId: string;
  /** what people have to know: what of the backup could not be made here */
  notices: string[];
  /** there once a replay has begun */
  replay?: {
    target: Target;
    applied: Applied;
    batch: Batch | null;
    isReached: boolean;
  };
  /** of a copy made from a dump for some of its tables, once it is complete */
  copy?: { position: string };
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

/** Whether the copy is where it should be, and nobody but Holdfast writes into it any more. */
export function isFinished(state: ReplayState): boolean {
  return state.replay?.isReached === true || state.copy !== undefined;
}

/** Whether all that a stopped server wrote is on its disk. */
export async function isOfThisBoot({ bootId: before }: ReplayState): Promise<boolean> {
  return before === (await bootId());
}

/** Changes with every start of the machine (random(4)); empty where the system has none. */
export async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
}
