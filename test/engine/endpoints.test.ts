import {
  chmod,
  chown,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EndpointConfig } from '../../src/config/schema/endpoint.ts';
import type { Endpoint } from '../../src/endpoints/endpoint.ts';
import { openEndpoints } from '../../src/endpoints/open.ts';
import { userIds } from '../../src/engines/process.ts';
import { type Moto, startMoto } from '../moto.ts';
import { quietly } from './postgres-sides-fixture.ts';

const NEW = { host: 'new.example', port: 6000 };
const OLD = { host: 'old.example', port: 5432 };

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hf-endpoints-'));
  await chmod(directory, 0o755);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const open = (...endpoints: EndpointConfig[]) =>
  openEndpoints({ name: 'shop', config: { endpoints } }, directory);
const one = (endpoint: EndpointConfig) => open(endpoint)[0] as Endpoint;
const folder = () => mkdtemp(join(directory, 'place-'));

it('endpoints have names of their own, without anything secret', () => {
  const command = { command: { get: ['/bin/true'], set: ['/bin/to', 'secret'], timeout: '1m' } };
  expect(open(command, { file: { path: 'a', service: 's' } }, command).map(({ name }) => name)).toEqual([
    'command /bin/to',
    'file a [s]',
    'command /bin/to (2)',
  ]);
});

describe('a file', () => {
  const url = (path: string, reload?: string[]): EndpointConfig => ({
    file: { path, url: 'URL', ...(reload === undefined ? {} : { reload }) },
  });
  const TEXT = Buffer.from('A=\xff\x00x\r\nURL="postgresql://u:p%40@old.example:5432/db"\nB=1', 'latin1');

  it('is switched and set back byte by byte, with its mode and owner, behind its symbolic link', async () => {
    const place = await folder();
    const [file, link] = [join(place, 'real.env'), join(place, 'shop.env')];
    await writeFile(file, TEXT);
    await chmod(file, 0o640);
    if (process.getuid?.() === 0) await chown(file, userIds('postgres').uid, userIds('postgres').gid);
    await symlink('real.env', link);
    const before = await stat(file);
    const endpoint = one(url(link));

    expect(await endpoint.read(quietly)).toEqual(OLD);
    await endpoint.write(NEW, quietly);
    await endpoint.write(NEW, quietly);
    expect(await endpoint.read(quietly)).toEqual(NEW);
    const after = await stat(file);
    expect([after.mode, after.uid, after.gid]).toEqual([before.mode, before.uid, before.gid]);
    expect(after.ino).not.toBe(before.ino);
    expect(await readlink(link)).toBe('real.env');
    expect((await readdir(place)).sort()).toEqual(['real.env', 'shop.env']);

    await endpoint.write(OLD, quietly);
    expect(await readFile(file)).toEqual(TEXT);
  });

  it('is told to its readers, also where an attempt was killed before that', async () => {
    const path = join(await folder(), 'shop.env');
    await writeFile(path, TEXT.toString('latin1').replace('old.example:5432', 'new.example:6000'), 'latin1');
    await one(url(path, ['sh', '-c', `echo told >> ${path}.told`])).write(NEW, quietly);
    expect(await readFile(`${path}.told`, 'utf8')).toBe('told\n');
  });

  it('whose readers cannot be told fails, without its password', async () => {
    const path = join(await folder(), 'shop.env');
    await writeFile(path, 'URL=postgresql://u:open-sesame@old.example/db\n');
    const failing = one(url(path, ['sh', '-c', 'echo "no reload for open-sesame" >&2; exit 7']));
    await expect(failing.write(NEW, quietly)).rejects.toMatchObject({
      ...{ type: 'EndpointFailed', message: 'sh ended with exit code 7: no reload for [redacted]' },
    });
  });

  it('that is not there, or has no such line, is no matter of time', async () => {
    const place = await folder();
    await writeFile(join(place, 'empty.env'), '');
    const failure = { type: 'EndpointFailed', retryable: false };
    for (const name of ['none.env', 'empty.env']) {
      await expect(one(url(join(place, name))).read(quietly)).rejects.toMatchObject(failure);
      await expect(one(url(join(place, name))).write(NEW, quietly)).rejects.toMatchObject(failure);
    }
  });

  it('gets no address that would end its line', async () => {
    const path = join(await folder(), 'shop.env');
    await writeFile(path, TEXT);
    await expect(one(url(path)).write({ host: 'a\nB=2', port: 1 }, quietly)).rejects.toMatchObject({
      type: 'EndpointFailed',
    });
    expect(await readFile(path)).toEqual(TEXT);
  });

  it.runIf(process.getuid?.() === 0)('that may not be replaced stays whole', async () => {
    const place = await folder();
    await chmod(place, 0o755);
    const path = join(place, 'shop.env');
    await writeFile(path, TEXT, { mode: 0o444 });
    await chmod(path, 0o444);
    process.seteuid?.(userIds('holdfast-restore').uid);
    try {
      await expect(one(url(path)).write(NEW, quietly)).rejects.toMatchObject({
        ...{ type: 'EndpointFailed', retryable: false, message: expect.stringContaining('EACCES') },
      });
    } finally {
      process.seteuid?.(0);
    }
    expect(await readFile(path)).toEqual(TEXT);
    expect(await readdir(place)).toEqual(['shop.env']);
  });
});

describe("a user's command", () => {
  const command = (get: string, set: string, timeout = '1m') =>
    one({ command: { get: ['sh', '-c', get], set: ['sh', '-c', set], timeout } });

  it('finds the address in its environment, and says what is set', async () => {
    const path = join(await folder(), 'now');
    const set = `echo "$HOLDFAST_HOST:$HOLDFAST_PORT" > ${path}; echo "$HOLDFAST_DATABASE" > ${path}.database`;
    const endpoint = command(`cat ${path} 2>/dev/null || true`, set);
    expect(await endpoint.read(quietly)).toBeNull();
    await endpoint.write(NEW, quietly);
    expect(await endpoint.read(quietly)).toEqual(NEW);
    expect(await readFile(`${path}.database`, 'utf8')).toBe('shop\n');
  });

  it.each([
    [
      'fails',
      'true',
      'echo "password=open-sesame is wrong" >&2; exit 3',
      'exit code 3: password=[redacted] is wrong',
    ],
    [
      'sets something else',
      'echo old.example:5432',
      'true',
      'says old.example:5432 after new.example:6000 was set',
    ],
    ['prints more than an address', 'echo one; echo two', 'true', 'did not print host:port'],
  ])('that %s fails the endpoint', async (_, get, set, message) => {
    await expect(command(get, set).write(NEW, quietly)).rejects.toMatchObject({
      ...{ type: 'EndpointFailed', message: expect.stringContaining(message) },
    });
  });

  it('has a time limit', async () => {
    await expect(command('true', 'sleep 600', '1s').write(NEW, quietly)).rejects.toMatchObject({
      ...{ type: 'EndpointFailed', retryable: true, message: 'sh did not end within 1s' },
    });
  });

  it('ends with the run', async () => {
    const stop = new AbortController();
    const writing = command('true', 'sleep 600').write(NEW, { ...quietly, signal: stop.signal });
    stop.abort(new Error('cancelled'));
    await expect(writing).rejects.toThrow('cancelled');
  });
});

describe('a secret of AWS', () => {
  let moto: Moto;
  let client: SecretsManagerClient;
  beforeAll(async () => {
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'moto', AWS_SECRET_ACCESS_KEY: 'moto' });
    moto = await startMoto();
    client = new SecretsManagerClient({ region: 'eu-west-1', endpoint: moto.endpoint });
  });
  afterAll(async () => {
    client.destroy();
    await moto?.end();
  });
  const secret = (secretId: string) =>
    one({ secretsManager: { secretId, region: 'eu-west-1', endpoint: moto.endpoint } });
  const make = (Name: string, SecretString: string) =>
    client.send(new CreateSecretCommand({ Name, SecretString }));
  const content = async (SecretId: string, VersionStage = 'AWSCURRENT') => {
    const { SecretString = '' } = await client.send(new GetSecretValueCommand({ SecretId, VersionStage }));
    return JSON.parse(SecretString);
  };

  it('gets a new version with every other key, and keeps the old one', async () => {
    const before = { username: 'u', password: 'pä"ss', host: 'old.example', port: '5432', dbname: 'shop' };
    await make('shop', JSON.stringify(before));
    const endpoint = secret('shop');
    expect(await endpoint.read(quietly)).toEqual(OLD);
    await endpoint.write(NEW, quietly);
    await endpoint.write(NEW, quietly);
    expect(await endpoint.read(quietly)).toEqual(NEW);
    expect(await content('shop')).toEqual({ ...before, host: 'new.example', port: '6000' });
    expect(await content('shop', 'AWSPREVIOUS')).toEqual(before);
  });

  it('without an address gets one', async () => {
    await make('empty', '{"password": "p"}');
    expect(await secret('empty').read(quietly)).toBeNull();
    await secret('empty').write(NEW, quietly);
    expect(await content('empty')).toEqual({ password: 'p', ...NEW });
  });

  it('that is no object is left alone, and not quoted; one that is not there is no matter of time', async () => {
    await make('text', 'open-sesame');
    await expect(secret('text').write(NEW, quietly)).rejects.toMatchObject({
      ...{ type: 'EndpointFailed', retryable: false, message: 'secret text of eu-west-1 is no JSON object' },
    });
    await expect(secret('none').read(quietly)).rejects.toMatchObject({
      ...{ type: 'EndpointFailed', retryable: false },
      message: 'AWS refused secret none of eu-west-1: ResourceNotFoundException',
    });
  });

  it('is a matter of time where AWS is away', async () => {
    const away = { secretId: 'shop', region: 'eu-west-1', endpoint: 'http://127.0.0.1:1' };
    await expect(one({ secretsManager: away }).read(quietly)).rejects.toMatchObject({
      ...{ type: 'EndpointFailed', retryable: true },
    });
  });
});
