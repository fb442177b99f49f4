import type { RecoverySettings } from '../../activities/recovery-types.ts';
import type { Candidate } from '../../activities/verification-choice.ts';
import type { Check } from '../../model/evidence.ts';
import type { Target } from '../../model/target.ts';
import { control } from '../proxies.ts';
import { provisionInstance } from './instance.ts';
import { Recovery } from './recovery.ts';
import type { Runbook } from './runbook.ts';
import { described, tried, type Verified } from './verification.ts';

/**
 * Restores a physical backup and replays it to the end of the logs, an older one to its own consistent point. Rows come
 * and go meanwhile: what is exact is the last commit that was archived, and the copy's own pages.
 */
export async function verifyPhysical(
  runbook: Runbook,
  settings: RecoverySettings,
  { backup, newest }: Candidate,
  verified: Verified,
): Promise<Check[]> {
  const { database } = runbook.status;
  const target: Target = newest ? { latest: true } : { backup };
  const before = await runbook.step('count production', () =>
    control.countProduction({ database, asOf: null }),
  );
  const base = await runbook.step('choose base', () =>
    control.chooseBase({ database, target, tables: null, preferred: backup }),
  );
  const provisioned = await provisionInstance(runbook, settings, { database, base, release: null });
  const { instance, host } = provisioned;
  const recovery = new Recovery(runbook, provisioned, database);
  const { replayed, checks } = await recovery.bringTo({ target, base }, null, { besideProduction: true });
  verified.add(checks);
  const copy = { database, instance, base, replayed };
  if (newest) {
    verified.add(
      await tried('heartbeat', () =>
        runbook.step('look for the last commit', () => host.checkHeartbeat(copy), described),
      ),
    );
    const asOf = replayed.lastTransactionAt ?? new Date().toISOString();
    const after = await runbook.step('count production again', () =>
      control.countProduction({ database, asOf }),
    );
    verified.add(
      await tried('counts', () =>
        runbook.step('count the copy', () => host.checkCounts({ ...copy, before, after, asOf }), described),
      ),
    );
  }
  return runbook.step('ask about its health', () => host.checkHealth(copy), described);
}
