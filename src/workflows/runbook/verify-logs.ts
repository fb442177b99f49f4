import type { Candidate } from '../../activities/verification-choice.ts';
import type { Check } from '../../model/evidence.ts';
import { control } from '../proxies.ts';
import type { Provisioned } from './instance.ts';
import type { Runbook } from './runbook.ts';
import { checkLastCommit, described, type Verified } from './verification.ts';

/** A dump that was restored, replayed on to the end of the logs: they are worth as much as the replay says. */
export async function verifyLogs(
  runbook: Runbook,
  provisioned: Provisioned,
  { backup }: Candidate,
  verified: Verified,
): Promise<readonly Check[]> {
  const { instance, host, keep } = provisioned;
  const { database } = runbook.status;
  const target = { latest: true } as const;
  const count = (step: string, asOf: string | null) =>
    runbook.step(step, () => control.countProduction({ database, asOf }));
  const before = await count('count production before the replay', null);
  const listedAt = new Date().toISOString();
  const base = await runbook.step(
    'choose logs',
    () => control.chooseBase({ database, target, tables: null, preferred: backup }),
    ({ logs }) => `${logs} logs`,
  );
  if (base.backup !== backup) {
    const detail = `the end of the logs is reached from ${base.backup}, and not from ${backup}`;
    return [{ name: 'logs', verdict: 'fail', detail }];
  }
  const replayed = await runbook.step(
    'replay',
    () => host.replayInstance({ instance, database, base, target, expiresAt: keep() }),
    ({ position }) => position,
  );
  const copy = { database, instance, base, replayed };
  verified.add(await checkLastCommit(runbook, provisioned, { ...copy, asOf: listedAt }));
  const asOf = replayed.lastTransactionAt ?? listedAt;
  const after = await count('count production again', asOf);
  const counts = { ...copy, before, after, asOf, older: false };
  return runbook.step('count the copy after the replay', () => host.checkCounts(counts), described);
}
