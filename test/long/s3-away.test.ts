import { afterAll, beforeAll, expect, it } from 'vitest';
import { addLargeTable, backUpThrough, expectRestores } from '../e2e/s3-outage.ts';
import { pause, type Stack, startStack } from '../e2e/stack.ts';

const AWAY_MS = 120_000;
const MEGABYTES = 700;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
  await addLargeTable(stack, MEGABYTES);
});
afterAll(async () => {
  await stack?.end();
});

it.each<[string, () => Promise<void>]>([
  [
    'stands still, with every connection open',
    async () => {
      stack.pause('s3');
      await pause(AWAY_MS);
      stack.goOn('s3');
    },
  ],
  [
    'dies and comes back',
    async () => {
      await stack.killS3();
      await pause(AWAY_MS);
      await stack.startWorker();
    },
  ],
])(
  'S3 %s for two minutes in the middle of an upload: one backup, restored with equal fingerprints',
  async (_, away) => {
    const manifest = await backUpThrough(stack, async () => {
      await pause(1_000);
      await away();
    });
    expect(manifest.sizeBytes).toBeGreaterThan(200e6);
    await expectRestores(stack, manifest);
  },
);
