import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { InstancePlace } from '../contract/restore.ts';
import { withConnection } from './connection.ts';
import { instanceAccess } from './place.ts';
import type { ReplayState } from './replay-state.ts';

/** Looks at the running server itself: whatever its files say, it must not be able to touch production. */
export async function requireIsolation(place: InstancePlace, state: ReplayState, run: Run): Promise<void> {
  const access = instanceAccess(place, state);
  const wanted: Record<string, string> = {
    archive_mode: 'off',
    listen_addresses: '',
    primary_conninfo: '',
    max_logical_replication_workers: '0',
    ...(state.ended === undefined ? { transaction_read_only: 'on' } : {}),
  };
  await withConnection(access, { signal: run.signal, applicationName: 'isolation' }, async (client) => {
    for (const [name, value] of Object.entries(wanted)) {
      const { rows } = await client.query<{ value: string }>(
        'SELECT pg_catalog.current_setting($1) AS value',
        [name],
      );
      if (rows[0]?.value === value) continue;
      throw new HoldfastError(
        'CheckFailed',
        `the restored server is not isolated: ${name} is ${rows[0]?.value}`,
        {
          hint: 'this is a fault of Holdfast: the server has been stopped, please report it',
        },
      );
    }
  });
}
