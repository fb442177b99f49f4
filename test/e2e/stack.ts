import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { execa } from 'execa';
import pg from 'pg';
import { inject, TestRunner } from 'vitest';
import { parse, stringify } from 'yaml';
import { layoutOf } from '../../src/client/dev/configuration.ts';
import { identifyProcess, isRunning } from '../../src/client/dev/process.ts';
import { shopOf } from '../../src/client/dev/shop.ts';
import { takeDown } from '../../src/client/dev/shutdown.ts';
import { bringUp } from '../../src/client/dev/stack.ts';
import type { DevDescription, ProgramName, ShopKind } from '../../src/client/dev/state.ts';
import { startWorker } from '../../src/client/dev/worker.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';

const HOLDFAST = fileURLToPath(new URL('../../bin/holdfast', import.meta.url));

export interface Answer {
  code: number;
  stdout: string;
  stderr: string;
}

interface Database {
  verify?: object | 'off';
  postgres?: object;
  connection: object;
  [field: string]: unknown;
}

/** The written configuration, as far as tests change it. */
export interface Configuration {
  noWorkerAfter?: string;
  workerLostAfter?: string;
  notify?: object;
  metrics?: object;
  tracing?: object;
  repository: Record<string, unknown>;
  hosts: Record<string, object>;
  sites: Record<string, object>;
  databases: Record<string, Database> & { shop: Database };
  approval: { import: Record<string, unknown>; disaster?: unknown };
}

/**
 * A killed worker is found soon; not sooner, since for ten seconds the server keeps the workflow's tasks for it, while a query is
 * answered from what these tasks have not done yet.
 */
export const FOUND_SOON = {
  patch: (config: Configuration) => {
    config.workerLostAfter = '15s';
  },
};

/** The whole embedded stack of one test file, and what tests do to it; `production`: a session there. */
export interface Stack<P = pg.Client> {
  directory: string;
  config: string;
  description: DevDescription;
  temporal: Client;
  production: P;
  repository: Repository;
  /** runs the command line */
  holdfast(...args: string[]): Promise<Answer>;
  json<T>(...args: string[]): Promise<T>;
  status(workflowId: string): Promise<RunbookStatus>;
  waitForOutcome(workflowId: string, outcome: RunbookStatus['outcome']): Promise<RunbookStatus>;
  waitForStep(workflowId: string, step: string, state: string): Promise<RunbookStatus>;
  waitForMessage(workflowId: string, part: string): Promise<RunbookStatus>;
  killWorker(): Promise<void>;
  startWorker(): Promise<void>;
  pid(program: ProgramName): Promise<number>;
  /** the database server goes away; startProduction brings it back, with a new session in `production` */
  stopProduction(): Promise<void>;
  startProduction(): Promise<void>;
  /** the S3 server dies at once; startWorker starts whatever does not run */
  killS3(): Promise<void>;
  pause(program: 's3'): void;
  goOn(program: 's3'): void;
  instances(): Promise<string[]>;
  end(): Promise<void>;
}

export interface StackOptions {
  orders?: number;
  /** changes the configuration that the worker gets */
  patch?: (config: Configuration, directory: string) => void | Promise<void>;
  /** with the second site and a worker of its own there; see sites.ts */
  second?: boolean;
  /** of the worker, as for `holdfast worker --roles`; default: all */
  roles?: string;
}

/** Starts everything on free ports in a folder of its own, with a PostgreSQL shop. */
export const startStack = (options: StackOptions = {}): Promise<Stack> =>
  startStackOf('postgres', openPostgres, options);

async function openPostgres(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** The same with another shop, and a session there that `open` opens. */
export async function startStackOf<P extends { end(): Promise<void> }>(
  shop: ShopKind,
  open: (url: string) => Promise<P>,
  options: StackOptions = {},
): Promise<Stack<P>> {
  const directory = await mkdtemp(join(tmpdir(), 'stack-'));
  await chmod(directory, 0o755);
  try {
    return await openStack(directory, shop, open, options);
  } catch (error) {
    await takeDown(directory);
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

async function openStack<P extends { end(): Promise<void> }>(
  directory: string,
  shop: ShopKind,
  open: (url: string) => Promise<P>,
  options: StackOptions,
): Promise<Stack<P>> {
  process.env.HOLDFAST_WORKFLOW_BUNDLE = inject('workflowBundle') as string;
  const up = {
    directory,
    shop,
    ports: { temporal: 0, ui: 0, s3: 0, postgres: 0, mysql: 0 },
    config: null as string | null,
    second: options.second === true,
    orders: options.orders ?? 2_000,
    say: () => {},
  };
  const start = ({ workers = true } = {}) =>
    bringUp({ ...up, workers, signal: AbortSignal.timeout(180_000) });
  const { patch, roles } = options;
  if (patch !== undefined) {
    // The file exists only once the servers have their ports.
    await start({ workers: false });
    const written = parse(await readFile(layoutOf(directory).config, 'utf8'));
    await patch(written, directory);
    up.config = join(directory, 'patched.yaml');
    await writeFile(up.config, stringify(written));
  }
  const config = up.config ?? layoutOf(directory).config;
  let { description } = await start({ workers: roles === undefined });
  let partial: number | null = null;
  if (roles !== undefined) {
    const { temporal } = description;
    partial = await startWorker({ directory, config, temporal, roles, queues: ['holdfast'] });
  }
  const loaded = await loadConfig(config);
  const connection = await Connection.connect({ address: description.temporal.address });
  const temporal = new Client({ connection, namespace: description.temporal.namespace });
  const connect = () => open(description.databases.shop?.url as string);
  const repository = await openRepository(loaded.config.repository, {
    use: 'backup',
    baseDirectory: loaded.directory,
  });
  const pidOf = async (name: ProgramName): Promise<number> => {
    const file = JSON.parse(await readFile(join(directory, 'dev.json'), 'utf8')) as DevDescription;
    return file.pids[name] as number;
  };
  let s3 = await pidOf('s3');

  const stack: Stack<P> = {
    directory,
    config,
    description,
    temporal,
    production: await connect(),
    repository,
    async holdfast(...args) {
      const env = { ...process.env, NO_COLOR: '1' };
      const options = args.includes('--') ? args.indexOf('--') : args.length;
      const all = [...args.slice(0, options), '--config', config, ...args.slice(options)];
      const result = await execa(HOLDFAST, all, {
        reject: false,
        env,
        stdin: 'ignore',
      });
      return { code: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
    },
    async json(...args) {
      const answer = await stack.holdfast(...args, '--output', 'json');
      if (answer.stdout === '') throw new Error(`${args.join(' ')}: ${answer.stderr}`);
      return JSON.parse(answer.stdout);
    },
    status: (workflowId) => temporal.workflow.getHandle(workflowId).query<RunbookStatus>('status'),
    waitForOutcome: (workflowId, outcome) =>
      waitUntil(stack, workflowId, (status) => status.outcome === outcome, `outcome ${outcome}`),
    waitForStep: (workflowId, name, state) =>
      waitUntil(
        stack,
        workflowId,
        ({ steps }) => steps.some((step) => step.name === name && step.state === state),
        `step ${name} ${state}`,
      ),
    waitForMessage: (workflowId, part) =>
      waitUntil(stack, workflowId, ({ message }) => message?.includes(part) === true, `message ${part}`),
    killWorker: async () => killAtOnce(await pidOf('worker')),
    async startWorker() {
      ({ description } = await start());
      s3 = await pidOf('s3');
    },
    pid: pidOf,
    async stopProduction() {
      await stack.production.end();
      await (await shopOf(shop)).stop(directory);
    },
    async startProduction() {
      ({ description } = await start());
      stack.production = await connect();
    },
    async killS3() {
      process.kill(s3, 'SIGKILL');
      while (isAlive(s3)) await pause(50);
    },
    pause: () => process.kill(s3, 'SIGSTOP'),
    goOn: () => process.kill(s3, 'SIGCONT'),
    instances: () => readdir(layoutOf(directory).instances),
    async end() {
      if (isAlive(s3)) process.kill(s3, 'SIGCONT');
      await stack.production.end().catch(() => {});
      if (partial !== null) await endPid(partial);
      repository.close();
      await connection.close();
      await takeDown(directory);
      await rm(directory, { recursive: true, force: true });
    },
  };
  return stack;
}

/** Returns when it is gone: a start right behind it would take it for a running one. */
export async function killAtOnce(pid: number): Promise<void> {
  const found = await identifyProcess(pid);
  if (found === null) return;
  process.kill(pid, 'SIGKILL');
  while (await isRunning(found)) await pause(20);
}

async function endPid(pid: number): Promise<void> {
  process.kill(pid, 'SIGTERM');
  for (let tries = 0; tries < 300 && isAlive(pid); tries += 1) await pause(100);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function waitUntil(
  stack: Pick<Stack, 'status'>,
  workflowId: string,
  met: (status: RunbookStatus) => boolean,
  what: string,
): Promise<RunbookStatus> {
  let last: RunbookStatus | null = null;
  // Before the test's own limit, which would not say where the run stands.
  const until = Date.now() + 0.75 * (TestRunner.getCurrentTest()?.timeout ?? 120_000);
  while (Date.now() < until) {
    // A query waits for a worker: none answers while it is killed.
    last = await stack.status(workflowId).catch(() => last);
    if (last !== null && met(last)) return last;
    if (last !== null && ['failed', 'cancelled', 'completed'].includes(last.outcome)) break;
    await pause(100);
  }
  throw new Error(`${workflowId} never came to ${what}: ${JSON.stringify(last, null, 1)}`);
}
