import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { loadConfig } from '../../config/load.ts';
import type { Evidence } from '../../model/evidence.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Plan } from '../../model/plan.ts';
import type { Outcome, RunbookStatus } from '../../model/runbook.ts';
import { pageOf } from '../../model/temporal-page.ts';
import { readEvidence } from '../../repository/evidence.ts';
import { openRepository } from '../../repository/repository.ts';
import { DATABASE } from '../dev/configuration.ts';
import { backUp, scheduleAll } from '../dev/protect.ts';
import { shopOf } from '../dev/shop.ts';
import type { UpResult } from '../dev/stack.ts';
import { formatCount, formatTable, style, terminalWidth } from '../output.ts';
import { operatingSystemUser } from '../person.ts';
import { sendDecision, startRun } from '../runbook.ts';
import { formatSpan, formatTook } from '../view/duration.ts';
import { formatPlan } from '../view/plan.ts';
import type { Accident, Measure } from './accident.ts';
import { allCities, SOURCE } from './cities.ts';
import { type DemoDatabase, openDemoDatabase } from './database.ts';
import { followInLines } from './follow-lines.ts';
import { readTrail } from './history.ts';
import { runHoldfast } from './holdfast.ts';
import type { Narrator } from './narrator.ts';
import { Traffic, type Written } from './traffic.ts';

export interface Stage {
  narrator: Narrator;
  up: UpResult;
  client: Client;
  signal: AbortSignal;
  /** asks a person about the plan; true: yes */
  approve: (plan: Plan) => Promise<boolean>;
}

/** What the demo ends with, as its last line in JSON. */
export interface Verdict {
  ok: boolean;
  workflowId: string;
  outcome: Outcome;
  rowsDeleted: number;
  rowsRestored: number;
  /** committed by the application while the accident and the recovery went on, and all of them kept */
  rowsWrittenMeanwhile: number;
  rowsWrittenMissing: number;
  tables: { table: string; deleted: number; restored: number; identical: boolean }[];
  plan: string | null;
  recoverySeconds: number | null;
  rtoSeconds: number | null;
  evidence: string | null;
}

/** Real data, protection, an accident, the recovery and the proof that it worked. Throws what made it impossible. */
export async function tellStory(stage: Stage): Promise<Verdict> {
  const database = await openDemoDatabase(stage.up, stage.signal);
  try {
    await loadData(stage, database);
    await protectIt(stage);
    const traffic = new Traffic(await database.application());
    try {
      const accident = await haveAccident(stage, database, traffic.written);
      const status = await recover(stage, database, accident);
      const written = await traffic.end();
      const verdict = await prove(stage, database, { accident, status, written });
      await showTrail(stage, status, verdict);
      return verdict;
    } finally {
      await traffic.end().catch(() => undefined);
    }
  } finally {
    await database.close();
  }
}

async function loadData({ narrator }: Stage, database: DemoDatabase): Promise<void> {
  narrator.chapter('Real data');
  narrator.say(`Beside the sample shop: ${SOURCE}.`);
  await database.load(allCities());
  const sizes = await database.sizes([database.untouched, ...database.tables]);
  narrator.show(
    formatTable(
      [{ head: 'table' }, { head: 'rows', align: 'right' }, { head: 'size', align: 'right' }],
      sizes.map(({ table, rows, size }) => [table, formatCount(rows), size]),
    ),
  );
}

async function protectIt(stage: Stage): Promise<void> {
  const { narrator, client, up, signal } = stage;
  narrator.chapter('Protect it');
  const { config } = await loadConfig(up.config);
  await scheduleAll(client, config);
  narrator.say(
    'The tiers follow from the objectives (RPO 5 minutes, RTO 30 minutes); each is a Temporal Schedule.',
  );
  await showCommand(stage, ['schedules', 'list']);
  const { firstBackups } = await shopOf(up.shop);
  narrator.say(
    firstBackups.length > 1
      ? 'Nobody waits for the night: the first full physical backup and the first logical one run now.'
      : 'Nobody waits for the night: the first backup runs now. From then on every log is shipped.',
  );
  for (const kind of firstBackups) {
    const run = await backUp(client, config, kind);
    const { status } = await followInLines(client, run.workflowId, { narrator, until: 'end', signal });
    if (status.outcome !== 'completed') throw notCompleted(status);
    const [step] = status.steps;
    narrator.show(
      `${style('green', '✔')} ${run.workflowId} ${formatTook(step?.startedAt ?? null, step?.finishedAt ?? null, new Date())}`,
    );
  }
  await showCommand(stage, ['catalog', DATABASE]);
}

async function haveAccident(stage: Stage, database: DemoDatabase, written: Written): Promise<Accident> {
  const { narrator, signal } = stage;
  narrator.chapter('The accident');
  narrator.say(
    'The shop is open: an application places orders all the time, and goes on after the accident.',
  );
  await sleep(3_000, undefined, { signal });
  const accident = await database.causeAccident();
  narrator.say('Somebody cleans up a test system. It is the wrong terminal:');
  narrator.show(style('red', database.statementsOf(accident.cutoff).join('\n')));
  const left = await database.measure(accident.cutoff);
  if (left.some(({ rows }) => rows > 0))
    throw new Error('the accident has left rows that it should have deleted');
  narrator.show(
    formatTable(
      [{ head: 'table' }, { head: 'rows lost', align: 'right' }, { head: 'by' }],
      accident.lost.map(({ table, rows }, index) => [
        table,
        formatCount(rows),
        index < 2 ? 'DELETE' : 'cascade of a foreign key',
      ]),
    ),
  );
  await sleep(3_000, undefined, { signal });
  narrator.say(
    `Nobody noticed for a while: ${formatCount(written.orders.length)} orders were placed before and after it. They must stay.`,
  );
  return accident;
}

async function recover(stage: Stage, { tables }: DemoDatabase, accident: Accident): Promise<RunbookStatus> {
  const { narrator, client, signal, up } = stage;
  narrator.chapter('The recovery');
  const person = operatingSystemUser();
  const named = tables.flatMap((table) => ['--table', table]);
  narrator.show(
    style(
      'dim',
      `$ npx holdfast restore pitr ${DATABASE} --time ${accident.before} \\\n      ${named.join(' ')} --reason 'rows deleted by accident'`,
    ),
  );
  const run = await startRun(client, {
    type: 'pointInTimeRecovery',
    engine: up.description.databases[DATABASE]?.engine ?? 'postgres',
    input: {
      database: DATABASE,
      reason: 'rows deleted by accident',
      requestedBy: person,
      target: { time: accident.before },
      tables: [...tables],
    },
  });
  const { temporal } = up.description;
  narrator.say(`${run.workflowId}, a workflow: kill a worker, and it goes on.`);
  narrator.show(pageOf(temporal.ui, temporal.namespace, run));
  const waiting = await followInLines(client, run.workflowId, { narrator, until: 'decision', signal });
  if (waiting.status.outcome !== 'waiting-for-decision' || waiting.status.plan === null) {
    throw notCompleted(waiting.status);
  }
  const { plan } = waiting.status;
  narrator.say(
    'Until here production was only read. It stops with its plan, and changes nothing until a person says yes to exactly this:',
  );
  narrator.show(formatPlan(plan, terminalWidth()));
  const yes = await stage.approve(plan);
  await sendDecision(client, run.workflowId, {
    by: person,
    action: yes ? 'approve' : 'reject',
    plan: plan.digest,
    comment: 'in the demo',
  });
  const options = { narrator, until: 'end', signal, since: waiting.status } as const;
  const { status } = await followInLines(client, run.workflowId, options);
  if (yes && status.outcome !== 'completed') throw notCompleted(status);
  return status;
}

async function prove(
  { narrator, up }: Stage,
  database: DemoDatabase,
  { accident, status, written }: { accident: Accident; status: RunbookStatus; written: Written },
): Promise<Verdict> {
  narrator.chapter('The proof, by SQL and without Holdfast');
  const now = await database.measure(accident.cutoff);
  const tables = accident.lost.map((lost, index) => {
    const back = now[index] as Measure;
    const identical = back.rows === lost.rows && back.checksum === lost.checksum;
    return { table: lost.table, deleted: lost.rows, restored: back.rows, identical };
  });
  const missing = await database.missingWrites(written);
  narrator.show(
    formatTable(
      [
        { head: 'table' },
        { head: 'deleted', align: 'right' },
        { head: 'back', align: 'right' },
        { head: 'checksum of these rows' },
      ],
      tables.map(({ table, deleted, restored, identical }) => [
        table,
        formatCount(deleted),
        formatCount(restored),
        identical ? style('green', 'the same as before the accident') : style('red', 'DIFFERENT'),
      ]),
    ),
  );
  const orders = formatCount(written.orders.length);
  narrator.say(
    missing === 0
      ? `And all ${orders} orders that the application placed meanwhile, with what belongs to them, are as it wrote them.`
      : `But ${formatCount(missing)} of the application's own writes are missing or changed.`,
  );
  const evidence = await evidenceOf(up, status);
  const sum = (field: 'deleted' | 'restored') => tables.reduce((all, table) => all + table[field], 0);
  const right = missing === 0 && tables.every(({ identical }) => identical);
  return {
    ok: right && status.outcome === 'completed',
    workflowId: status.workflowId,
    outcome: status.outcome,
    rowsDeleted: sum('deleted'),
    rowsRestored: sum('restored'),
    // An order, its two items, its delivery.
    rowsWrittenMeanwhile: written.orders.length * 4,
    rowsWrittenMissing: missing,
    tables,
    plan: status.plan?.digest ?? null,
    recoverySeconds: evidence?.recoverySeconds ?? null,
    rtoSeconds: evidence?.objectives.rtoSeconds ?? null,
    evidence: status.evidence,
  };
}

async function showTrail(stage: Stage, status: RunbookStatus, verdict: Verdict): Promise<void> {
  const { narrator, client } = stage;
  narrator.chapter("The audit trail: the workflow's history, as Temporal keeps it");
  for (const { at, what } of await readTrail(client, status.workflowId)) {
    narrator.show(`${style('dim', at)}  ${what}`);
  }
  if (status.evidence !== null) {
    narrator.say(`The evidence for the auditor is in the repository: ${status.evidence}`);
  }
  narrator.chapter('Times');
  narrator.show(
    formatTable(
      [{ head: 'step' }, { head: 'state' }, { head: 'took', align: 'right' }],
      status.steps.map(({ name, state, startedAt, finishedAt }) => [
        name,
        state,
        startedAt === null ? '-' : secondsBetween(startedAt, finishedAt ?? startedAt),
      ]),
    ),
  );
  const { recoverySeconds, rtoSeconds } = verdict;
  if (recoverySeconds !== null && rtoSeconds !== null) {
    const met = recoverySeconds <= rtoSeconds;
    narrator.say(
      `Recovery without the waiting for a person: ${recoverySeconds.toFixed(1)} s. Objective (RTO): ${formatSpan(rtoSeconds * 1_000)}, ${met ? style('green', 'met') : style('red', 'MISSED')}.`,
    );
  }
  await showCommand(stage, ['catalog', DATABASE]);
}

function secondsBetween(from: string, to: string): string {
  return `${((Date.parse(to) - Date.parse(from)) / 1_000).toFixed(1)} s`;
}

/** Shows a command as a person would type it, and what it answers. */
async function showCommand({ narrator, up, signal }: Stage, words: readonly string[]): Promise<void> {
  narrator.show(style('dim', `$ npx holdfast ${words.join(' ')}`));
  narrator.show(await runHoldfast([...words, '--config', up.config], signal));
}

async function evidenceOf(up: UpResult, status: RunbookStatus): Promise<Evidence | null> {
  if (status.evidence === null) return null;
  const { config, directory } = await loadConfig(up.config);
  const repository = await openRepository(config.repository, { use: 'restore', baseDirectory: directory });
  try {
    return await readEvidence(repository, DATABASE, status.workflowId);
  } finally {
    repository.close();
  }
}

function notCompleted(status: RunbookStatus): HoldfastError {
  return new HoldfastError(
    'ToolFailed',
    `${status.workflowId} is ${status.outcome}: ${status.message ?? 'no reason was given'}`,
  );
}
