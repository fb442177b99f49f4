import { workflowInfo } from '@temporalio/workflow';
import type { Candidate } from '../activities/verification-choice.ts';
import type { Check } from '../model/evidence.ts';
import { parseInput } from '../model/input.ts';
import type { Verification } from '../model/verification.ts';
import { control } from './proxies.ts';
import { verdictAlert } from './runbook/alerts.ts';
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
  const restored: string[] = [];

  const work = async (): Promise<Ending> => {
    const settings = await beginRecovery(runbook, findings, { site: input.site, asks: false });
    const { candidates, missing, checks } = await runbook.step(
      'choose backups',
      () => control.chooseForVerification({ database, backup: input.backup ?? null }),
      (choice) => choice.candidates.map(({ tier, backup }) => `${tier} ${backup}`).join(', ') || 'none',
    );
    findings.checks.push(...checks);
    for (const tier of missing) {
      const nothing = { tier, backup: '', startedAt: new Date().toISOString(), newest: true };
      await conclude(new Verified(nothing, nothing.startedAt), checks);
    }
    for (const candidate of candidates) {
      const one = new Verified(candidate, new Date().toISOString());
      restored.push(candidate.backup);
      await runbook.chapter(candidate.tier, () => restoreAndLook(candidate, one));
      await conclude(one, checks);
    }
    // Beside what a clean-up that failed has said.
    const { reasons } = summed(findings.checks);
    const said = runbook.status.message === null ? reasons : [...reasons, runbook.status.message];
    runbook.explain(said.join('\n') || null);
    return 'completed';

    async function restoreAndLook(candidate: Candidate, one: Verified): Promise<void> {
      const look = (candidate.copyOf ?? candidate.tier) === 'logical' ? verifyLogical : verifyPhysical;
      one.add(await tried('restore', () => look(runbook, settings, candidate, one)));
      findings.checks.push(...one.checks);
    }
  };

  /** Keeps a backup's own verdict, for which its age counts too, and tells people where it is news or bad. */
  const conclude = async (one: Verified, ages: readonly Check[]): Promise<void> => {
    const { tier, backup, newest } = one.candidate;
    const found = summed([...ages.filter(({ name }) => name.startsWith(`${tier}:`)), ...one.checks]);
    const { before } = await control.recordVerification({
      ...found,
      ...{ backup, database, tier, newest, workflowId: workflowInfo().workflowId },
      steps: runbook.status.steps.filter(({ name }) => name.startsWith(`${tier}: `)),
      ...{ startedAt: one.startedAt, finishedAt: new Date().toISOString() },
    });
    const news = found.verdict === 'fail' || found.verdict !== (before ?? 'pass');
    if (newest && news) await runbook.tell(verdictAlert(runbook.status, tier, { ...found, backup }, before));
  };

  await runbook.run(work, () => leaveEvidence(runbook, input, findings));
  return {
    ...summed(findings.checks),
    backup: restored.join(', '),
    startedAt,
    finishedAt: new Date().toISOString(),
  };
}
