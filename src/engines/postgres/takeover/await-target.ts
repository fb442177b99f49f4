import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import { parseLsn } from '../../../model/wal.ts';
import type { InstancePlace } from '../../contract/restore.ts';
import { readIfThere } from '../../owned-files.ts';
import { withConnection } from '../connection.ts';
import { isServer } from '../instance-processes.ts';
import { instanceAccess } from '../place.ts';
import type { Production, Reached, ReplayState } from '../replay-state.ts';
import { failureOfServer } from '../server-log.ts';
import { lost } from './promotion.ts';

const POLL_MS = 250;

/** A server on its way to production. */
export type Taking = ReplayState & { reached: Reached; production: Production };

/** Waits until the server is where the replay had stopped: true; false where its recovery has ended. */
export async function awaitTarget(
  place: InstancePlace,
  state: Taking,
  pid: number,
  run: Run,
): Promise<boolean> {
  const access = instanceAccess(place, state);
  for (;;) {
    const alive = await isServer(place, pid);
    const now = await withConnection(
      access,
      { signal: run.signal, applicationName: 'take over' },
      async (client) => {
        const { rows } = await client.query<{ lsn: string | null }>(
          `SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
           THEN pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text END AS lsn`,
        );
        return rows[0] as { lsn: string | null };
      },
    ).catch((error: unknown) => {
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
