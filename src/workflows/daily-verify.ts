import { workflowInfo } from '@temporalio/workflow';
import type { Candidate } from '../activities/verification-choice.ts';
import { parseInput } from '../model/input.ts';
import type { Verification } from '../model/verification.ts';
import { control } from './proxies.ts';
import { beginRecovery, leaveEvidence, noFindings } from './runbook/evidence.ts';
import { orEnd } from './runbook/failure.ts';
import { type Ending, Runbook } from './runbook/runbook.ts';
import { summed, tried, Verified } from './runbook/verification.ts';
import { verifyLogical } from './runbook/verify-logical.ts';
import { verifyPhysical } from './runbook/verify-physical.ts';

/**
 * Restores the newest backup of each tier, or the one that is named, on an instance of its own, and looks whether it is
 * what was backed up. The verdict is a result, not a failure: `fail` is a completed run that says so.
 */
export async function dailyVerify(given: unknown): Promise<Verification> {
  const input = orEnd(() => parseInput('dailyVerify', given));
  const { database } = input;
  const startedAt = new Date().toISOString();
  const runbook = new Runbook({
    runbook: 'dailyVerify',
    database,
    reason: input.reason,
    requestedBy: input.requestedBy,
    steps: ['choose backups'],
    // What an operator could mend is a reason of the verdict: the next night has its own verification.
    parks: 'never',
  });
  const findings = noFindings();
  const verified: Verified[] = [];

  const work = async (): Promise<Ending> => {
    const settings = await beginRecovery(runbook, findings, { site: input.site, asks: false });
    const { candidates, checks } = await runbook.step(
      'choose backups',
      () => control.chooseForVerification({ database, backup: input.backup ?? null }),
      (choice) => choice.candidates.map(({ tier, backup }) => `${tier} ${backup}`).join(', ') || 'none',
    );
    findings.checks.push(...checks);
    for (const candidate of candidates) {
      const one = new Verified(candidate, new Date().toISOString());
      verified.push(one);
      await runbook.chapter(candidate.tier, () => restoreAndLook(candidate, one));
      await record(one, checks);
    }
    runbook.explain(summed(findings.checks).reasons.join('\n') || null);
    return 'completed';

    async function restoreAndLook(candidate: Candidate, one: Verified): Promise<void> {
      const look = candidate.tier === 'logical' ? verifyLogical : verifyPhysical;
      one.add(await tried('restore', () => look(runbook, settings, candidate, one)));
      findings.checks.push(...one.checks);
    }
  };

  /** A backup's own record: what the catalog shows. Its age counts for it too. */
  const record = async (one: Verified, ages: readonly (typeof findings.checks)[number][]): Promise<void> => {
    const { tier, backup } = one.candidate;
    const checks = [...ages.filter(({ name }) => name.startsWith(`${tier}:`)), ...one.checks];
    await control.recordVerification({
      ...summed(checks),
      ...{ backup, database, tier, workflowId: workflowInfo().workflowId },
      steps: runbook.status.steps.filter(({ name }) => name.startsWith(`${tier}: `)),
      ...{ startedAt: one.startedAt, finishedAt: new Date().toISOString() },
    });
  };

  await runbook.run(work, () => leaveEvidence(runbook, input, findings));
  return {
    ...summed(findings.checks),
    backup: verified.map(({ candidate }) => candidate.backup).join(', '),
    startedAt,
    finishedAt: new Date().toISOString(),
  };
}
