import { workflowInfo } from '@temporalio/workflow';
import { describeLoss } from '../model/disaster.ts';
import { parseInput } from '../model/input.ts';
import type { Plan } from '../model/plan.ts';
import type { RunbookStatus } from '../model/runbook.ts';
import type { Target } from '../model/target.ts';
import { control, fenceOn } from './proxies.ts';
import { aimAt } from './runbook/aims.ts';
import { holdChange } from './runbook/change.ts';
import { isDrill } from './runbook/drill.ts';
import { begin, leaveEvidence, noFindings } from './runbook/evidence.ts';
import { orEnd } from './runbook/failure.ts';
import { provisionInstance } from './runbook/instance.ts';
import { NewServer } from './runbook/new-server.ts';
import { Recovery } from './runbook/recovery.ts';
import type { Aim } from './runbook/retarget.ts';
import { type Ending, Runbook } from './runbook/runbook.ts';
import { switchUnderDecision } from './runbook/switch.ts';
import { thawIfArchived } from './runbook/thaw.ts';

/**
 * The database's site is gone: recovers it at another one, where it becomes production. People decide twice: before
 * anything is done, and before clients are sent to the new server.
 */
export async function fullDisasterRecovery(given: unknown): Promise<RunbookStatus> {
  const input = orEnd(() => parseInput('fullDisasterRecovery', given));
  const { database, site } = input;
  const choose = (target: Target) =>
    control.chooseBase({ database, target, tables: null, preferred: null, beyondGap: 'leave' });
  const runbook = new Runbook({
    runbook: 'fullDisasterRecovery',
    database,
    reason: input.reason,
    requestedBy: input.requestedBy,
    steps: [
      ...['choose base', 'state the loss', 'plan', 'decide', 'fence'],
      ...['provision', 'restore', 'replay', 'check', 'take over', 'protect', 'verify'],
      ...['plan switch', 'decide switch', 'switch', 'verify endpoint', 'settle'],
    ],
    choose,
    parks: 'always',
  });
  const findings = noFindings();

  const work = async (): Promise<Ending> => {
    const settings = await control.describeDisaster({ database, site });
    begin(runbook, findings, settings, true);
    const { address, fences } = settings;
    const release = await holdChange(runbook, database);
    const switches = input.switchEndpoints ?? true;
    const target = input.target ?? { latest: true };
    // First: a server that still answers closes its log, so that less is lost.
    const first = await aimAt(runbook, target, () => choose(target));
    const { loss, oldServer } = await runbook.step(
      'state the loss',
      () => control.assessLoss({ database }),
      (found) => `${describeLoss(found.loss)}; the old server: ${found.oldServer.detail}`,
    );
    const record = { loss, plan: null, fenced: null, server: null, achieved: null };
    findings.disaster = record;
    const decided = await decideRecovery(runbook, first, (aim) =>
      control.planDisaster({ database, site, ...aim, loss, oldServer, address, fences, switches }),
    );
    if (typeof decided === 'string') return decided;
    const { base } = decided;
    const approved = { ...record, plan: runbook.status.plan };
    findings.disaster = approved;
    runbook.fixTarget('the recovery is under way: start another one for another target');
    if (!isDrill()) {
      const approvedBy = runbook.deciders();
      runbook.cleanUpWith(async () => {
        if (fences && findings.disaster?.achieved === null) runbook.add(staysFenced(database));
      });
      const fenced = await runbook.step(
        'fence',
        () => fenceOn(site, settings).fenceOldServer({ database, approvedBy }),
        ({ detail }) => detail,
      );
      findings.disaster = { ...approved, fenced };
    }

    await thawIfArchived(runbook, { database, base }, settings);
    const provisioned = await provisionInstance(runbook, settings, { database, base, release });
    const recovery = new Recovery(runbook, provisioned, database, { durable: true });
    const { replayed, checks } = await recovery.bringTo(decided, null);
    findings.checks = checks;

    const server = new NewServer(runbook, findings, {
      database,
      provisioned,
      settings,
      aim: decided,
      replayed,
    });
    await server.takeOver();
    await server.protect();
    findings.checks = [...checks, ...(await server.verify())];
    const ending = await switchUnderDecision(runbook, findings, server, switches);
    if (ending !== 'completed') return ending;
    await server.settle(workflowInfo().startTime);
    return 'completed';
  };

  return runbook.run(work, () => leaveEvidence(runbook, input, findings));
}

const staysFenced = (database: string) =>
  `the old server of ${database} may have been fenced: where it is to serve again, undo by hand what fence.command does`;

/** Shows the plan and asks; people may name another target instead, which has another plan. A drill asks nobody yet. */
async function decideRecovery(
  runbook: Runbook,
  first: Aim,
  planOf: (aim: Aim) => Promise<Plan>,
): Promise<Aim | Ending> {
  for (let aim = first; ; ) {
    const current = aim;
    const plan = await runbook.step(
      'plan',
      () => planOf(current),
      ({ summary }) => summary,
    );
    if (isDrill()) return aim;
    const { verdict } = await runbook.decide('decide', 'recover', plan);
    if (verdict === 'approved') return aim;
    if (verdict !== 'retargeted') return verdict;
    const { target, base } = runbook.takeAim();
    runbook.startOver(['choose base', 'plan', 'decide']);
    aim = await aimAt(runbook, target, async () => base);
  }
}
