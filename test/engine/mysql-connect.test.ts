import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type MysqlServer, SERIES_WITH_CLIENTS, startMysql } from './mysql-server.ts';

const HOLDFAST = fileURLToPath(new URL('../../bin/holdfast', import.meta.url));

describe.each(SERIES_WITH_CLIENTS)('holdfast connect opens a client on a server of %s', (series) => {
  let server: MysqlServer;
  let directory: string;
  beforeAll(async () => {
    server = await startMysql({ series });
    await server.run(['CREATE DATABASE shop', 'CREATE TABLE shop.orders (id int PRIMARY KEY)']);
    const { password } = await server.makeUser('holdfast', 'SELECT', 'shop');
    directory = await mkdtemp(join(tmpdir(), 'hf-connect-'));
    const secret = join(directory, 'password');
    await writeFile(secret, password ?? '', { mode: 0o600 });
    const connection = { port: server.port, database: 'shop', user: 'holdfast', password: { file: secret } };
    const database = (host: string, change: object = {}) => ({
      ...{ engine: 'mysql', host: 'db', connection: { ...connection, host, ...change } },
    });
    const config = {
      version: 1,
      repository: { region: 'eu-west-1', bucket: 'none' },
      ...{ hosts: { db: {} }, sites: { here: { hosts: ['db'], directory } } },
      databases: {
        shop: database('127.0.0.1'),
        local: database(server.directory, { user: 'root', password: undefined }),
      },
    };
    await writeFile(join(directory, 'holdfast.yaml'), stringify(config));
    await chmod(directory, 0o700);
  });
  afterAll(async () => {
    await server?.end();
    await rm(directory, { recursive: true, force: true });
  });

  const connect = (...args: string[]) =>
    execa(HOLDFAST, ['connect', ...args], {
      cwd: directory,
      reject: false,
      stdin: 'ignore',
      // What is written for the client is written there.
      env: { TMPDIR: directory },
    });

  it('with the password of the configuration, in a file that is gone afterwards', async () => {
    const before = await readdir(directory);
    const statement =
      "SELECT CONCAT(CURRENT_USER(), ' in ', DATABASE()) AS who, COUNT(*) AS rows_ FROM orders";
    const { exitCode, stdout, stderr } = await connect('shop', '--', '--table', '-e', statement);
    expect(stderr).not.toContain('ERROR');
    expect(stdout).toContain('holdfast@127.0.0.1 in shop');
    expect(exitCode).toBe(0);
    expect(await readdir(directory)).toEqual(before);
  });

  it("over a socket, and with the client's own exit code", async () => {
    expect((await connect('local', '--', '-N', '-e', 'SELECT 6 * 7')).stdout).toBe('42');
    expect((await connect('local', '--', '-e', 'SELECT no_such_column')).exitCode).toBe(1);
  });

  it('or prints where, without the password', async () => {
    expect((await connect('shop', '--print')).stdout).toBe(
      `mysql://holdfast@127.0.0.1:${server.port}/shop?ssl-mode=DISABLED`,
    );
    const socket = encodeURIComponent(join(server.directory, 'mysqld.sock'));
    expect((await connect('local', '--print')).stdout).toBe(`mysql://root@/shop?socket=${socket}`);
  });
});
