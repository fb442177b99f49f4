import type { RecoverySettings } from '../../activities/recovery-types.ts';
import type { Candidate } from '../../activities/verification-choice.ts';
import type { Check } from '../../model/evidence.ts';
import type { Target } from '../../model/target.ts';
import { control } from '../proxies.ts';
import { provisionInstance } from './instance.ts';
import { Recovery } from './recovery.ts';
import type { Runbook } from './runbook.ts';
import { checkLastCommit, described, migrated, notThawed, tried, type Verified } from './verification.ts';

/**
 * Restores a physical backup and replays it to the end of the logs, one that is named to its own consistent point. Rows
 * come and go meanwhile: what is exact is the last commit that was archived, and the copy's own pages.
 */
export async function verifyPhysical(
  runbook: Runbook,
  settings: RecoverySettings,
  { backup, newest }: Candidate,
  verified: Verified,
): Promise<readonly Check[]> {
  const { database } = runbook.status;
  const target: Target = newest ? { latest: true } : { backup };
  const count = (step: string, asOf: string | null) =>
    runbook.step(step, () => control.countProduction({ database, asOf }));
  const before = newest ? await count('count production', null) : null;
  const listedAt = new Date().toISOString();
  const base = await runbook.step('choose base', () =>
    control.chooseBase({ database, target, tables: null, preferred: backup }),
  );
  if (base.backup !== backup) {
    const detail = `the end of the logs is reached from ${base.backup}, and not from ${backup}`;
    return [{ name: 'base', verdict: 'fail', detail }];
  }
  if (base.archived !== undefined) return [notThawed(base.archived)];
  const provisioned = await provisionInstance(runbook, settings, { database, base, release: null });
  const { instance, host } = provisioned;
  const recovery = new Recovery(runbook, provisioned, database);
  const { replayed, checks } = await recovery.bringTo({ target, base }, null, { verifying: true });
  verified.add(migrated(checks));
  const copy = { database, instance, base, replayed };
  if (before !== null) {
    verified.add(await checkLastCommit(runbook, provisioned, { ...copy, asOf: listedAt }));
    verified.add(
      await tried('counts', async () => {
        const asOf = replayed.lastTransactionAt ?? listedAt;
        const after = await count('count production again', asOf);
        const counts = { ...copy, before, after, asOf, older: false };
        return runbook.step('count the copy', () => host.checkCounts(counts), described);
      }),
    );
  }
  return tried('health', () => runbook.step('ask about its health', () => host.checkHealth(copy), described));
}
