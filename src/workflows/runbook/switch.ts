import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { EndpointNow } from '../../activities/disaster.ts';
import type { Check } from '../../model/evidence.ts';
import { countOf } from '../../model/plan.ts';
import { cleanUpOnHost, control, endpointsOn } from '../proxies.ts';
import { isDrill } from './drill.ts';
import type { Findings } from './evidence.ts';
import { endWith, failureOf, textOf } from './failure.ts';
import type { NewServer } from './new-server.ts';
import type { Ending, Runbook } from './runbook.ts';

/** A switch that fails this often is not tried again: where nobody is asked, nobody would stop it. */
const MOST_SWITCHES = 10;
const STEPS = ['plan switch', 'decide switch', 'switch', 'verify endpoint'];

/**
 * Asks, then sends clients to the new server and looks at it through their eyes. Where that fails every endpoint is set
 * back to what it was, and the decision is asked for again with what failed. Where there is nothing to switch people are
 * asked only about checks that failed.
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
  const { host } = provisioned.instance;
  const clients = endpointsOn(host, settings);
  const verified = findings.checks;
  const read = async (): Promise<EndpointNow[]> =>
    switches && !isDrill() ? clients.readEndpoints({ database }) : [];
  /** the last try, and why it was taken back */
  let failed: { tries: number; why: string } | null = null;

  const prepare = () =>
    runbook.step(
      'plan switch',
      async () => {
        const endpoints = await read();
        const { position } = replayed;
        const what = { database, ...aim, position, address, endpoints, checks: verified, failed };
        return { endpoints, plan: await control.planSwitch({ ...what, notices: server.notices }) };
      },
      ({ plan: { summary } }) => summary,
      // Nothing is changed yet: an endpoint that cannot be read can be mended, and read again.
      ['EndpointFailed'],
    );

  let prepared = await prepare();
  for (let tries = 1; ; tries += 1) {
    const { endpoints, plan } = prepared;
    const nobodyWaits = endpoints.length === 0 && !isDrill();
    if (nobodyWaits && verified.every(({ verdict }) => verdict !== 'fail')) return 'completed';
    const { verdict } = await runbook.decide('decide switch', 'switch', plan);
    if (verdict === 'rejected' || verdict === 'expired') return verdict;
    runbook.explain(null);
    if (nobodyWaits) return 'completed';
    // What clients have now is what they get back: where it is not what was approved, people decide again.
    prepared = await prepare();
    if (prepared.plan.digest !== plan.digest) {
      if (tries === MOST_SWITCHES) throw restless(database);
      runbook.explain('the endpoints were changed by somebody else since they were approved: decide again');
      runbook.startOver(['decide switch']);
      continue;
    }

    const back = async () => {
      if (server.settled || !server.leads.has('endpoints')) return;
      await setBack(() => cleanUpOnHost(host).restoreEndpoints({ database, values: endpoints }));
      server.leads.delete('endpoints');
    };
    runbook.cleanUpWith(back);
    server.leads.add('endpoints');
    try {
      await runbook.step('switch', () =>
        orBack(clients.setEndpoints({ database, values: endpoints.map(({ name }) => ({ name, address })) })),
      );
      const checks = await runbook.step(
        'verify endpoint',
        async () => [
          ...(identity === null
            ? []
            : await orBack(clients.verifyEndpoints({ database, address, ...identity }))),
          ...(await orBack(clients.checkServing({ ...server.what, address }))),
        ],
        describeChecks,
      );
      findings.checks = [...verified, ...checks];
      requireServing(database, checks);
      return 'completed';
    } catch (error) {
      if (isCancellation(error) || tries === MOST_SWITCHES || settings.approval.people === 0) throw error;
      const why = textOf(failureOf(error));
      await back().catch((left: unknown) => {
        const { message, ...more } = failureOf(left);
        throw endWith({ ...more, message: `${message}; before that: ${failureOf(error).message}` });
      });
      failed = { tries, why };
      runbook.explain(`the switch was taken back, and can be approved again: ${why}`);
      runbook.startOver(STEPS);
      prepared = await prepare();
    }
  }
}

/** What fails while clients may be half way is taken back, and not waited for. */
async function orBack<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const failure = failureOf(error);
    // The same worker would have to take it back.
    if (isCancellation(error) || failure.type === 'NoWorker') throw error;
    throw endWith({ ...failure, type: 'EndpointFailed' });
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

const restless = (database: string) =>
  endWith({
    type: 'PlanChanged',
    message: `what the endpoints of ${database} say changes whenever it is read`,
    hint: 'see who else writes them; holdfast connect leads to the new server',
  });
