import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { EndpointNow } from '../../activities/disaster.ts';
import type { Check } from '../../model/evidence.ts';
import { countOf } from '../../model/plan.ts';
import { control, endpointsOn } from '../proxies.ts';
import { isDrill } from './drill.ts';
import type { Findings } from './evidence.ts';
import { endWith, failureOf, textOf } from './failure.ts';
import type { NewServer } from './new-server.ts';
import type { Ending, Runbook } from './runbook.ts';

/** A switch that fails this often is not tried again: where nobody is asked, nobody would stop it. */
const MOST_SWITCHES = 10;

/**
 * Asks, then sends clients to the new server and looks at it through their eyes. Where that fails every endpoint is set
 * back to what it was, and the decision is asked for again with what failed.
 */
export async function switchUnderDecision(
  runbook: Runbook,
  findings: Findings,
  server: NewServer,
  switches: boolean,
): Promise<Ending> {
  const { database } = server.what;
  const { aim, replayed, settings, provisioned } = server.recovered;
  const { address, identity } = server;
  const proxy = endpointsOn(provisioned.instance.host, settings.noWorkerAfterMs);
  const look = () => (isDrill() ? Promise.resolve([]) : proxy.readEndpoints({ database }));
  if (!switches && !isDrill()) return 'completed';

  for (let tries = 1; ; tries += 1) {
    const endpoints: EndpointNow[] = await look();
    if (endpoints.length === 0 && !isDrill()) return 'completed';
    const plan = await control.planSwitch({
      ...{
        database,
        ...aim,
        position: replayed.position,
        address,
        endpoints,
        checks: findings.checks,
        notices: server.notices,
      },
    });
    const { verdict } = await runbook.decide('decide switch', 'switch', plan);
    if (verdict === 'rejected' || verdict === 'expired') return verdict;
    runbook.explain(null);
    const back = () => setBack(() => proxy.restoreEndpoints({ database, values: endpoints }));
    runbook.cleanUpWith(async () => {
      if (!server.settled) await back();
    });
    try {
      await runbook.step('switch', () =>
        proxy.setEndpoints({ database, values: endpoints.map(({ name }) => ({ name, address })) }),
      );
      const checks = await runbook.step(
        'verify endpoint',
        async () => [
          ...(identity === null ? [] : await proxy.verifyEndpoints({ database, address, ...identity })),
          ...(await provisioned.host.checkServing({ ...server.what, address })),
        ],
        describeChecks,
      );
      findings.checks.push(...checks);
      requireServing(database, checks);
      return 'completed';
    } catch (error) {
      if (isCancellation(error) || tries === MOST_SWITCHES || settings.approval.people === 0) throw error;
      await back();
      runbook.explain(`the switch was taken back, and can be approved again: ${textOf(failureOf(error))}`);
      runbook.startOver(['decide switch', 'switch', 'verify endpoint']);
    }
  }
}

/** Whatever could not be set back is said: people have to do it by hand. */
async function setBack(restore: () => Promise<{ name: string; problem: string | null }[]>): Promise<void> {
  const left = (await CancellationScope.nonCancellable(restore)).filter(({ problem }) => problem !== null);
  if (left.length === 0) return;
  throw endWith({
    type: 'EndpointFailed',
    message: `${countOf(left.length, 'endpoint')} could not be set back: ${left.map(({ name, problem }) => `${name}: ${problem}`).join('; ')}`,
    hint: 'set it back by hand to what the plan shows as its value now',
  });
}

const describeChecks = (checks: Check[]): string => {
  const bad = checks.filter(({ verdict }) => verdict === 'fail');
  return bad.length === 0
    ? `${countOf(checks.length, 'check')} passed`
    : bad.map(({ detail }) => detail).join('; ');
};

function requireServing(database: string, checks: readonly Check[]): void {
  const failed = checks.filter(({ verdict }) => verdict === 'fail');
  if (failed.length === 0) return;
  throw endWith({
    type: 'EndpointFailed',
    message: `clients do not reach ${database} as they should: ${failed.map(({ name, detail }) => `${name}: ${detail}`).join('; ')}`,
    hint: 'mend it, and approve the switch again',
  });
}
