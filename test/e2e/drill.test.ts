import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Report } from '../../src/client/report/facts.ts';
import { resolveAccess } from '../../src/config/access.ts';
import { describeDatabase } from '../../src/config/describe.ts';
import { loadConfig } from '../../src/config/load.ts';
import { postgres } from '../../src/engines/postgres/postgres.ts';
import type { Catalog } from '../../src/model/backup.ts';
import type { DrillRecord } from '../../src/model/drill.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { readDrills } from '../../src/repository/drills.ts';
import { readEvidence } from '../../src/repository/evidence.ts';
import { writeHeartbeat } from '../../src/repository/heartbeats.ts';
import { approve } from './accident.ts';
import { expectNothingLeft, wholeShop } from './nothing-left.ts';
import { pause, type Stack, startStack } from './stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ orders: 300 });
  await stack.json('backup', 'shop', '--tier', 'logical', '--wait');
  await stack.json('backup', 'shop', '--tier', 'physical', '--wait');
  await makeMomentsRecoverable();
});
afterAll(async () => {
  await stack?.end();
});

/** What the log watch does every minute. */
async function makeMomentsRecoverable(): Promise<void> {
  const { config, directory } = await loadConfig(stack.config);
  const access = await resolveAccess(describeDatabase(config, 'shop').config, directory);
  const run = { signal: AbortSignal.timeout(60_000), progress: () => {} };
  const closed = await postgres.closeLog(access, run);
  await writeHeartbeat(stack.repository, 'shop', closed);
  for (let tries = 0; tries < 600; tries += 1) {
    const { intervals } = await stack.json<Catalog>('catalog', 'shop');
    if (intervals.some(({ from, to }) => from < to)) return;
    await pause(100);
  }
  throw new Error(`log ${closed.log} was never archived`);
}

async function drill(...more: string[]): Promise<DrillRecord> {
  const answer = await stack.holdfast('drill', 'shop', '--wait', ...more, '--output', 'json');
  expect(answer.stderr).toBe('');
  const { result } = JSON.parse(answer.stdout) as { result: DrillRecord };
  expect([result.outcome, result.reasons, answer.code]).toEqual(['met', [], 0]);
  return result;
}

test('both kinds take turns, end at their plan, change nothing and leave nothing but their scorecards', async () => {
  const before = await wholeShop(stack);
  const first = await drill();
  const second = await drill('--site', 'local');
  expect([first.runbook, second.runbook]).toEqual(['pointInTimeRecovery', 'selectiveTableRestore']);
  expect(first.target).toEqual({ time: expect.any(String) });
  expect(second.target).toBeNull();
  for (const { workflowId, tables, steps, recoverySeconds, plan, evidence } of [first, second]) {
    expect(tables).toHaveLength(1);
    expect(plan?.digest).toMatch(/^sha256:/);
    expect(steps.map(({ name }) => name)).toEqual(expect.arrayContaining(['provision', 'restore', 'import']));
    expect(recoverySeconds).toBeCloseTo(
      steps.reduce((sum, { seconds }) => sum + seconds, 0),
      3,
    );
    const recovery = await readEvidence(stack.repository, 'shop', `${workflowId}/recovery`);
    expect(recovery?.status).toMatchObject({
      outcome: 'rejected',
      plan: { digest: plan?.digest },
      evidence: null,
    });
    expect(recovery?.status.decisions).toMatchObject([{ by: 'drill', action: 'reject' }]);
    expect(evidence).not.toBeNull();
  }
  expect(await wholeShop(stack)).toBe(before);
  await expectNothingLeft(stack);
  expect(await readDrills(stack.repository, 'shop')).toEqual([second, first]);

  const third = await drill('--runbook', 'table');
  expect(third.earlier).toMatchObject({ drills: 1, medianSeconds: second.recoverySeconds });
});

test('the report shows them, as a page, as text and as facts', async () => {
  const file = join(stack.directory, 'report.html');
  const answer = await stack.holdfast('report', 'shop', '--html', '--out', file);
  expect(answer).toMatchObject({ code: 0, stdout: file });
  expect(await readFile(file, 'utf8')).toMatch(
    /<svg class="drills"[\s\S]*no logical backup of shop was ever|no logical backup of shop was ever[\s\S]*<svg class="drills"/,
  );
  const { databases } = await stack.json<Report>('report');
  expect(
    databases.map(({ database, held }) => [database, held?.drills.map(({ outcome }) => outcome)]),
  ).toEqual([['shop', ['met', 'met', 'met']]]);
  // The drills' own rejections are nobody's decisions.
  expect(databases[0]?.held?.decided).toEqual([]);
  expect((await stack.holdfast('report', 'shop')).stdout).toMatch(/in the last drill +met/);
  expect(await stack.holdfast('report', 'shpo')).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/do you mean shop/),
  });
  expect((await stack.holdfast('report', '--out', '/nowhere/report.txt')).stderr).toMatch(
    /cannot be written/,
  );
});

test('a real recovery that is started during a drill is not kept out, and the drill is neither approved nor in its way', async () => {
  const before = await wholeShop(stack);
  const { workflowId } = await stack.json<{ workflowId: string }>('drill', 'shop', '--runbook', 'pitr');
  await stack.waitForStep(workflowId, 'recover', 'running');
  await stack.production.query('DELETE FROM order_items WHERE order_id % 3 = 0');
  const started = await stack.json<{ workflowId: string }>(
    ...['restore', 'table', 'shop', '--table', 'order_items', '--reason', 'INC-9'],
  );
  const waiting = await stack.waitForOutcome(started.workflowId, 'waiting-for-decision');
  await approve(stack, waiting);
  await stack.waitForOutcome(started.workflowId, 'completed');
  const drilled = (await stack.temporal.workflow.getHandle(workflowId).result()) as DrillRecord;
  expect(['met', 'skipped']).toContain(drilled.outcome);
  const recovery = await stack.status(`${workflowId}/recovery`);
  expect(['rejected', 'cancelled']).toContain(recovery.outcome);
  expect(await wholeShop(stack)).toBe(before);
  await expectNothingLeft(stack);
});

test('while a real recovery waits for people, a drill is skipped', async () => {
  const started = await stack.json<{ workflowId: string }>(
    ...['restore', 'table', 'shop', '--table', 'order_items', '--reason', 'INC-9'],
  );
  const waiting: RunbookStatus = await stack.waitForOutcome(started.workflowId, 'waiting-for-decision');
  const answer = await stack.holdfast('drill', 'shop', '--wait');
  expect(answer.code).toBe(4);
  await stack.json('reject', waiting.workflowId, '--plan', waiting.plan?.digest as string, '--by', 'ben');
  const [newest] = await readDrills(stack.repository, 'shop');
  expect(newest).toMatchObject({ outcome: 'skipped', runbook: null, steps: [] });
  expect(newest?.reasons.join()).toContain(started.workflowId);
});
