import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ExportedTable } from '../../src/engines/contract/read.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { readEvidence } from '../../src/repository/evidence.ts';
import { type Accident, deleteOrders } from './accident.ts';
import { expectNothingLeft, wholeShop } from './nothing-left.ts';
import { type Stack, startStack } from './stack.ts';

const run = promisify(execFile);
const ORDERS = 200;

let stack: Stack;
let accident: Accident;
let shop: string;
beforeAll(async () => {
  stack = await startStack({ orders: ORDERS });
  await stack.json('backup', 'shop', '--tier', 'physical', '--wait');
  accident = await deleteOrders(stack, 1, 20);
  shop = await wholeShop(stack);
});
afterAll(async () => {
  await stack?.end();
});

/** Exports orders from before the accident, and gives the files that the evidence names. */
async function exportOrders(...more: string[]): Promise<ExportedTable[]> {
  const answer = await stack.holdfast(
    ...['restore', 'pitr', 'shop', '--time', accident.at, '--table', 'public.orders'],
    ...['--reason', 'to look at', ...more, '--wait', '--output', 'json'],
  );
  expect(answer.stderr).toBe('');
  const status = JSON.parse(answer.stdout) as RunbookStatus;
  expect(status).toMatchObject({ outcome: 'completed', plan: null, decisions: [] });
  expect(answer.code).toBe(0);
  // Nobody was asked, since nothing changes.
  expect(await wholeShop(stack)).toBe(shop);
  await expectNothingLeft(stack);
  const evidence = await readEvidence(stack.repository, 'shop', status.workflowId);
  return evidence?.exported as ExportedTable[];
}

const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');

test('whole tables as csv, into the repository', async () => {
  const [file, ...others] = await exportOrders('--export', 'csv:repository');
  expect(others).toEqual([]);
  expect(file).toMatchObject({ table: 'public.orders', rows: ORDERS });
  expect(file?.place).toMatch(/^export\/shop\/pitr%2Fshop%2F.*\.csv$/);
  const text = (await stack.repository.getText(file?.place as string)) as string;
  expect(sha256(text)).toBe(file?.sha256);
  const lines = text.trim().split('\n');
  expect(lines[0]).toBe('id,customer_id,status,placed_at');
  expect(lines.length).toBe(ORDERS + 1);
});

test('only the rows that a rule would bring back', async () => {
  const [file] = await exportOrders('--export', 'csv:repository', '--conflict', 'insert-missing');
  expect(file?.rows).toBe(20);
  const text = (await stack.repository.getText(file?.place as string)) as string;
  const ids = text
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => Number(line.split(',')[0]));
  expect(ids.sort((a, b) => a - b)).toEqual(accident.ids.sort((a, b) => a - b));
});

test("a dump into a folder of the site's host, that PostgreSQL's own program reads", async () => {
  const folder = join(stack.directory, 'exports');
  const [file] = await exportOrders('--export', `dump:${folder}`);
  const place = file?.place as string;
  expect(place.startsWith(`${folder}/pitr%2Fshop%2F`)).toBe(true);
  expect((await stat(place)).mode & 0o777).toBe(0o600);
  expect(sha256(await readFile(place))).toBe(file?.sha256);
  expect(await readdir(join(place, '..'))).toHaveLength(1);
  const { stdout } = await run('/usr/lib/postgresql/15/bin/pg_restore', ['--file', '-', place]);
  expect(stdout).toContain('CREATE TABLE public.orders');
  const copied = /COPY public\.orders [^\n]*\n([\s\S]*?)\\\.\n/.exec(stdout)?.[1] ?? '';
  expect(copied.trim().split('\n')).toHaveLength(ORDERS);
});

test('whole tables while production is gone', async () => {
  await stack.stopProduction();
  try {
    const answer = await stack.holdfast(
      ...['restore', 'pitr', 'shop', '--time', accident.at, '--table', 'public.orders'],
      ...['--reason', 'the server burnt', '--export', 'csv:repository', '--wait', '--output', 'json'],
    );
    expect(answer.stderr).toBe('');
    const status = JSON.parse(answer.stdout) as RunbookStatus;
    expect(status).toMatchObject({ outcome: 'completed', plan: null, decisions: [] });
    const evidence = await readEvidence(stack.repository, 'shop', status.workflowId);
    expect(evidence?.exported).toMatchObject([{ table: 'public.orders', rows: ORDERS }]);
    expect(await stack.instances()).toEqual([]);
  } finally {
    await stack.startProduction();
  }
  expect(await wholeShop(stack)).toBe(shop);
});
