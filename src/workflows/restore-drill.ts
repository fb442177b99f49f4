import { isCancellation, workflowInfo } from '@temporalio/workflow';
import { type DrillChoice, type DrillRecord, describeDrill, scoreOf } from '../model/drill.ts';
import { parseInput } from '../model/input.ts';
import type { RunbookStatus } from '../model/runbook.ts';
import { raise } from './alerts.ts';
import { control } from './proxies.ts';
import { drillAlert } from './runbook/alerts.ts';
import { drill } from './runbook/drilled.ts';
import { beginRecovery, leaveEvidence, noFindings } from './runbook/evidence.ts';
import { endWith, failureOf, orEnd } from './runbook/failure.ts';
import { type Ending, Runbook } from './runbook/runbook.ts';

/**
 * Runs a real runbook up to its decision, which it rejects: what would have been recovered is chosen at random, and how
 * long it takes is measured. The outcome is a result, not a failure: `missed` is a completed run that says so.
 */
export async function restoreDrill(given: unknown): Promise<DrillRecord> {
  const input = orEnd(() => parseInput('restoreDrill', given));
  const { database } = input;
  const wanted = input.runbook ?? null;
  const { workflowId } = workflowInfo();
  const runbook = new Runbook({
    runbook: 'restoreDrill',
    database,
    reason: input.reason,
    requestedBy: input.requestedBy,
    steps: ['choose', 'recover', 'record'],
    parks: 'never',
  });
  const findings = noFindings();
  let record: DrillRecord = {
    ...{ formatVersion: 1, database, workflowId, runbook: wanted, target: null, tables: null },
    ...{ site: input.site ?? null, startedAt: new Date().toISOString(), finishedAt: '', outcome: 'failed' },
    ...{ recoverySeconds: null, objectiveSeconds: 0, steps: [], plan: null, earlier: null, reasons: [] },
    evidence: null,
  };

  const work = async (): Promise<Ending> => {
    const settings = await beginRecovery(runbook, findings, { site: input.site, asks: false });
    const { site } = settings;
    record = { ...record, site, objectiveSeconds: settings.objectives.rtoSeconds };
    try {
      const found = await run(site);
      record = { ...record, ...found };
    } catch (error) {
      if (isCancellation(error)) throw error;
      record = { ...record, reasons: [failureOf(error).message.split('\nHINT: ')[0] as string] };
    }
    record = { ...record, finishedAt: new Date().toISOString() };
    await runbook.step('record', () => control.recordDrill(record));
    runbook.explain(record.reasons.join('\n') || null);
    const bad = record.outcome === 'failed' || record.outcome === 'missed';
    if (bad && settings.remindMs != null) await raise(drillAlert(record));
    return 'completed';
  };

  /** What there is to say of the drill, beside what is known before. */
  async function run(site: string): Promise<Partial<DrillRecord>> {
    const first = await control.findRecovery({ database, drill: workflowId });
    if (first !== null) return skipped(first);
    const { choice, earlier, lookEveryMs } = await runbook.step(
      'choose',
      () => control.chooseDrill({ database, runbook: wanted, site: input.site ?? null }),
      (plan) => describeDrill(plan.choice),
    );
    record = { ...record, ...choice, site: choice.site ?? site };
    const drilled = await runbook.step(
      'recover',
      () => drill(choice, { database, site: choice.site ?? site, lookEveryMs }),
      (result) => ('gaveWayTo' in result ? 'given up' : `${workflowId}/recovery`),
    );
    if ('gaveWayTo' in drilled) return skipped(drilled.gaveWayTo);
    const { status } = drilled;
    requireEnd(choice, status);
    const { objectiveSeconds } = record;
    return { ...scoreOf(status, { objectiveSeconds, earlier }), evidence: status.evidence };
  }

  await runbook.run(work, () => leaveEvidence(runbook, input, findings));
  return record;
}

const skipped = (other: string): Partial<DrillRecord> => ({
  outcome: 'skipped',
  reasons: [`${other} recovers this database, and a drill must not be in its way`],
});

/** A drill is measured where its runbook came to the last decision, or, where it asks for none, to its end. */
function requireEnd({ runbook, tables }: DrillChoice, { outcome, message }: RunbookStatus): void {
  const decides = tables !== null || runbook === 'fullDisasterRecovery';
  if (outcome === (decides ? 'rejected' : 'completed')) return;
  throw endWith({
    type: 'CheckFailed',
    message: `the recovery ended ${outcome}${message === null ? '' : `: ${message}`}`,
    hint: undefined,
  });
}
