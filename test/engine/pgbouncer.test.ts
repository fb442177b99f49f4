import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Dependencies } from '../../src/activities/dependencies.ts';
import { createEndpointActivities } from '../../src/activities/endpoints.ts';
import { freePort } from '../../src/client/dev/ports.ts';
import { type RunningPostgres, startPostgres } from '../../src/client/dev/postgres.ts';
import type { EndpointConfig } from '../../src/config/schema/endpoint.ts';
import { pgbouncer } from '../../src/endpoints/pgbouncer.ts';
import { clientConfig } from '../../src/engines/postgres/connection.ts';
import { postgres } from '../../src/engines/postgres/postgres.ts';
import type { Address } from '../../src/model/topology.ts';
import { type Application, startApplication } from '../e2e/application.ts';
import { type Pgbouncer, startPgbouncer } from '../e2e/pgbouncer.ts';
import { NO_METRICS } from '../no-metrics.ts';
import { databaseText, exampleConfig } from '../unit/config/example.ts';
import { query, quietly } from './postgres-sides-fixture.ts';

const PASSWORD = 'a-password-of-tests';

const UNKNOWN = { systemIdentifier: '', timeline: 0 };

/** A server with its identity. */
interface Server extends RunningPostgres {
  address: { host: string; port: number };
  identity: { systemIdentifier: string; timeline: number };
}

let directory: string;
let old: Server;
let next: Server;
let bouncer: Pgbouncer;
const open: { end(): Promise<void> }[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hf-bouncer-'));
  await chmod(directory, 0o755);
  old = await startServer('old');
  next = await startServer('next');
});
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.end();
});
afterAll(async () => {
  await old?.stop();
  await next?.stop();
  await rm(directory, { recursive: true, force: true });
});

async function startServer(name: string, identity?: null): Promise<Server> {
  const server = await startPostgres({
    ...{ directory: join(directory, name), port: 0, major: 15, systemUser: 'postgres' },
    ...{ password: PASSWORD, database: 'shop', settings: { fsync: 'off' } },
  });
  const { host, port } = server.access;
  return {
    ...server,
    address: { host, port },
    identity: identity === null ? UNKNOWN : await postgres.probe(server.access, quietly),
  };
}

async function startBouncer(
  options: { mode?: 'session' | 'transaction'; settings?: string[]; server?: Address } = {},
) {
  bouncer = await startPgbouncer({
    directory: await mkdtemp(join(directory, 'pgbouncer-')),
    ...options,
    server: { ...(options.server ?? old.address), user: 'postgres', password: PASSWORD, database: 'shop' },
  });
  open.push(bouncer);
  return bouncer;
}

async function startClient(): Promise<Application> {
  const application = await startApplication(() => bouncer.url);
  open.push(application);
  await application.firstAnswer((server) => server.startsWith(old.identity.systemIdentifier));
  return application;
}

const configOf = () => ({ ini: bouncer.ini, database: 'shop', admin: bouncer.admin });
const endpoint = () => pgbouncer(configOf(), directory);

/** The activities of a database whose user is known to PgBouncer, with these endpoints. */
function activities(endpoints: EndpointConfig[], user = 'postgres') {
  const config = exampleConfig({ databases: databaseText('shop') });
  const shop = config.databases.shop as (typeof config.databases)[string];
  shop.connection = { ...old.address, user, database: 'shop', password: { file: 'password' } };
  shop.endpoints = endpoints;
  const deps: Dependencies = {
    config: { config, directory, path: join(directory, 'holdfast.yaml') },
    client: {} as Dependencies['client'],
    engines: { postgres },
    logger: pino({ enabled: false }),
    metrics: NO_METRICS,
    host: 'db1',
  };
  const all = createEndpointActivities(deps, 0);
  const run = <I, O>(work: (input: I) => Promise<O>, input: I) =>
    new MockActivityEnvironment().run(work, input) as Promise<O>;
  return {
    read: () => run(all.readEndpoints, { database: 'shop' }),
    set: (values: Parameters<typeof all.setEndpoints>[0]['values']) =>
      run(all.setEndpoints, { database: 'shop', values }),
    restore: (values: Parameters<typeof all.restoreEndpoints>[0]['values']) =>
      run(all.restoreEndpoints, { database: 'shop', values }),
    verify: (server: Server) =>
      run(all.verifyEndpoints, { database: 'shop', address: server.address, ...server.identity }),
  };
}

describe('an application behind PgBouncer', () => {
  it.each(['session', 'transaction'] as const)(
    'is answered by the new server after the switch, in %s mode, and the file keeps mode, owner and the rest',
    async (mode) => {
      await startBouncer({ mode });
      const application = await startClient();
      const [before, text] = [await stat(bouncer.ini), await readFile(bouncer.ini, 'utf8')];
      expect(await endpoint().read(quietly)).toEqual(old.address);

      const decided = Date.now();
      await endpoint().write(next.address, quietly);
      const downtime = await application.downtime(decided, (server) =>
        server.startsWith(next.identity.systemIdentifier),
      );
      expect(downtime).toBeGreaterThanOrEqual(0);

      expect(await endpoint().read(quietly)).toEqual(next.address);
      const after = await stat(bouncer.ini);
      expect([after.mode, after.uid, after.gid]).toEqual([before.mode, before.uid, before.gid]);
      const expected = text.replace(`port=${old.address.port}`, `port=${next.address.port}`);
      expect(await readFile(bouncer.ini, 'utf8')).toBe(expected);
      const [entry] = (await bouncer.console('SHOW DATABASES')).filter(({ name }) => name === 'shop');
      expect(entry).toMatchObject({ paused: 0, disabled: 0 });
      const since = Date.now();
      await application.firstAnswer(() => true, since);
      expect(
        new Set(application.answered.filter(({ at }) => at > since).map(({ server }) => server)),
      ).toEqual(new Set([`${next.identity.systemIdentifier}/1`]));
    },
  );

  it('that waits for a dead server is let go', async () => {
    await startBouncer({ mode: 'session' });
    const held = query({ ...old.access, port: bouncer.port, database: 'shop' }, 'SELECT pg_sleep(600)').catch(
      (error: Error) => error,
    );
    await expect
      .poll(
        async () => (await bouncer.console('SHOW SERVERS')).filter(({ state }) => state === 'active').length,
      )
      .toBe(1);
    const { pid } = old;
    process.kill(pid, 'SIGSTOP');
    try {
      await endpoint().write(next.address, quietly);
      expect(await held).toBeInstanceOf(Error);
      expect(
        await query({ ...next.access, port: bouncer.port, database: 'shop' }, 'SELECT 1 AS one'),
      ).toEqual([{ one: 1 }]);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  it('does not wait for the next try of a server that was refused, whose time has not come', async () => {
    const dead = { host: '127.0.0.1', port: await freePort() };
    await startBouncer({ settings: ['server_login_retry = 600'], server: dead });
    const application = await startApplication(() => bouncer.url);
    open.push(application);
    await expect.poll(() => application.failed.length).toBeGreaterThan(2);
    const decided = Date.now();
    await endpoint().write(next.address, quietly);
    const { server } = await application.firstAnswer(() => true, decided);
    expect(server).toBe(`${next.identity.systemIdentifier}/1`);
  });

  it('comes back where an attempt was killed between KILL and RESUME', async () => {
    await startBouncer();
    const text = await readFile(bouncer.ini, 'latin1');
    await writeFile(bouncer.ini, text.replace(`port=${old.address.port}`, `port=${next.address.port}`));
    await bouncer.console('RELOAD');
    await bouncer.console('KILL shop');
    await endpoint().write(next.address, quietly);
    expect(await query({ ...next.access, port: bouncer.port, database: 'shop' }, 'SELECT 1 AS one')).toEqual([
      { one: 1 },
    ]);
  });
});

describe('a probe', () => {
  it('leaves nothing in a session that somebody else gets next', async () => {
    await startBouncer({ settings: ['default_pool_size = 1'] });
    const access = { ...old.access, port: bouncer.port };
    const settings = async () => {
      const client = new pg.Client(clientConfig(access));
      await client.connect();
      const { rows } = await client
        .query('SELECT pg_backend_pid() AS pid, name, setting FROM pg_settings')
        .finally(() => client.end());
      return rows;
    };
    const before = await settings();
    expect(await postgres.probe(access, quietly)).toEqual(old.identity);
    expect(await settings()).toEqual(before);
  });

  it('finds a standby, and its new timeline as soon as it is promoted', async () => {
    const third = await startServer('third');
    open.push({ end: () => third.stop() });
    await third.stop();
    await writeFile(join(third.dataDirectory, 'standby.signal'), '');
    await startServer('third', null);
    await expect(postgres.probe(third.access, quietly)).rejects.toMatchObject({ type: 'CheckFailed' });
    // The control file has the new timeline only from the next checkpoint on.
    const [checkpointer] = await query(
      third.access,
      "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'",
    );
    process.kill(Number(checkpointer?.pid), 'SIGSTOP');
    try {
      await query(third.access, 'SELECT pg_promote()');
      expect(await postgres.probe(third.access, quietly)).toEqual({ ...third.identity, timeline: 2 });
    } finally {
      process.kill(Number(checkpointer?.pid), 'SIGCONT');
    }
  });
});

describe('a switch that goes wrong', () => {
  const fileOf = (text: string) => join(directory, text);

  it('half way is set back, whatever else cannot be', async () => {
    await startBouncer();
    const application = await startClient();
    await writeFile(fileOf('password'), PASSWORD);
    await writeFile(fileOf('shop.env'), `URL=postgresql://u:p@127.0.0.1:${old.address.port}/shop\n`);
    const { read, set, restore, verify } = activities([
      { pgbouncer: configOf() },
      {
        file: { path: 'shop.env', url: 'URL', reload: ['sh', '-c', 'echo URL=postgres://u:p@h >&2; exit 3'] },
      },
      { command: { get: ['true'], set: ['false'], timeout: '1m' } },
    ]);
    const before = await read();
    expect(before.map(({ address }) => address)).toEqual([old.address, old.address, null]);
    expect((await verify(old)).map(({ verdict }) => verdict)).toEqual(['pass', 'pass', 'pass', 'fail']);

    const values = before.map(({ name }) => ({ name, address: next.address }));
    await expect(set(values)).rejects.toMatchObject({
      type: 'EndpointFailed',
      message: `file shop.env: sh ended with exit code 3: URL=postgres://u:[redacted]@h`,
    });
    expect((await read()).map(({ address }) => address)).toEqual([next.address, next.address, null]);

    const restored = await restore([{ name: 'command of yesterday', address: old.address }, ...before]);
    expect(restored).toEqual([
      { name: 'command of yesterday', problem: expect.stringContaining('not in the configuration any more') },
      { name: before[0]?.name, problem: null },
      { name: 'file shop.env', problem: expect.stringContaining('exit code 3') },
      { name: 'command false', problem: null },
    ]);
    expect((await read()).map(({ address }) => address)).toEqual([old.address, old.address, null]);
    const since = Date.now();
    const answer = await application.firstAnswer(() => true, since);
    expect(answer.server).toBe(`${old.identity.systemIdentifier}/1`);
  });

  it('is seen through the eyes of clients: another server, a user that PgBouncer does not know', async () => {
    await startBouncer();
    await writeFile(fileOf('password'), PASSWORD);
    const { set, verify } = activities([{ pgbouncer: configOf() }]);
    const name = `pgbouncer ${bouncer.ini} [shop]`;
    expect((await verify(next))[1]).toEqual({
      ...{ name, verdict: 'fail' },
      detail: `it says 127.0.0.1:${old.address.port}`,
    });
    await set([{ name, address: next.address }]);
    expect((await verify(next)).map(({ verdict }) => verdict)).toEqual(['pass', 'pass']);
    const imagined = { ...next, identity: { ...next.identity, timeline: 2 } };
    expect((await verify(imagined)).map(({ detail }) => detail)).toEqual(
      Array(2).fill('a session reaches timeline 1, not 2'),
    );
    const other = { ...next, identity: old.identity };
    expect((await verify(other))[1]?.detail).toContain('a session reaches another server');
    await query(next.access, 'ALTER DATABASE shop SET default_transaction_read_only = on');
    const readOnly = await verify(next);
    await query(
      next.access,
      'SET transaction_read_only = off; ALTER DATABASE shop RESET default_transaction_read_only',
    );
    expect(readOnly[0]).toMatchObject({ verdict: 'fail', detail: expect.stringContaining('read-only') });
    await query(next.access, `CREATE ROLE stranger SUPERUSER LOGIN PASSWORD '${PASSWORD}'`);
    expect(
      (await activities([{ pgbouncer: configOf() }], 'stranger').verify(next)).map(({ verdict }) => verdict),
    ).toEqual(['pass', 'inconclusive']);
  });

  it('because its entry is not there, changes nothing', async () => {
    await startBouncer();
    const text = await readFile(bouncer.ini, 'utf8');
    const absent = pgbouncer({ ...configOf(), database: 'shoes' }, directory);
    const failure = { type: 'EndpointFailed', retryable: false };
    await expect(absent.read(quietly)).rejects.toMatchObject(failure);
    await expect(absent.write(next.address, quietly)).rejects.toMatchObject(failure);
    expect(await readFile(bouncer.ini, 'utf8')).toBe(text);
  });

  it('because the ini cannot be read, or PgBouncer cannot read it again, says so', async () => {
    await startBouncer();
    const unreadable = pgbouncer({ ...configOf(), ini: join(directory, 'none.ini') }, directory);
    await expect(unreadable.write(next.address, quietly)).rejects.toMatchObject({
      ...{ type: 'EndpointFailed', retryable: false, message: expect.stringContaining('ENOENT') },
    });
    // Right for us, and no file that PgBouncer reads to its end.
    await writeFile(bouncer.ini, `not a line\n${await readFile(bouncer.ini, 'utf8')}`);
    await expect(endpoint().write(next.address, quietly)).rejects.toMatchObject({
      message: expect.stringContaining(`still leads shop to 127.0.0.1:${old.address.port} after it read`),
    });
    expect(await endpoint().read(quietly)).toEqual(old.address);
  });

  it('because the console is away, or refuses, leaves the file as it is', async () => {
    await startBouncer();
    const text = await readFile(bouncer.ini, 'utf8');
    await writeFile(fileOf('wrong'), 'not-the-password');
    const refused = pgbouncer(
      { ...configOf(), admin: { ...bouncer.admin, password: { file: 'wrong' } } },
      directory,
    );
    await expect(refused.write(next.address, quietly)).rejects.toMatchObject({
      ...{ type: 'EndpointFailed', retryable: false, message: expect.stringContaining('refused') },
    });
    await bouncer.end();
    await expect(endpoint().write(next.address, quietly)).rejects.toMatchObject({
      ...{ type: 'EndpointFailed', retryable: true, message: expect.stringContaining('did not answer') },
    });
    expect(await readFile(bouncer.ini, 'utf8')).toBe(text);
  });
});
