import { afterAll, beforeAll, expect, it } from 'vitest';
import { readState } from '../../src/client/dev/state.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { readTopology } from '../../src/repository/topology.ts';
import {
  approveAt,
  archiveNow,
  ask,
  awaitDecision,
  placesOf,
  startDisaster,
  takenOverUrl,
} from '../e2e/disasters.ts';
import { killSecond, loseFirstSite, startSecond } from '../e2e/sites.ts';
import { FOUND_SOON, pause, type Stack, startStack } from '../e2e/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ second: true, ...FOUND_SOON });
  await stack.json('backup', 'shop', '--tier', 'physical', '--kind', 'full', '--wait');
  await archiveNow(stack);
});
afterAll(async () => {
  await stack?.end();
});

/** Before a decision, and after it; the steps of each with the activity that it waits for. */
const BEFORE = ['assessLoss', 'chooseBase', 'planDisaster'];
const RECOVERING = [
  ...['fenceOldServer', 'provisionInstance', 'restoreInstance', 'replayInstance', 'checkInstance'],
  ...[
    'takeOverInstance',
    'proveArchive',
    'prepareTopology',
    'keepTopology',
    'applySchedules',
    'checkNewServer',
  ],
];
const SWITCHING = ['setEndpoints', 'verifyEndpoints', 'settleProduction'];

/** Kills the site's worker when this activity has begun, or has just ended, and starts it again. */
async function strike(id: string, activity: string, struck: string[]): Promise<void> {
  for (;;) {
    const { events } = await stack.temporal.workflow.getHandle(id).fetchHistory();
    const scheduled = events?.find(
      (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === activity,
    );
    if (scheduled !== undefined) {
      const ended = events?.some(({ activityTaskCompletedEventAttributes: completed }) =>
        completed?.scheduledEventId?.eq(scheduled.eventId ?? 0),
      );
      if (ended !== true) struck.push(activity);
      break;
    }
    await pause(5);
  }
  await killSecond(stack);
  await startSecond(stack);
}

it('the site’s worker is killed in every step: the database lives there in the end, with every archived commit', async () => {
  const { rows } = await stack.production.query<{ orders: string }>('SELECT count(*) AS orders FROM orders');
  await archiveNow(stack);
  await loseFirstSite(stack);
  const struck: string[] = [];
  const id = await startDisaster(stack);
  for (const activity of BEFORE) await strike(id, activity, struck);
  await awaitDecision(stack, id, 'recover');
  await killSecond(stack);
  await startSecond(stack);
  await approveAt(stack, id, 'recover');
  for (const activity of RECOVERING) await strike(id, activity, struck);
  await awaitDecision(stack, id, 'switch');
  await killSecond(stack);
  await startSecond(stack);
  await approveAt(stack, id, 'switch');
  for (const activity of SWITCHING) await strike(id, activity, struck);

  const result = (await stack.temporal.workflow.getHandle(id).result()) as RunbookStatus;
  expect(result.outcome).toBe('completed');
  expect(struck).toEqual(expect.arrayContaining(['restoreInstance', 'replayInstance', 'takeOverInstance']));
  const port = (await readState(stack.directory)).takeoverPort as number;
  expect(await ask(takenOverUrl(stack, port), 'SELECT count(*) AS orders FROM orders')).toEqual(rows);
  expect(await readTopology(stack.repository, 'shop')).toMatchObject({ by: id, site: 'second', timeline: 2 });
  expect(await placesOf(stack)).toEqual({ instances: [], production: [expect.any(String)] });
});
