import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { loadConfig } from '../../config/load.ts';
import type { ToolRepository } from '../../engines/engine.ts';
import { HoldfastError } from '../../model/failure.ts';
import { choosePorts, DEFAULT_PORTS, type PortNumbers } from './choose-ports.ts';
import {
  DATABASE,
  layoutOf,
  makeSecretsDirectory,
  writeConfiguration,
  writeS3Secrets,
} from './configuration.ts';
import { describeConfig, queuesOf } from './describe-config.ts';
import { type RunningPostgres, startPostgres, stopPostgres } from './postgres.ts';
import { identifyProcess } from './process.ts';
import { pidsOf, runningPrograms } from './running.ts';
import { type S3Facts, startS3 } from './s3.ts';
import { createSample } from './sample.ts';
import { endPrograms } from './shutdown.ts';
import {
  type DevDescription,
  type ProgramName,
  readState,
  writeDescription,
  writePrivate,
  writeState,
} from './state.ts';
import { startTemporal } from './temporal.ts';
import { startWorker } from './worker.ts';

const POSTGRES_MAJOR = 15;
const SYSTEM_USER = 'postgres';

export interface UpOptions {
  directory: string;
  ports: Partial<PortNumbers>;
  defaults?: PortNumbers;
  /** the worker runs with this configuration instead of the one that is written here */
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
  /** the configuration that the worker runs with */
  config: string;
}

/**
 * Brings up what is not running, in order: Temporal, S3, PostgreSQL with its sample data, the worker. What this call
 * started is ended again where a later part fails. Throws InvalidConfiguration, ToolMissing, ToolFailed, PermissionDenied.
 */
export async function bringUp(options: UpOptions): Promise<UpResult> {
  requireRoot();
  // A mistake in it is told before anything is started.
  if (options.config !== null) await loadConfig(options.config);
  const { directory, signal, say } = options;
  const state = await readState(directory);
  const running = await runningPrograms(state);
  const ports = await choosePorts({
    asked: options.ports,
    remembered: state.ports,
    defaults: options.defaults ?? DEFAULT_PORTS,
    running,
  });
  state.ports = ports;
  const started: ProgramName[] = [];
  const layout = layoutOf(directory);
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
    if (!running.has('postgres')) say('starting postgres');
    const postgres = await startShop(directory, ports.postgres, s3, signal);
    if (!running.has('postgres')) await record('postgres', postgres.pid);
    if (!state.sampled) {
      say('creating the sample data');
      await withClient(postgres.url, (client) => createSample(client, { orders: options.orders }));
      state.sampled = true;
    }
    await writeConfiguration({
      directory,
      temporal,
      s3,
      postgres: {
        ...{ port: postgres.access.port, user: postgres.access.user, database: postgres.access.database },
        ...{ dataDirectory: postgres.dataDirectory, socketDirectory: postgres.socketDirectory },
        systemUser: SYSTEM_USER,
      },
    });
    const loaded = await loadConfig(config);
    const configDigest = createHash('sha256')
      .update(await readFile(config))
      .digest('hex');
    // A worker reads its configuration once.
    const reads = state.config === config && (state.configDigest ?? configDigest) === configDigest;
    if (options.config !== null && running.has('worker') && !reads) {
      say('starting the worker anew, with the configuration as it is now');
      await endPrograms(directory, state, ['worker']);
      running.delete('worker');
    }
    await ensure('worker', () =>
      startWorker({ directory, config, queues: queuesOf(loaded), temporal, signal }),
    );
    state.config = config;
    if (started.includes('worker')) state.configDigest = configDigest;
    await writeState(directory, state);
    const description: DevDescription = {
      temporal,
      s3: withoutKey(s3),
      ...(await describeConfig(loaded)),
      pids: pidsOf(state),
    };
    await writeDescription(directory, description);
    return { description, started, config };
  } catch (error) {
    await endPrograms(directory, state, started);
    // It may have been started and failed only then: it is not among the started ones.
    if (!running.has('postgres')) {
      await stopPostgres({
        dataDirectory: layout.postgresData,
        major: POSTGRES_MAJOR,
        systemUser: SYSTEM_USER,
      });
    }
    throw error;
  }
}

/** Runs statements on a connection of their own. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'holdfast dev' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function startShop(
  directory: string,
  port: number,
  s3: S3Facts,
  signal: AbortSignal,
): Promise<RunningPostgres> {
  const { postgres, secrets } = layoutOf(directory);
  await makeSecretsDirectory(directory);
  const repository: ToolRepository = {
    endpoint: new URL(s3.endpoint).host,
    region: s3.region,
    bucket: s3.bucket,
    path: 'pgbackrest',
    pathStyle: true,
    caFile: s3.caFile,
    credentials: {
      accessKeyId: s3.accessKeyId,
      secretAccessKey: s3.secretAccessKey,
      sessionToken: null,
    },
    kmsKeyId: s3.kmsKeyId,
    cipher: await secretIn(secrets.cipher),
  };
  return startPostgres({
    directory: postgres,
    port,
    major: POSTGRES_MAJOR,
    systemUser: SYSTEM_USER,
    archive: { repository, stanza: DATABASE },
    password: await secretIn(secrets.password),
    database: DATABASE,
    extensions: ['amcheck'],
    signal,
  });
}

/** The secret of a file; made up the first time. */
async function secretIn(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const secret = randomBytes(24).toString('base64url');
    await writePrivate(file, secret);
    return secret;
  }
}

function withoutKey({ kmsKeyId: _, ...s3 }: S3Facts): DevDescription['s3'] {
  return s3;
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new HoldfastError('PermissionDenied', 'the development environment has to be started by root', {
    hint: 'use sudo: its PostgreSQL runs as user postgres, and restored servers as holdfast-restore',
  });
}
