import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { parse, stringify } from 'yaml';

import { queuesOf } from '../src/client/dev/describe-config.ts';
import { endProcess, identifyProcess, processesUnder } from '../src/client/dev/process.ts';
import { takeDown } from '../src/client/dev/shutdown.ts';
import { bringUp } from '../src/client/dev/stack.ts';
import type { DevDescription, ShopKind } from '../src/client/dev/state.ts';
import { startWorker } from '../src/client/dev/worker.ts';
import { type LoadedConfig, loadConfig } from '../src/config/load.ts';
import { allRoles } from '../src/workers/roles.ts';
import { residentBytes, WorkerMemory } from './memory.ts';

/** The same server under a second name, whose logical backups carry no fingerprints. */
export const PLAIN = 'plain';
const SETTLE_MS = 5_000;

/** Everything that `holdfast dev up` starts, in a folder and on ports of its own; `production`: a session there. */
export interface BenchStack<P = unknown> {
  directory: string;
  config: LoadedConfig;
  description: DevDescription;
  temporal: Client;
  production: P;
  url: string;
  memory: WorkerMemory;
}

/** What differs by the engine of the sample database. */
export interface BenchShop<P> {
  kind: ShopKind;
  open(url: string): Promise<P>;
  close(production: P): Promise<unknown>;
  /** what its second name has to have beyond the first one's */
  plain(directory: string): object;
}

export interface StackOptions {
  signal: AbortSignal;
  say: (line: string) => void;
  /** with a second site that takes the database over; the one worker plays all roles of both */
  second?: {
    /** where clients are sent, known once production runs */
    endpoints: (description: DevDescription, directory: string) => Promise<object[]>;
  };
}

/** Brings the stack up, runs the work, and ends and removes everything whatever happened. */
export async function withStackOf<P, T>(
  shop: BenchShop<P>,
  options: StackOptions,
  work: (stack: BenchStack<P>) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  await chmod(directory, 0o755);
  const closing: (() => Promise<unknown>)[] = [];
  try {
    return await work(await open(directory, shop, options, closing));
  } finally {
    for (const close of closing.reverse()) await close().catch(() => {});
    await takeDown(directory);
    for (const left of await processesUnder(directory)) await endProcess(left, []);
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function open<P>(
  directory: string,
  shop: BenchShop<P>,
  { signal, say, second }: StackOptions,
  closing: (() => Promise<unknown>)[],
): Promise<BenchStack<P>> {
  const up = await bringUp({
    ...{ directory, shop: shop.kind, config: null, orders: 100, signal, say, second: second !== undefined },
    ports: { temporal: 0, ui: 0, s3: 0, postgres: 0, mysql: 0 },
  });
  const { description } = up;
  const endpoints = (await second?.endpoints(description, directory)) ?? [];
  const config = await addPlainDatabase(directory, up.config, { endpoints, plain: shop.plain(directory) });
  const worker = await restartWorker(directory, description, config, signal);
  closing.push(() => end(worker));
  await sleep(SETTLE_MS, undefined, { signal });
  const memory = new WorkerMemory(worker, (await residentBytes(worker)).now);
  const url = description.databases.shop?.url as string;
  const production = await shop.open(url);
  closing.push(() => shop.close(production));
  const connection = await Connection.connect({ address: description.temporal.address });
  closing.push(() => connection.close());
  const temporal = new Client({ connection, namespace: description.temporal.namespace });
  return { directory, config, description, temporal, production, url, memory };
}

async function addPlainDatabase(
  directory: string,
  path: string,
  { endpoints, plain }: { endpoints: object[]; plain: object },
): Promise<LoadedConfig> {
  const written = parse(await readFile(path, 'utf8')) as { databases: Record<string, object> };
  written.databases[PLAIN] = {
    ...written.databases.shop,
    objectives: { rpo: '24h', rto: '4h' },
    ...plain,
    tiers: { log: 'off', physical: 'off', logical: { fingerprints: false } },
    ...{ takeover: {}, endpoints: [] },
  };
  written.databases.shop = { ...written.databases.shop, endpoints };
  const patched = join(directory, 'bench.yaml');
  await writeFile(patched, stringify(written));
  return loadConfig(patched);
}

/** The worker of `bringUp` knows one database; this one knows both. Returns its process id. */
async function restartWorker(
  directory: string,
  description: DevDescription,
  config: LoadedConfig,
  signal: AbortSignal,
): Promise<number> {
  const { worker, second } = description.pids;
  for (const pid of [worker, second]) if (pid !== undefined) await end(pid);
  return startWorker({
    ...{ directory, config: join(directory, 'bench.yaml'), temporal: description.temporal, signal },
    queues: queuesOf(allRoles(config.config)),
  });
}

async function end(pid: number): Promise<void> {
  const worker = await identifyProcess(pid);
  if (worker !== null) await endProcess(worker, [{ signal: 'SIGTERM', patienceMs: 30_000 }]);
}
