import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import pg from 'pg';
import { postgresShop } from '../src/client/dev/postgres-shop.ts';
import { sendDecision, startRun } from '../src/client/runbook.ts';
import { runTool } from '../src/engines/process.ts';
import { type RunbookStatus, secondsOf } from '../src/model/runbook.ts';
import { type Application, startApplication } from '../test/e2e/application.ts';
import { type Pgbouncer, startPgbouncer } from '../test/e2e/pgbouncer.ts';
import { backUp, takeBase } from './backup.ts';
import { takeOverByHand } from './by-hand/disaster.ts';
import { LoadWatch, medianSteps, type Row, rowOfPairs, spreadOf } from './measure.ts';
import { loadData, markRecoverable, trade } from './postgres-data.ts';
import { type PostgresStack, settle, withPostgresStack } from './postgres-stack.ts';

/** The steps that a script has too; the others have no counterpart, and are told beside them. */
const COMPARED = ['provision', 'restore', 'replay', 'take over', 'protect'];
const ROWS = 'SELECT count(*) FROM pgbench_history';
/** Each look is work for the worker and the Temporal server, beside the recovery that is measured. */
const POLL_MS = 500;

interface Options {
  pairs: number;
  scale: number;
  signal: AbortSignal;
  say: (line: string) => void;
}

/**
 * Disaster recoveries into a second site, in turn with a script of the same steps: production is gone for good. All
 * but the last are given up when clients would be switched; the last one is carried through, and an application behind
 * PgBouncer is watched meanwhile.
 */
export async function benchDisaster(options: Options): Promise<Row[]> {
  const { signal, say } = options;
  const made: { bouncer: Pgbouncer | null } = { bouncer: null };
  const endpoints = async ({ databases }: PostgresStack['description'], directory: string) => {
    const { hostname, port, username, password, pathname } = new URL(databases.shop?.url as string);
    made.bouncer = await startPgbouncer({
      directory: `${directory}/pgbouncer`,
      server: {
        ...{ host: hostname, port: Number(port), user: username, database: pathname.slice(1) },
        password: decodeURIComponent(password),
      },
    });
    const { ini, admin } = made.bouncer;
    return [{ pgbouncer: { ini, database: 'shop', admin } }];
  };
  try {
    return await withPostgresStack({ signal, say, second: { endpoints } }, (stack) =>
      measure(stack, made.bouncer as Pgbouncer, options),
    );
  } finally {
    await made.bouncer?.end();
  }
}

async function measure(
  stack: PostgresStack,
  bouncer: Pgbouncer,
  { pairs, scale, signal, say }: Options,
): Promise<Row[]> {
  const bytes = await loadData(stack, scale, signal);
  say(
    `disaster: ${(bytes / 1e9).toFixed(2)} GB, a full physical backup, then traffic; then production is gone`,
  );
  await backUp(stack, 'shop');
  await takeBase(stack);
  await trade(stack, scale, signal);
  await markRecoverable(stack, signal);
  await settle(stack, signal);
  const { rows } = await stack.production.query<{ count: string }>(ROWS);
  const known = { query: ROWS, count: (rows[0] as { count: string }).count };
  await stack.production.end();
  await postgresShop.stop(stack.directory);

  const load = new LoadWatch();
  const times = { ours: [] as number[], theirs: [] as number[] };
  const steps = { ours: [] as Record<string, number>[], theirs: [] as Record<string, number>[] };
  let downtime = Number.NaN;
  for (let pair = 1; pair <= pairs; pair += 1) {
    await rest(signal);
    const byHand = { stanza: `by-hand-${pair}`, rows: known, sharedBuffers: '256MB' };
    steps.theirs.push(await takeOverByHand(stack, byHand, signal));
    load.look();
    await rest(signal);
    if (pair < pairs) {
      steps.ours.push(await recover(stack, known, signal));
    } else {
      const application = await startApplication(() => bouncer.url);
      try {
        const whole = await recoverAndSwitch(stack, application, known, signal);
        steps.ours.push(whole.steps);
        downtime = whole.downtimeSeconds;
      } finally {
        await application.end();
      }
    }
    load.look();
    for (const side of ['ours', 'theirs'] as const) times[side].push(sumOf(steps[side].at(-1) ?? {}));
    say(
      `disaster ${pair}/${pairs}: by hand ${times.theirs.at(-1)?.toFixed(1)} s, runbook ${times.ours.at(-1)?.toFixed(1)} s`,
    );
  }
  const shared = { load: load.highest, steps: {} };
  return [
    rowOfPairs(
      {
        ...shared,
        name: 'disaster',
        what: 'disaster recovery of it, from nothing to a new primary that archives',
        against: 'a shell script of the same steps',
        atMost: 1.1,
        steps: { runbook: medianSteps(steps.ours), script: medianSteps(steps.theirs) },
      },
      'ratio',
      times.ours,
      times.theirs,
    ),
    {
      ...shared,
      ...{ name: 'downtime', what: 'of an application behind PgBouncer, from the decision on', against: '' },
      ...{
        unit: 'elapsed',
        value: spreadOf([downtime]),
        atMost: null,
        missed: false,
        ours: null,
        theirs: null,
      },
    },
  ];
}

/** Nothing of the run before is left to be written: both sides wait for their disk. */
const rest = (signal: AbortSignal) => runTool('sync', [], { signal });

const sumOf = (steps: Record<string, number>): number =>
  Object.entries(steps).reduce((sum, [name, seconds]) => sum + (COMPARED.includes(name) ? seconds : 0), 0);

type Known = { query: string; count: string };

/** Up to the decision to switch clients; then it is cancelled, which removes everything that it made. */
async function recover(
  stack: PostgresStack,
  known: Known,
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const handle = await startRecovery(stack);
  await decide(stack, handle, 'recover', signal);
  const status = await untilAsked(handle, 'switch', signal);
  await requireRows(stack, known);
  await handle.cancel();
  await handle.result().catch(() => {});
  return stepsOf(status);
}

async function recoverAndSwitch(
  stack: PostgresStack,
  application: Application,
  known: Known,
  signal: AbortSignal,
) {
  const handle = await startRecovery(stack);
  const decidedAt = await decide(stack, handle, 'recover', signal);
  await decide(stack, handle, 'switch', signal);
  const status = (await handle.result()) as RunbookStatus;
  if (status.outcome !== 'completed') throw new Error(`the disaster recovery ended as ${status.outcome}`);
  await requireRows(stack, known);
  const downtime = await application.downtime(decidedAt, () => true);
  return { steps: stepsOf(status), downtimeSeconds: downtime / 1_000 };
}

async function startRecovery({ temporal }: PostgresStack): Promise<WorkflowHandle> {
  const input = { database: 'shop', site: 'second', reason: 'benchmark', requestedBy: 'bench' };
  const run = await startRun(temporal, { type: 'fullDisasterRecovery', engine: 'postgres', input });
  return temporal.workflow.getHandle(run.workflowId);
}

/** Approves as soon as it is asked; gives the moment. */
async function decide(
  { temporal }: PostgresStack,
  handle: WorkflowHandle,
  name: string,
  signal: AbortSignal,
): Promise<number> {
  const { plan } = await untilAsked(handle, name, signal);
  const decidedAt = Date.now();
  const decision = { by: 'bench', action: 'approve', plan: plan?.digest ?? '' } as const;
  await sendDecision(temporal, handle.workflowId, decision);
  return decidedAt;
}

async function untilAsked(handle: WorkflowHandle, name: string, signal: AbortSignal): Promise<RunbookStatus> {
  for (;;) {
    const status = await handle.query<RunbookStatus>('status').catch(() => null);
    if (status?.waitingFor === name) return status;
    if (status !== null && !['running', 'waiting-for-decision'].includes(status.outcome)) {
      throw new Error(`the disaster recovery is ${status.outcome}: ${status.message}`);
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}

const stepsOf = ({ steps }: RunbookStatus): Record<string, number> =>
  Object.fromEntries(
    steps.flatMap((step) => {
      const seconds = secondsOf(step);
      return seconds === null ? [] : [[step.name, seconds]];
    }),
  );

/** A recovery that brings nothing back would be fast. */
async function requireRows({ config, url }: PostgresStack, { query, count }: Known): Promise<void> {
  const takeover = config.config.databases.shop?.takeover.second;
  const address = new URL(url);
  address.host = `${takeover?.address}:${takeover?.port}`;
  const client = new pg.Client({ connectionString: address.href });
  await client.connect();
  try {
    const { rows } = await client.query<{ count: string }>(query);
    if (rows[0]?.count !== count) throw new Error(`the new server has ${rows[0]?.count} rows of ${count}`);
  } finally {
    await client.end();
  }
}
