import { createHash } from 'node:crypto';
import { chmod, mkdir, open, readFile, realpath, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { EngineKind } from '../../model/engine.ts';
import { HoldfastError } from '../../model/failure.ts';
import { identifyProcess, isRunning, type ProcessIdentity } from './process.ts';
import type { S3Facts } from './s3.ts';

/** `dev.json`, the contract for programs that use the development environment. */
export interface DevDescription {
  temporal: { address: string; namespace: string; ui: string };
  s3: {
    endpoint: string;
    region: string;
    bucket: string;
    accessKeyId: string;
    secretAccessKey: string;
    caFile: string;
  };
  /** `url` holds the password: the file is for its owner only */
  databases: Record<string, { engine: EngineKind; url: string }>;
  sites: Record<string, { queue: string }>;
  /** of what runs now */
  pids: Record<string, number>;
}

export const PORT_NAMES = ['temporal', 'ui', 's3', 'postgres', 'mysql'] as const;
export type PortName = (typeof PORT_NAMES)[number];

/** In the order in which they start; they end in the opposite one. */
export const PROGRAMS = ['temporal', 's3', 'postgres', 'mysql', 'worker', 'second'] as const;
export type ProgramName = (typeof PROGRAMS)[number];
/** `second` is the second site's, which has to go on when the first is gone. */
export const WORKERS = ['worker', 'second'] as const satisfies readonly ProgramName[];
export type WorkerName = (typeof WORKERS)[number];

/** What the sample database can be: an environment has one. */
export const SHOP_KINDS = ['postgres', 'mysql', 'mariadb'] as const;
export type ShopKind = (typeof SHOP_KINDS)[number];
/** The program, and the port, of its server. */
export const SHOP_PROGRAMS = {
  postgres: 'postgres',
  mysql: 'mysql',
  mariadb: 'mysql',
} as const satisfies Record<ShopKind, ProgramName>;
/** For people. */
export const SHOP_TITLES: Record<ShopKind, string> = {
  postgres: 'PostgreSQL',
  mysql: 'MySQL',
  mariadb: 'MariaDB',
};

/** What the environment has to remember for itself: `state.json`. */
export interface DevState {
  shop: ShopKind;
  /** the ports once chosen: they stay the same over down and up */
  ports: Partial<Record<PortName, number>>;
  /** where the database listens at the second site once it was taken over */
  takeoverPort?: number;
  /** it has the second site */
  second: boolean;
  processes: Partial<Record<ProgramName, ProcessIdentity>>;
  /** the S3 server as it was started; null before the first time */
  s3: S3Facts | null;
  /** the configuration that the workers run with */
  config: string | null;
  /** sha256 of that file as the worker has read it; absent: not known */
  configDigest?: string;
  /** the sample data is in */
  sampled: boolean;
  /** the first backups were started */
  protected: boolean;
}

const EMPTY: DevState = {
  shop: 'postgres',
  ports: {},
  second: false,
  processes: {},
  s3: null,
  config: null,
  sampled: false,
  protected: false,
};
/** Where the state goes when other users cannot enter the directory that it belongs to. */
const ELSEWHERE = '/var/lib/holdfast';

/**
 * The directory of the state, made if need be: `given`, else HOLDFAST_STATE, else `.holdfast`. Servers under other
 * operating-system users have to enter it; where they cannot (a clone in /root), it becomes a link to a directory of
 * /var/lib/holdfast. `notice` says so.
 */
export async function openStateDirectory(
  given: string | undefined,
  name = '.holdfast',
): Promise<{ directory: string; notice: string | null }> {
  const wanted = stateDirectory(given, name);
  if (await exists(wanted)) return { directory: await realpath(wanted), notice: null };
  const parent = dirname(wanted);
  await mkdir(parent, { recursive: true });
  const closed = await closedAncestor(await realpath(parent));
  if (closed === null) {
    await makePublic(wanted);
    return { directory: await realpath(wanted), notice: null };
  }
  const hash = createHash('sha256').update(wanted).digest('hex').slice(0, 12);
  const directory = join(ELSEWHERE, `dev-${hash}`);
  await makePublic(directory);
  // A link to a directory that was removed by hand is replaced.
  await rm(wanted, { force: true });
  await symlink(directory, wanted);
  return { directory, notice: `${wanted} is a link to ${directory}: other users cannot enter ${closed}` };
}

/** The directory of the state if there is one; null otherwise. */
export async function findStateDirectory(
  given: string | undefined,
  name = '.holdfast',
): Promise<string | null> {
  const wanted = stateDirectory(given, name);
  return (await exists(wanted)) ? realpath(wanted) : null;
}

/** Removes a state directory and the link that leads to it. */
export async function removeStateDirectory(given: string | undefined, name = '.holdfast'): Promise<void> {
  const wanted = stateDirectory(given, name);
  const target = await realpath(wanted).catch(() => null);
  if (target !== null) await rm(target, { recursive: true, force: true });
  await rm(wanted, { recursive: true, force: true });
}

function stateDirectory(given: string | undefined, name: string): string {
  return resolve(given ?? (process.env.HOLDFAST_STATE || name));
}

export async function readState(directory: string): Promise<DevState> {
  return { ...EMPTY, ...((await readJson(join(directory, 'state.json'))) as Partial<DevState> | null) };
}

export async function writeState(directory: string, state: DevState): Promise<void> {
  await writePrivate(join(directory, 'state.json'), `${JSON.stringify(state, null, 2)}\n`);
}

export async function readDescription(directory: string): Promise<DevDescription | null> {
  return (await readJson(join(directory, 'dev.json'))) as DevDescription | null;
}

export async function writeDescription(directory: string, description: DevDescription): Promise<void> {
  await writePrivate(join(directory, 'dev.json'), `${JSON.stringify(description, null, 2)}\n`);
}

/** Writes a file of mode 0600 so that a reader never sees half of it. */
export async function writePrivate(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(text);
  } finally {
    await file.close();
  }
  await rename(draft, path);
}

/** Runs `work` while no other `dev` command changes the same state. Throws `InvalidInput` where one does. */
export async function withStateLock<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const path = join(directory, 'lock.json');
  const other = (await readJson(path)) as ProcessIdentity | null;
  if (other !== null && other.pid !== process.pid && (await isRunning(other))) {
    throw new HoldfastError(
      'DatabaseBusy',
      `another holdfast dev command (pid ${other.pid}) works on ${directory}`,
      { hint: 'wait until it has finished' },
    );
  }
  await writePrivate(path, JSON.stringify(await identifyProcess(process.pid)));
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

/** The first directory on the way that users other than its owner cannot pass through; null where there is none. */
async function closedAncestor(directory: string): Promise<string | null> {
  for (let at = directory; ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return at;
    if (at === dirname(at)) return null;
  }
}

async function makePublic(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o755);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
