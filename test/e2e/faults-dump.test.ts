import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WorkflowFailedError } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { logicalFolder } from '../../src/repository/layout.ts';
import { listManifests } from '../../src/repository/manifests.ts';
import { expectNothingLeft, processesOfSteps, refusalOf } from './nothing-left.ts';
import { addLargeTable, backUpThrough, expectRestores } from './s3-outage.ts';
import { pause, type Stack, startStack } from './stack.ts';

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({
    orders: 500,
    patch: async (config, directory) => {
      const password = join(directory, 'clerk');
      await writeFile(password, 'clerk');
      const { connection, ...rest } = config.databases.shop;
      config.databases.limited = {
        ...rest,
        objectives: { rpo: '48h', rto: '48h' },
        tiers: { log: 'off', physical: 'off' },
        postgres: { stanza: 'limited', dataDirectory: join(directory, 'limited') },
        connection: { ...connection, user: 'clerk', password: { file: password } },
      };
    },
  });
  await stack.production.query(`CREATE ROLE clerk LOGIN PASSWORD 'clerk'`);
  await stack.production.query('GRANT SELECT ON customers, products, orders, order_items TO clerk');
  // More than the buffers between pg_dump and S3 hold, so that it stands still in the middle when S3 does.
  await addLargeTable(stack, 160);
});
afterAll(async () => {
  await stack?.end();
});

async function pidOf(program: string): Promise<number> {
  const found = (await processesOfSteps(stack)).filter(({ command }) =>
    command.split(' ')[0]?.endsWith(program),
  );
  expect(found.map(({ command }) => command)).toHaveLength(1);
  return found[0]?.pid as number;
}

it.each(['pg_dump', 'zstd'])(
  '%s dies half way: tried again, and no object of the dead dump appears',
  async (program) => {
    const pids: number[] = [];
    const manifest = await backUpThrough(stack, async () => {
      stack.pause('s3');
      try {
        pids.push(await pidOf(program));
        process.kill(pids[0] as number, 'SIGKILL');
        await pause(500);
      } finally {
        stack.goOn('s3');
      }
    });
    const large = manifest.databases
      .find(({ name }) => name === 'shop')
      ?.fingerprints?.tables.find(({ table }) => table === 'public.large');
    expect(large?.rows).toBe(160 * 1_024);
  },
);

it('S3 is away for a while in the middle of the upload: one backup, restored with equal fingerprints', async () => {
  const manifest = await backUpThrough(stack, async () => {
    await stack.killS3();
    await pause(15_000);
    await stack.startWorker();
  });
  await expectRestores(stack, manifest);
});

it.each(['cancel', 'terminate'] as const)(
  'a backup that somebody ends by %s leaves no upload and no process',
  async (end) => {
    const before = await listManifests(stack.repository, 'shop');
    const handle = await stack.temporal.workflow.start('logicalBackup', {
      ...{ args: [{ database: 'shop' }], taskQueue: 'holdfast', workflowId: `backup/logical/shop/${end}` },
    });
    await expect.poll(async () => (await stack.repository.uploads('')).length, { timeout: 120_000 }).toBe(1);
    // The upload stands still until the activity has heard of its end, at its next heartbeat.
    stack.pause('s3');
    try {
      if (end === 'cancel') await handle.cancel();
      else await handle.terminate('a test');
      await pause(12_000);
    } finally {
      stack.goOn('s3');
    }
    await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
    await expect.poll(() => stack.repository.uploads(''), { timeout: 60_000 }).toEqual([]);
    await expectNothingLeft(stack);
    expect(await listManifests(stack.repository, 'shop')).toEqual(before);
    const published = before.map(({ id }) => logicalFolder('shop', id));
    const orphans: string[] = [];
    for await (const { key } of stack.repository.list('logical/shop/')) {
      if (!published.some((folder) => key.startsWith(folder))) orphans.push(key);
    }
    // Nothing of a terminated run's own is run any more: its small objects stay until they expire.
    expect(orphans.filter((key) => end === 'cancel' || key.includes('/shop.'))).toEqual([]);
  },
);

it('a dump that may not read a table fails for good, and leaves neither object nor manifest', async () => {
  const refusal = await refusalOf(stack, 'logicalBackup', { database: 'limited' });
  expect(refusal.type).toBe('PermissionDenied');
  expect(refusal.message).toMatch(/permission denied for[\s\S]*HINT: /);
  for await (const { key } of stack.repository.list('logical/limited/')) throw new Error(`${key} was left`);
  expect(await listManifests(stack.repository, 'limited')).toEqual([]);
  await expectNothingLeft(stack);
});
