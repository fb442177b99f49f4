import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { execa } from 'execa';
import pg from 'pg';
import { inject } from 'vitest';
import { parse, stringify } from 'yaml';
import { layoutOf } from '../../src/client/dev/configuration.ts';
import { takeDown } from '../../src/client/dev/shutdown.ts';
import { bringUp } from '../../src/client/dev/stack.ts';
import type { DevDescription } from '../../src/client/dev/state.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';

const HOLDFAST = fileURLToPath(new URL('../../bin/holdfast', import.meta.url));

export interface Answer {
  code: number;
  stdout: string;
  stderr: string;
}

/** The whole embedded stack of one test file, and what tests do to it. */
export interface Stack {
  directory: string;
  config: string;
  description: DevDescription;
  temporal: Client;
  production: pg.Client;
  repository: Repository;
  /** runs the command line */
  holdfast(...args: string[]): Promise<Answer>;
  json<T>(...args: string[]): Promise<T>;
  status(workflowId: string): Promise<RunbookStatus>;
  waitForOutcome(workflowId: string, outcome: RunbookStatus['outcome']): Promise<RunbookStatus>;
  waitForStep(workflowId: string, step: string, state: string): Promise<RunbookStatus>;
  killWorker(): Promise<void>;
  startWorker(): Promise<void>;
  pause(program: 's3'): void;
  goOn(program: 's3'): void;
  instances(): Promise<string[]>;
  end(): Promise<void>;
}

/** Starts everything on free ports in a folder of its own. `patch` changes the configuration the worker gets. */
export async function startStack(
  options: { orders?: number; patch?: (config: Record<string, never>) => void } = {},
): Promise<Stack> {
  const directory = await mkdtemp(join(tmpdir(), 'stack-'));
  await chmod(directory, 0o755);
  process.env.HOLDFAST_WORKFLOW_BUNDLE = inject('workflowBundle') as string;
  const up = {
    directory,
    ports: { temporal: 0, ui: 0, s3: 0, postgres: 0 },
    config: null as string | null,
    orders: options.orders ?? 2_000,
    signal: AbortSignal.timeout(180_000),
    say: () => {},
  };
  const { patch } = options;
  if (patch !== undefined) {
    // The file exists only once the servers have their ports: start, rewrite, start the worker anew.
    await bringUp(up);
    const written = parse(await readFile(layoutOf(directory).config, 'utf8'));
    patch(written);
    up.config = join(directory, 'patched.yaml');
    await writeFile(up.config, stringify(written));
    await endWorker(directory);
  }
  const { description } = await bringUp(up);
  const config = up.config ?? layoutOf(directory).config;
  const loaded = await loadConfig(config);
  const connection = await Connection.connect({ address: description.temporal.address });
  const temporal = new Client({ connection, namespace: description.temporal.namespace });
  const production = new pg.Client({ connectionString: description.databases.shop?.url });
  await production.connect();
  const repository = await openRepository(loaded.config.repository, {
    use: 'backup',
    baseDirectory: loaded.directory,
  });
  const pidOf = async (name: string): Promise<number> => {
    const file = JSON.parse(await readFile(join(directory, 'dev.json'), 'utf8')) as DevDescription;
    return file.pids[name] as number;
  };
  const s3 = await pidOf('s3');

  const stack: Stack = {
    directory,
    config,
    description,
    temporal,
    production,
    repository,
    async holdfast(...args) {
      const env = { ...process.env, NO_COLOR: '1' };
      const result = await execa(HOLDFAST, [...args, '--config', config], {
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
    async killWorker() {
      process.kill(await pidOf('worker'), 'SIGKILL');
    },
    async startWorker() {
      await bringUp(up);
    },
    pause: () => process.kill(s3, 'SIGSTOP'),
    goOn: () => process.kill(s3, 'SIGCONT'),
    instances: () => readdir(layoutOf(directory).instances),
    async end() {
      process.kill(s3, 'SIGCONT');
      await production.end().catch(() => {});
      repository.close();
      await connection.close();
      await takeDown(directory);
      await rm(directory, { recursive: true, force: true });
    },
  };
  return stack;
}

async function endWorker(directory: string): Promise<void> {
  const file = JSON.parse(await readFile(join(directory, 'dev.json'), 'utf8')) as DevDescription;
  const pid = file.pids.worker as number;
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
  stack: Stack,
  workflowId: string,
  met: (status: RunbookStatus) => boolean,
  what: string,
): Promise<RunbookStatus> {
  let last: RunbookStatus | null = null;
  for (let tries = 0; tries < 1_200; tries += 1) {
    // A query waits for a worker: none answers while it is killed.
    last = await stack.status(workflowId).catch(() => last);
    if (last !== null && met(last)) return last;
    if (last !== null && ['failed', 'cancelled', 'completed'].includes(last.outcome)) break;
    await pause(100);
  }
  throw new Error(`${workflowId} never came to ${what}: ${JSON.stringify(last, null, 1)}`);
}
