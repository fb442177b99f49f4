import type { RecoverySettings } from '../../activities/recovery-types.ts';
import type { Candidate } from '../../activities/verification-choice.ts';
import type { Check } from '../../model/evidence.ts';
import { control } from '../proxies.ts';
import { provisionInstance } from './instance.ts';
import type { Runbook } from './runbook.ts';
import { described, migrated, notThawed, tried, type Verified } from './verification.ts';
import { verifyLogs } from './verify-logs.ts';

/** Restores all of a logical backup, and compares each table with what the dump's own snapshot held. */
export async function verifyLogical(
  runbook: Runbook,
  settings: RecoverySettings,
  candidate: Candidate,
  verified: Verified,
): Promise<readonly Check[]> {
  const { backup, startedAt, newest } = candidate;
  const { database } = runbook.status;
  const base = await runbook.step('read the manifest', () =>
    control.chooseLogicalBackup({ database, backup, tables: null }),
  );
  if (base.archived !== undefined) return [notThawed(base.archived)];
  const provisioned = await provisionInstance(runbook, settings, { database, base, release: null });
  const { instance, host, keep } = provisioned;
  verified.add(
    await tried('objects', () =>
      runbook.step('read the objects', () => host.checkObjects({ database, backup }), described),
    ),
  );
  const what = { instance, database, base, tables: null };
  const restored = await runbook.step('restore', () => host.restoreTables({ ...what, expiresAt: keep() }));
  const check = { ...what, restored, besideProduction: newest, verifying: true } as const;
  verified.add(
    await tried('rows', () =>
      runbook.step('check', async () => migrated(await host.checkRestoredTables(check)), described),
    ),
  );
  const copy = { database, instance, base, replayed: restored };
  // Of an older backup production has moved on too far to say anything.
  if (newest) {
    verified.add(
      await tried('counts', async () => {
        const now = await runbook.step('count production', () =>
          control.countProduction({ database, asOf: startedAt }),
        );
        const counts = { ...copy, before: now, after: now, asOf: startedAt, older: true };
        return runbook.step('count the copy', () => host.checkCounts(counts), described);
      }),
    );
  }
  if (candidate.leadsOn === true) {
    verified.add(await tried('logs', () => verifyLogs(runbook, provisioned, candidate, verified)));
  }
  return tried('health', () => runbook.step('ask about its health', () => host.checkHealth(copy), described));
}
