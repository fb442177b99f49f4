import { existsSync } from 'node:fs';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { localInstances } from '../../src/instances/local.ts';
import { socketDirectory } from '../../src/instances/socket.ts';
import { systemUser } from '../../src/instances/system-user.ts';

const USER = 'postgres';
let root: string;
const store = (
  options: { directory?: string; reserveBytes?: number; user?: string | null; production?: string } = {},
) =>
  localInstances({
    site: 'local',
    host: 'h1',
    directory: root,
    user: USER,
    reserveBytes: 0,
    ...options,
  });
const request = (id: string) => ({
  id,
  database: 'shop',
  engine: 'postgres' as const,
  owner: { workflowId: 'pitr/shop/1', runId: 'r' },
  expiresAt: '2030-01-01T00:00:00.000Z',
});
const nothing = { stop: async () => {} };

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hf-instances-'));
  await chmod(root, 0o755);
});
afterEach(() => rm(root, { recursive: true, force: true }));

test('an instance belongs to the user of its site and nobody else may enter it', async () => {
  const made = await store().provision(request('one'));
  const user = await systemUser(USER);
  for (const path of [made.directory, socketDirectory(made.directory)]) {
    const { uid, mode } = await stat(path);
    expect([uid, mode & 0o777]).toEqual([user.uid, 0o700]);
  }
  expect((await stat(join(made.directory, 'instance.json'))).mode & 0o777).toBe(0o600);
});

test('provisioning the same id again, also at once, gives the same instance', async () => {
  const all = await Promise.all([1, 2, 3].map(() => store().provision(request('one'))));
  const again = await store().provision(request('one'));
  for (const one of all) expect(one).toEqual(again);
  expect(await readdir(root)).toEqual(['one']);
});

test('what a killed provisioning left goes with the next', async () => {
  const left = join(root, '.new-another-0123456789ab');
  await mkdir(left);
  await utimes(left, 1, 1);
  await store().provision(request('one'));
  expect(await readdir(root)).toEqual(['one']);
});

test('an update is kept; an update of nothing is InstanceLost', async () => {
  await store().provision(request('one'));
  await store().update('one', { kept: true, url: 'postgresql://postgres@/shop' });
  expect(await store().list()).toMatchObject([{ id: 'one', kept: true, url: 'postgresql://postgres@/shop' }]);
  await expect(store().update('two', { kept: true })).rejects.toMatchObject({ type: 'InstanceLost' });
});

test('removal stops first, removes everything and may be repeated', async () => {
  const made = await store().provision(request('one'));
  await mkdir(join(made.directory, 'data'));
  await writeFile(join(made.directory, 'data', 'x'), '');
  let stoppedAt = '';
  const stop = async ({ directory }: { directory: string }) => {
    expect(existsSync(join(directory, 'data', 'x'))).toBe(true);
    stoppedAt = directory;
  };
  expect(await store().remove('one', { stop })).toBe(true);
  expect(stoppedAt).toBe(made.directory);
  expect(await readdir(root)).toEqual([]);
  expect(await store().remove('one', { stop })).toBe(false);
});

test('a removal whose stop fails leaves the instance listed, so that it is tried again', async () => {
  await store().provision(request('one'));
  const stop = () => Promise.reject(new Error('still running'));
  await expect(store().remove('one', { stop })).rejects.toThrow('still running');
  expect(await store().list()).toHaveLength(1);
});

test('a path too long for a socket gets a short folder, which goes with the instance', async () => {
  const deep = join(root, 'd'.repeat(90));
  const made = await store({ directory: deep }).provision(request('one'));
  const sockets = socketDirectory(made.directory);
  expect(sockets.startsWith(made.directory)).toBe(false);
  expect(existsSync(sockets)).toBe(true);
  await store({ directory: deep }).remove('one', nothing);
  expect(existsSync(sockets)).toBe(false);
});

test('a short folder that somebody else made first is refused', async () => {
  const deep = join(root, 'd'.repeat(90));
  const sockets = socketDirectory(join(deep, 'one'));
  await mkdir(sockets);
  try {
    await chown(sockets, 65534, 65534);
    await expect(store({ directory: deep }).provision(request('one'))).rejects.toMatchObject({
      type: 'PermissionDenied',
      message: `${sockets} belongs to somebody else`,
    });
  } finally {
    await rm(sockets, { recursive: true });
  }
});

test('a folder that the user may not enter is named', async () => {
  await chmod(root, 0o700);
  await expect(store({ directory: join(root, 'site') }).provision(request('one'))).rejects.toMatchObject({
    type: 'PermissionDenied',
    message: `postgres may not enter ${root}`,
    hint: expect.stringContaining(`chmod o+x ${root}`),
  });
});

test('an unknown user of a site is named', async () => {
  await expect(store({ user: 'nobody-of-that-name' }).provision(request('one'))).rejects.toMatchObject({
    type: 'InvalidConfiguration',
    message: 'there is no operating-system user nobody-of-that-name',
  });
});

test('without a user an instance belongs to the worker itself', async () => {
  const made = await store({ user: null }).provision(request('one'));
  expect((await stat(made.directory)).uid).toBe(userInfo().uid);
});

test('an id cannot lead out of the site', async () => {
  for (const id of ['..', 'a/b', '.new-x', '']) {
    await expect(store().remove(id, nothing)).rejects.toMatchObject({ type: 'InvalidInput' });
  }
});

test('too little space is said in numbers; the reserve counts', async () => {
  const free = await store().space();
  await expect(store().requireSpace(free * 2)).rejects.toMatchObject({
    type: 'NotEnoughSpace',
    message: expect.stringMatching(/needs .* GB .* GB are free and 0\.0 MB have to stay free/),
    hint: expect.stringMatching(/^free .* GB there/),
  });
  await expect(store({ reserveBytes: free * 2 }).requireSpace(1)).rejects.toMatchObject({
    type: 'NotEnoughSpace',
  });
  await store().requireSpace(1);
});

/** A store whose instances may become production: both folders on one disk. */
const both = (options: { directory?: string; production?: string } = {}) =>
  store({ directory: join(root, 'site'), user: 'nobody', ...options });

test('an instance becomes a candidate: another folder, another user, the same id', async () => {
  const made = await both().provision(request('one'));
  await both().update('one', { url: 'postgresql://old' });
  await mkdir(join(made.directory, 'data'));
  await writeFile(join(root, 'outside'), '');
  await symlink(join(root, 'outside'), join(made.directory, 'data', 'link'));
  const moved = await both().moveToProduction('one', USER);
  const directory = join(root, 'production', 'one');
  expect(moved).toMatchObject({ id: 'one', directory, user: USER, role: 'candidate', url: null });
  const { uid } = await systemUser(USER);
  for (const path of [directory, join(directory, 'data'), socketDirectory(directory)]) {
    expect((await stat(path)).uid).toBe(uid);
  }
  expect((await stat(join(root, 'outside'))).uid).not.toBe(uid);
  expect(existsSync(made.directory)).toBe(false);
  expect(existsSync(socketDirectory(made.directory))).toBe(false);

  await both().update('one', { url: 'postgresql://new' });
  for (const found of [
    await both().find('one'),
    await both().provision(request('one')),
    await both().moveToProduction('one', USER),
    ...(await both().list()),
  ]) {
    expect(found).toEqual({ ...moved, url: 'postgresql://new' });
  }
});

test('a move that was killed after its rename is finished by the next', async () => {
  const made = await both().provision(request('one'));
  await mkdir(join(root, 'production'));
  const directory = join(root, 'production', 'one');
  await rename(made.directory, directory);
  expect(await both().find('one')).toMatchObject({ directory, user: 'nobody', role: 'candidate' });
  expect(await both().moveToProduction('one', USER)).toMatchObject({ user: USER, role: 'candidate' });
  expect((await stat(directory)).uid).toBe((await systemUser(USER)).uid);
  await both().remove('one', nothing);
  expect(await readdir(join(root, 'production'))).toEqual([]);
});

test('a long path: its short folder for sockets moves too', async () => {
  const directory = join(root, 'd'.repeat(90));
  const made = await both({ directory }).provision(request('one'));
  const moved = await both({ directory }).moveToProduction('one', USER);
  expect(existsSync(socketDirectory(made.directory))).toBe(false);
  expect(existsSync(socketDirectory(moved.directory))).toBe(true);
  await both({ directory }).remove('one', nothing);
  expect(existsSync(socketDirectory(moved.directory))).toBe(false);
});

test('production is removed by nobody, and another site does not see it', async () => {
  await both().provision(request('one'));
  await both().moveToProduction('one', USER);
  await both().update('one', { role: 'production' });
  const stop = () => Promise.reject(new Error('stopped'));
  await expect(both().remove('one', { stop })).rejects.toMatchObject({
    type: 'DatabaseBusy',
    message: 'instance one is production of shop by now',
  });
  const other = localInstances({
    ...{ site: 'other', host: 'h1', directory: join(root, 'other'), user: USER, reserveBytes: 0 },
    production: join(root, 'production'),
  });
  expect(await other.list()).toEqual([]);
});

test('an instance cannot call itself production', async () => {
  await both().provision(request('one'));
  await both().update('one', { role: 'production' });
  expect(await both().find('one')).not.toHaveProperty('role');
  expect(await both().remove('one', nothing)).toBe(true);
});

test('another disk is refused before anything is moved', async () => {
  const production = '/dev/shm/hf-production-of-a-test';
  await both().provision(request('one'));
  try {
    await expect(both({ production }).moveToProduction('one', USER)).rejects.toMatchObject({
      type: 'InvalidConfiguration',
      message: `${production} is on another disk than ${join(root, 'site')}`,
    });
    expect(await both({ production }).find('one')).not.toHaveProperty('role');
  } finally {
    await rm(production, { recursive: true, force: true });
  }
});
