import { join } from 'node:path';
import type { ClientBase } from 'pg';
import type { ServerAccess } from '../../../model/access.ts';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import type { InstancePlace } from '../../contract/restore.ts';
import { readIfThere } from '../../owned-files.ts';
import { withConnection } from '../connection.ts';
import { serverPid } from '../instance-processes.ts';
import { instanceAccess, layoutOf } from '../place.ts';
import { endReplay } from '../replay-end.ts';
import { type Reached, readReplayState } from '../replay-state.ts';
import { ensureRunning } from '../server.ts';

/** Engine.promote: of a drill. The copy stays isolated, and read-only unless a session says otherwise. */
export async function promote(place: InstancePlace, run: Run): Promise<{ timeline: number }> {
  const state = await readReplayState(place);
  if (state === null) throw lost(place, 'its replay was not finished');
  // An earlier attempt was killed at it.
  const isHalf = state.ended?.nextXid === null && (await serverPid(place)) !== null;
  if (!isHalf) await ensureRunning(place, run);
  if (isHalf || (state.ended ?? state.production) === undefined) await endReplay(place, state, run);
  return ask(instanceAccess(place, state), run, async (client) => ({ timeline: await timelineOf(client) }));
}

export interface Branch {
  systemIdentifier: string;
  timeline: number;
  /** where it left the timeline before */
  switchedAt: string;
}

/**
 * What became of the server: it writes, on a timeline of its own, which begins exactly where the replay had stopped, so
 * that nothing beyond the target is in it. Throws InstanceLost.
 */
export async function requireBranch(
  place: InstancePlace,
  replayed: { access: ServerAccess; timeline: number; reached: Reached },
  run: Run,
): Promise<Branch> {
  const found = await ask(replayed.access, run, async (client) => {
    const { rows } = await client.query<{ identifier: string; recovering: boolean }>(
      `SELECT pg_catalog.pg_is_in_recovery() AS recovering,
         (SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()) AS identifier`,
    );
    if (rows[0]?.recovering !== false) throw lost(place, 'its recovery has not ended');
    return { systemIdentifier: rows[0].identifier, timeline: await timelineOf(client) };
  });
  const { timeline } = found;
  if (timeline <= replayed.timeline) throw lost(place, `it is still on timeline ${timeline}`);
  const switchedAt = await leftAt(place, timeline);
  if (switchedAt !== replayed.reached.lsn) {
    throw lost(place, `it began its timeline at ${switchedAt}, not at the target at ${replayed.reached.lsn}`);
  }
  return { ...found, switchedAt };
}

/** Of a primary: the one that it writes on. */
export async function timelineOf(client: ClientBase): Promise<number> {
  const { rows } = await client.query<{ log: string }>(
    'SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) AS log',
  );
  return Number.parseInt((rows[0]?.log ?? '').slice(0, 8), 16);
}

/** The last line of a timeline's history: parent, position, reason. */
async function leftAt(place: InstancePlace, timeline: number): Promise<string> {
  const name = `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
  const history = (await readIfThere(join(layoutOf(place).data, 'pg_wal', name))) ?? '';
  return [...history.matchAll(/^\d+\t([0-9A-F]+\/[0-9A-F]+)\t/gm)].at(-1)?.[1] ?? 'an unknown position';
}

function ask<T>(access: ServerAccess, run: Run, work: (client: ClientBase) => Promise<T>): Promise<T> {
  return withConnection(access, { signal: run.signal, applicationName: 'take over' }, work);
}

export function lost(place: InstancePlace, why: string): HoldfastError {
  return new HoldfastError(
    'InstanceLost',
    `the server in ${place.directory} cannot become production: ${why}`,
    {
      hint: 'start the runbook again: it restores and replays anew',
    },
  );
}
