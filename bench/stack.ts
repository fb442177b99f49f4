import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import pg from 'pg';
import { parse, stringify } from 'yaml';

import { queuesOf } from '../src/client/dev/describe-config.ts';
import { endProcess, identifyProcess, processesUnder } from '../src/client/dev/process.ts';
import { takeDown } from '../src/client/dev/shutdown.ts';
import { bringUp } from '../src/client/dev/stack.ts';
import type { DevDescription } from '../src/client/dev/state.ts';
import { startWorker } from '../src/client/dev/worker.ts';
import { type LoadedConfig, loadConfig } from '../src/config/load.ts';
import { runTool } from '../src/engines/process.ts';
import { allRoles } from '../src/workers/roles.ts';
import { residentBytes, WorkerMemory } from './memory.ts';

/** The same server under a second name, whose logical backups carry no fingerprints. */
export const PLAIN = 'plain';
const SETTLE_MS = 5_000;

/** Everything that `holdfast dev up` starts, in a folder and on ports of its own. */
export interface BenchStack {
  directory: string;
  config: LoadedConfig;
  description: DevDescription;
  temporal: Client;
  production: pg.Client;
  url: string;
  memory: WorkerMemory;
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
export async function withStack<T>(
  options: StackOptions,
  work: (stack: BenchStack) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  await chmod(directory, 0o755);
  const closing: (() => Promise<unknown>)[] = [];
  try {
    return await work(await open(directory, options, closing));
  } finally {
    for (const close of closing.reverse()) await close().catch(() => {});
    await takeDown(directory);
    for (const left of await processesUnder(directory)) await endProcess(left, []);
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function open(
  directory: string,
  { signal, say, second }: StackOptions,
  closing: (() => Promise<unknown>)[],
): Promise<BenchStack> {
  const up = await bringUp({
    ...{ directory, ports: { temporal: 0, ui: 0, s3: 0, postgres: 0 }, config: null, orders: 100, signal },
    ...{ say, second: second !== undefined },
  });
  const { description } = up;
  const endpoints = (await second?.endpoints(description, directory)) ?? [];
  const config = await addPlainDatabase(directory, up.config, endpoints);
  const worker = await restartWorker(directory, description, config, signal);
  closing.push(() => end(worker));
  await sleep(SETTLE_MS, undefined, { signal });
  const memory = new WorkerMemory(worker, (await residentBytes(worker)).now);
  const url = description.databases.shop?.url as string;
  const production = new pg.Client({ connectionString: url, application_name: 'bench' });
  production.on('error', () => {});
  await production.connect();
  closing.push(() => production.end());
  const connection = await Connection.connect({ address: description.temporal.address });
  closing.push(() => connection.close());
  const temporal = new Client({ connection, namespace: description.temporal.namespace });
  return { directory, config, description, temporal, production, url, memory };
}

async function addPlainDatabase(directory: string, path: string, endpoints: object[]): Promise<LoadedConfig> {
  const written = parse(await readFile(path, 'utf8')) as { databases: Record<string, object> };
  written.databases[PLAIN] = {
    ...written.databases.shop,
    objectives: { rpo: '24h', rto: '4h' },
    // Never looked at: this one has logical backups only.
    postgres: { stanza: PLAIN, dataDirectory: join(directory, PLAIN) },
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

/** Lets the archiver, the checkpointer and the disk come to rest, so that a run does not pay for the one before. */
export async function settle({ production }: BenchStack, signal: AbortSignal): Promise<void> {
  await production.query('CHECKPOINT');
  const { rows } = await production.query<{ log: string }>(
    'SELECT pg_walfile_name(pg_switch_wal() - 1) AS log',
  );
  const log = rows[0]?.log as string;
  for (;;) {
    const { rows: archived } = await production.query<{ done: boolean }>(
      'SELECT last_archived_wal >= $1 AS done FROM pg_stat_archiver',
      [log],
    );
    if (archived[0]?.done) break;
    await sleep(200, undefined, { signal });
  }
  await runTool('sync', [], { signal });
}
