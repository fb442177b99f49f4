import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { loadConfig } from '../../config/load.ts';
import { withTopology } from '../../config/topology.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Topology } from '../../model/topology.ts';
import { formatRole } from '../../workers/roles.ts';
import { protectBucket, whereTaken } from './bucket.ts';
import { choosePorts, DEFAULT_PORTS, freePortBeside, type PortNumbers } from './choose-ports.ts';
import { DATABASE, layoutOf, writeConfiguration, writeS3Secrets } from './configuration.ts';
import { describeConfig, queuesOf, rolesByWorker } from './describe-config.ts';
import { runningPid } from './postgres.ts';
import { identifyProcess } from './process.ts';
import { pidsOf, runningPrograms } from './running.ts';
import { type S3Facts, startS3 } from './s3.ts';
import { shopOf } from './shop.ts';
import { endPrograms } from './shutdown.ts';
import {
  type DevDescription,
  type DevState,
  type ProgramName,
  readState,
  SHOP_PROGRAMS,
  SHOP_TITLES,
  type ShopKind,
  WORKERS,
  writeDescription,
  writePrivate,
  writeState,
} from './state.ts';
import { startTemporal } from './temporal.ts';
import { startWorker } from './worker.ts';

export interface UpOptions {
  directory: string;
  /** which sample database; default: what it had before, or PostgreSQL */
  shop?: ShopKind;
  ports: Partial<PortNumbers>;
  defaults?: PortNumbers;
  /** the written configuration has the second site, which gets a worker of its own; default: what it had before */
  second?: boolean;
  /** with the workers; default: true */
  workers?: boolean;
  /** the workers run with this configuration instead of the one that is written here */
  config: string | null;
  /** rows of the sample shop's largest table but one */
  orders: number;
  signal: AbortSignal;
  /** told before each program that is started, and for other news */
  say: (line: string) => void;
}

export interface UpResult {
  description: DevDescription;
  /** the programs that were not running before */
  started: ProgramName[];
  /** the configuration that the workers run with */
  config: string;
  shop: ShopKind;
}

/**
 * Brings up what is not running, in order: Temporal, S3, the database with its sample data, the workers. What this call
 * started is ended again where a later part fails. Throws InvalidConfiguration, ToolMissing, ToolFailed, PermissionDenied.
 */
export async function bringUp(options: UpOptions): Promise<UpResult> {
  requireRoot();
  // A mistake in it is told before anything is started.
  if (options.config !== null) await loadConfig(options.config);
  const { directory, signal, say } = options;
  const state = await readState(directory);
  const running = await runningPrograms(state);
  const layout = layoutOf(directory);
  state.shop = chooseShop(state, options.shop);
  const shop = await shopOf(state.shop);
  const program = SHOP_PROGRAMS[state.shop];
  // One that was left behind, and runs again, has its port too.
  const leftBehind = (await shop.pid(directory)) === null ? [] : [program];
  const ports = await choosePorts({
    names: ['temporal', 'ui', 's3', program],
    asked: options.ports,
    remembered: state.ports,
    defaults: options.defaults ?? DEFAULT_PORTS,
    running: new Set([...running, ...leftBehind]),
  });
  state.ports = ports;
  state.second = options.second ?? state.second;
  state.takeoverPort ??= await freePortBeside(Object.values(ports));
  const place = { directory, kind: state.shop, port: ports[program] };
  const started: ProgramName[] = [];
  const temporal = {
    address: `127.0.0.1:${ports.temporal}`,
    namespace: 'default',
    ui: `http://127.0.0.1:${ports.ui}`,
  };
  const config = options.config ?? (running.has('worker') ? state.config : null) ?? layout.config;

  const ensure = async (name: ProgramName, start: () => Promise<number>) => {
    signal.throwIfAborted();
    if (running.has(name)) return;
    say(`starting ${name}`);
    await record(name, await start());
  };
  const ensureShop = async (s3: S3Facts) => {
    if (!running.has(program)) say(`starting ${program}`);
    const server = await shop.start(place, s3, signal);
    if (!running.has(program)) await record(program, server.pid);
    if (!state.sampled) {
      say('creating the sample data');
      await shop.fill(server.url, { orders: options.orders, signal });
      state.sampled = true;
    }
    if (state.second) await writePrivate(layout.endpoint, `DATABASE_URL=${server.applicationUrl}\n`);
  };
  const ensureTakenOver = async (taken: Topology) => {
    say(`${DATABASE} lives at site ${taken.site} since ${taken.at}: its server there runs, not the old one`);
    const { startTakenOver } = await import('./postgres-shop.ts');
    const runs = (await runningPid(taken.dataDirectory)) !== null;
    const pid = await startTakenOver(taken, signal);
    if (!runs) await record('postgres', pid);
  };
  const record = async (name: ProgramName, pid: number) => {
    const identity = await identifyProcess(pid);
    if (identity === null) throw new HoldfastError('ToolFailed', `${name} ended right after its start`);
    state.processes[name] = identity;
    started.push(name);
    await writeState(directory, state);
  };

  try {
    await ensure('temporal', async () => {
      const server = { directory: layout.temporal, port: ports.temporal, uiPort: ports.ui, signal };
      return (await startTemporal(server)).pid;
    });
    await ensure('s3', async () => {
      const server = await startS3({
        ...{ directory: layout.s3, port: ports.s3, region: 'us-east-1', bucket: 'holdfast', signal },
      });
      await writeS3Secrets(directory, server);
      const { endpoint, region, bucket, accessKeyId, secretAccessKey, caFile, kmsKeyId } = server;
      state.s3 = { endpoint, region, bucket, accessKeyId, secretAccessKey, caFile, kmsKeyId };
      return server.pid;
    });
    const s3 = state.s3 as S3Facts;
    await writeConfiguration({
      directory,
      temporal,
      s3,
      shop: await shop.section(place, state.second ? { takeoverPort: state.takeoverPort } : null),
      second: state.second,
    });
    const loaded = await loadConfig(config);
    const taken = state.sampled ? await whereTaken(directory, s3, signal) : null;
    const located = withTopology(loaded.config, taken === null ? [] : [taken]);
    // Before the first log is written there: what comes in is locked.
    await protectBucket(directory, s3, located, signal);
    if (taken === null) await ensureShop(s3);
    else await ensureTakenOver(taken);
    const configDigest = createHash('sha256')
      .update(await readFile(config))
      .digest('hex');
    // A worker reads its configuration once.
    const reads = state.config === config && (state.configDigest ?? configDigest) === configDigest;
    if (WORKERS.some((name) => running.has(name)) && !reads) {
      say('starting the workers anew, with the configuration as it is now');
      await endPrograms(directory, state, WORKERS);
      for (const name of WORKERS) running.delete(name);
    }
    const workers = rolesByWorker(loaded);
    for (const name of WORKERS) {
      if (workers[name].length === 0 || options.workers === false) continue;
      const roles = workers[name].map(formatRole).join(',');
      const queues = queuesOf(workers[name]);
      await ensure(name, () => startWorker({ directory, config, name, roles, queues, temporal, signal }));
    }
    state.config = config;
    if (started.includes('worker')) state.configDigest = configDigest;
    await writeState(directory, state);
    const description: DevDescription = {
      temporal,
      s3: withoutKey(s3),
      ...(await describeConfig({ ...loaded, config: located })),
      pids: pidsOf(state),
    };
    await writeDescription(directory, description);
    return { description, started, config, shop: state.shop };
  } catch (error) {
    await endPrograms(directory, state, started);
    // It may have been started and failed only then: it is not among the started ones.
    if (!running.has(program)) await shop.stop(directory);
    throw error;
  }
}

/** The sample database stays what it is: its files, its configuration and its backups are of one engine. */
function chooseShop({ shop, ports }: DevState, asked: ShopKind | undefined): ShopKind {
  if (asked === undefined || asked === shop || ports.temporal === undefined) return asked ?? shop;
  throw new HoldfastError(
    'InvalidConfiguration',
    `the sample database of this environment is ${SHOP_TITLES[shop]}, and stays it`,
    { hint: `leave out --engine, or make another environment for ${SHOP_TITLES[asked]} with --state <dir>` },
  );
}

function withoutKey({ kmsKeyId: _, ...s3 }: S3Facts): DevDescription['s3'] {
  return s3;
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new HoldfastError('PermissionDenied', 'the development environment has to be started by root', {
    hint: 'use sudo: its database runs as a user of its own, and restored servers as holdfast-restore',
  });
}
