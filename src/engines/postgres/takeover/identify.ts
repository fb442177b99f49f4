import type { ServerAccess } from '../../../model/access.ts';
import type { Run } from '../../../model/progress.ts';
import { withConnection } from '../connection.ts';
import { timelineOf } from './promotion.ts';

/** Engine.identify. A default of `default_transaction_read_only` keeps nobody from writing: any session may unset it. */
export async function identify(
  access: ServerAccess,
  run: Run,
): Promise<{ systemIdentifier: string; timeline: number; writable: boolean }> {
  const session = {
    ...{ signal: run.signal, applicationName: 'identify', readOnly: true, statementTimeoutMs: 30_000 },
  };
  return withConnection(access, session, async (client) => {
    const { rows } = await client.query<{ identifier: string; timeline: number; recovering: boolean }>(
      `SELECT pg_catalog.pg_is_in_recovery() AS recovering,
         (SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()) AS identifier,
         (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()) AS timeline`,
    );
    const [found] = rows;
    if (found === undefined) throw new TypeError('the control data have no row');
    const { identifier: systemIdentifier, recovering } = found;
    // The checkpoint of a primary may still be of the timeline before.
    const timeline = recovering ? found.timeline : await timelineOf(client);
    return { systemIdentifier, timeline, writable: !recovering };
  });
}
