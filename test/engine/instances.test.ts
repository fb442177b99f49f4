import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { localInstances } from '../../src/instances/local.ts';
import { socketDirectory } from '../../src/instances/socket.ts';
import { systemUser } from '../../src/instances/system-user.ts';

const USER = 'postgres';
let root: string;
const store = (options: { directory?: string; reserveBytes?: number; user?: string | null } = {}) =>
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
