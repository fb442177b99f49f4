import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { readState } from '../../src/client/dev/state.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { listArchivedLogs } from '../../src/repository/logs.ts';
import { readTopology } from '../../src/repository/topology.ts';
import {
  approveAt,
  archiveNow,
  ask,
  awaitDecision,
  endpointFile,
  placesOf,
  removeCandidate,
  startDisaster,
  takenOverUrl,
} from './disasters.ts';
import { refusalOf } from './nothing-left.ts';
import { type S3Proxy, startS3Proxy } from './s3-proxy.ts';
import { killSecond, loseFirstSite, startSecond } from './sites.ts';
import { FOUND_SOON, type Stack, startStack } from './stack.ts';

// A killed worker's step is found after its heartbeat's time-out.
vi.setConfig({ testTimeout: 300_000 });

let stack: Stack;
let proxy: S3Proxy;
let port: number;
let newUrl: string;
let oldAddress: string;
/** the log that holds each row of table `kept` */
const logs = new Map<string, string>();
/** what applications read at first */
let environment: string;

/** A file in the stack's folder, which a fence, an endpoint or a question looks at. */
const flag = (name: string, directory = stack.directory) => join(directory, `flag-${name}`);

async function script(directory: string, name: string, lines: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, `#!/bin/sh\n${lines}\n`);
  await chmod(path, 0o755);
  return path;
}

beforeAll(async () => {
  stack = await startStack({
    second: true,
    orders: 300,
    patch: async (config, directory) => {
      config.noWorkerAfter = '5s';
      FOUND_SOON.patch(config);
      proxy = await startS3Proxy(directory, config.repository.endpoint as string);
      config.repository.endpoint = proxy.endpoint;
      const { shop } = config.databases;
      const { host, port: old } = shop.connection as { host: string; port: number };
      oldAddress = `${host}:${old}`;
      const registry = join(directory, 'registry');
      await writeFile(registry, oldAddress);
      const fence = `test -e ${flag('fenced', directory)} || { echo 'the power switch does not answer' >&2; exit 1; }`;
      const set = `test ! -e ${flag('read-only', directory)} || { echo 'the registry is read-only' >&2; exit 1; }
printf '%s:%s' "$HOLDFAST_HOST" "$HOLDFAST_PORT" >${registry}`;
      const healthy = `test ! -e ${flag('ill', directory)}`;
      shop.fence = { command: [await script(directory, 'fence', fence)] };
      shop.verify = { health: [{ command: [await script(directory, 'healthy', healthy)] }] };
      (shop.endpoints as object[]).push({
        command: { get: ['cat', registry], set: [await script(directory, 'set', set)] },
      });
    },
  });
  port = (await readState(stack.directory)).takeoverPort as number;
  newUrl = takenOverUrl(stack, port);
  environment = await readFile(endpointFile(stack), 'utf8');
  expect(await stack.holdfast('schedules', 'apply')).toMatchObject({ code: 0, stderr: '' });
  await stack.json('backup', 'shop', '--tier', 'physical', '--kind', 'full', '--wait');
  await stack.production.query('CREATE TABLE kept (name text)');
  for (const name of ['first', 'second', 'third']) {
    await stack.production.query('INSERT INTO kept VALUES ($1)', [name]);
    logs.set(name, await archiveNow(stack));
  }
});

afterAll(async () => {
  await stack?.end();
  await proxy?.end();
});

/** Clients, schedules and catalog stand where they stood before. */
async function expectAsBefore(): Promise<void> {
  expect(await readTopology(stack.repository, 'shop')).toBeNull();
  expect(await readFile(endpointFile(stack), 'utf8')).toBe(environment);
  expect(await readFile(join(stack.directory, 'registry'), 'utf8')).toBe(oldAddress);
  const { stdout } = await stack.holdfast('schedules', 'list');
  expect(stdout).toContain('holdfast/log-archive-watch/local');
  expect(stdout).not.toContain('holdfast/log-archive-watch/second');
}

it('waits until the old primary is fenced for certain; rejected at the switch, the new server is offered', async () => {
  const id = await startDisaster(stack);
  const { plan } = await awaitDecision(stack, id, 'recover');
  expect(plan?.notices[0]).toBe(`the old server: it answers at ${oldAddress}, writable, on timeline 1`);

  // Two at once: the second is refused, by the command line and by the workflow itself.
  const twice = await stack.holdfast('restore', 'full', 'shop', '--site', 'second', '--reason', 'again');
  expect(twice).toMatchObject({ code: 1, stderr: expect.stringContaining(id) });
  const refused = await refusalOf(stack, 'fullDisasterRecovery', {
    ...{ database: 'shop', site: 'second', reason: 'again', requestedBy: 'anna' },
  });
  expect(refused).toMatchObject({ type: 'DatabaseBusy', message: expect.stringContaining(id) });

  await approveAt(stack, id, 'recover');
  const unfenced = await stack.waitForOutcome(id, 'parked');
  expect(unfenced.message).toContain('the power switch does not answer');
  await writeFile(flag('fenced'), '');
  expect(await stack.holdfast('resume', id)).toMatchObject({ code: 0, stderr: '' });
  await stack.waitForMessage(
    id,
    `the old server of shop can still be written to: it answers at ${oldAddress}`,
  );
  await loseFirstSite(stack);
  expect(await stack.holdfast('resume', id)).toMatchObject({ code: 0, stderr: '' });

  const { plan: switching } = await awaitDecision(stack, id, 'switch');
  const rejected = await stack.holdfast('reject', id, '--plan', switching?.digest as string, '--by', 'ben');
  expect(rejected.code).toBe(0);
  const result = (await stack.temporal.workflow.getHandle(id).result()) as RunbookStatus;
  expect(result.outcome).toBe('rejected');
  expect((await stack.holdfast('status', id)).code).toBe(4);
  await expectAsBefore();
  const look = await stack.holdfast('connect', id, '--', '-Atc', 'SELECT count(*) FROM kept');
  expect(look).toMatchObject({ stdout: '3', stderr: '' });

  await removeCandidate(stack);
  expect(await placesOf(stack)).toEqual({ instances: [], production: [] });
});

it('recovers to before a missing log, and says so; cancelled after the takeover, nothing is left', async () => {
  const archived = await listArchivedLogs(stack.repository, 'shop');
  const lost = archived.find(({ name }) => name === logs.get('second'));
  await stack.repository.remove(lost?.key as string);
  const id = await startDisaster(stack);
  const { plan } = await awaitDecision(stack, id, 'recover');
  expect(plan?.notices.join('\n')).toContain(logs.get('second'));
  await approveAt(stack, id, 'recover');
  await awaitDecision(stack, id, 'switch');
  expect(await ask(newUrl, 'SELECT name FROM kept')).toEqual([{ name: 'first' }]);

  await stack.temporal.workflow.getHandle(id).cancel();
  await expect(stack.temporal.workflow.getHandle(id).result()).rejects.toThrow();
  expect((await stack.holdfast('status', id)).code).toBe(4);
  await expectAsBefore();
  expect(await placesOf(stack)).toEqual({ instances: [], production: [] });
});

it('comes through a slow and busy S3, a killed worker, half a switch and an ill application', async () => {
  proxy.delay(10);
  const id = await startDisaster(stack);
  await approveAt(stack, id, 'recover');
  await stack.waitForStep(id, 'provision', 'done');
  proxy.refuse(10);
  await stack.waitForStep(id, 'check', 'done');
  expect(proxy.refusals()).toBe(0);
  await killSecond(stack);
  proxy.refuse(5);
  await startSecond(stack);

  await awaitDecision(stack, id, 'switch');
  proxy.delay(0);
  await writeFile(flag('read-only'), '');
  await approveAt(stack, id, 'switch');
  await stack.waitForMessage(id, 'the switch was taken back, and can be approved again');
  expect((await stack.status(id)).message).toContain('the registry is read-only');
  expect(await readFile(endpointFile(stack), 'utf8')).toBe(environment);

  await rm(flag('read-only'));
  await writeFile(flag('ill'), '');
  await approveAt(stack, id, 'switch');
  await stack.waitForMessage(id, 'health 1');
  expect(await readFile(endpointFile(stack), 'utf8')).toBe(environment);
  expect(await readFile(join(stack.directory, 'registry'), 'utf8')).toBe(oldAddress);

  await rm(flag('ill'));
  await approveAt(stack, id, 'switch');
  const result = (await stack.temporal.workflow.getHandle(id).result()) as RunbookStatus;
  expect(result.outcome).toBe('completed');
  expect(await readFile(join(stack.directory, 'registry'), 'utf8')).toBe(`127.0.0.1:${port}`);
  expect(await readFile(endpointFile(stack), 'utf8')).toBe(`DATABASE_URL=${newUrl}\n`);
  expect(await ask(newUrl, 'SELECT name FROM kept')).toEqual([{ name: 'first' }]);
  expect(await placesOf(stack)).toEqual({ instances: [], production: [expect.any(String)] });
});
