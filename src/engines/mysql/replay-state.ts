import type { Target } from '../../model/target.ts';
import type { InstancePlace } from '../contract/restore.ts';
import { bootId, readState, removeState, writeState } from '../instance-state.ts';
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

export function readReplayState(place: InstancePlace): Promise<ReplayState | null> {
  return readState<ReplayState>(place);
}

export function writeReplayState(place: InstancePlace, state: ReplayState): Promise<void> {
  return writeState(place, state);
}

export function removeReplayState(place: InstancePlace): Promise<void> {
  return removeState(place);
}

/** Whether the copy is where it should be, and nobody but Holdfast writes into it any more. */
export function isFinished(state: ReplayState): boolean {
  return state.replay?.isReached === true || state.copy !== undefined;
}

/** Whether all that a stopped server wrote is on its disk. */
export async function isOfThisBoot({ bootId: before }: ReplayState): Promise<boolean> {
  return before === (await bootId());
}
