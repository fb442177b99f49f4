import { afterAll, beforeAll, expect, it } from 'vitest';
import { readState } from '../../src/client/dev/state.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { readTopology } from '../../src/repository/topology.ts';
import { approveAt, ask, awaitDecision, startDisaster, takenOverUrl } from '../e2e/disasters.ts';
import { loseFirstSite } from '../e2e/sites.ts';
import { type Stack, startStack } from '../e2e/stack.ts';
import { newestOf, verify } from '../e2e/verifications.ts';

let stack: Stack;
let newUrl: string;
beforeAll(async () => {
  stack = await startStack({ second: true, orders: 300 });
  newUrl = takenOverUrl(stack, (await readState(stack.directory)).takeoverPort as number);
});
afterAll(async () => {
  await stack?.end();
});

it('the site is lost, and all of the bucket but a snapshot: the database lives at the second site as it was', async () => {
  await stack.json('backup', 'shop', '--tier', 'physical', '--wait');
  const { id } = await newestOf(stack, 'physical');
  expect((await verify(stack, 'shop', '--backup', id)).verdict).toBe('pass');
  await stack.json('backup', 'shop', '--tier', 'snapshot', '--wait');
  const snapshot = await newestOf(stack, 'snapshot');

  await stack.production.query('DELETE FROM orders WHERE id > 200');
  for await (const { key } of stack.repository.list('')) {
    if (/^(?:pgbackrest|logical|log)\//.test(key)) await stack.repository.remove(key);
  }
  await loseFirstSite(stack);
  const disaster = await startDisaster(stack, '--backup', snapshot.id);
  const { plan } = await awaitDecision(stack, disaster, 'recover');
  expect(plan?.summary).toMatch(/what was committed after it is lost/);
  expect(plan?.notices.join('\n')).toMatch(/restored from its snapshot alone/);
  await approveAt(stack, disaster, 'recover');
  await approveAt(stack, disaster, 'switch');
  const result = (await stack.temporal.workflow.getHandle(disaster).result()) as RunbookStatus;
  expect(result).toMatchObject({ outcome: 'completed', instance: null });
  expect(await ask(newUrl, 'SELECT count(*)::int AS n FROM orders')).toEqual([{ n: 300 }]);
  // It archives into the repository that everybody looks into, not into the snapshot's.
  const stanza = (await readTopology(stack.repository, 'shop'))?.stanza;
  await expect
    .poll(async () => (await newestOf(stack, 'physical')).stanza, { timeout: 60_000 })
    .toBe(stanza ?? 'moved');
});
