import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { parse } from 'yaml';
import type { StackStatus } from '../../src/client/dev/inspection.ts';
import { identifyProcess } from '../../src/client/dev/process.ts';
import type { DevDescription } from '../../src/client/dev/state.ts';
import { HAS_MYSQL_CLIENTS } from '../engine/mysql-server.ts';
import { openProduction, type Production } from './mysql-stack.ts';

const HOLDFAST = fileURLToPath(new URL('../../bin/holdfast', import.meta.url));
const ANY_PORT = ['temporal', 'ui', 's3', 'mysql'].flatMap((name) => [`--${name}-port`, '0']);

describe.each(HAS_MYSQL_CLIENTS ? ['mysql', 'mariadb'] : ['mariadb'])('dev up --engine %s', (engine) => {
  let state: string;
  beforeAll(async () => {
    process.env.HOLDFAST_WORKFLOW_BUNDLE = inject('workflowBundle') ?? '';
    state = await mkdtemp(join(tmpdir(), 'dev-mysql-'));
    await chmod(state, 0o755);
  });
  afterAll(async () => {
    await dev('down');
    await rm(state, { recursive: true, force: true });
  });

  const dev = (...args: string[]) =>
    execa(HOLDFAST, ['dev', ...args, '--state', state], { reject: false, stdin: 'ignore' });

  const description = async (): Promise<DevDescription> =>
    JSON.parse(await readFile(join(state, 'dev.json'), 'utf8'));

  async function up(...args: string[]): Promise<StackStatus & { started: string[] }> {
    const answer = await dev('up', '--detach', '--output', 'json', ...args);
    expect(answer.stderr).toBe('');
    return JSON.parse(answer.stdout);
  }

  async function asked<T>(url: string, work: (production: Production) => Promise<T>): Promise<T> {
    const production = await openProduction(url);
    try {
      return await work(production);
    } finally {
      await production.end();
    }
  }

  test('brings up its server with the sample shop, and says where it is', async () => {
    const result = await up('--engine', engine, ...ANY_PORT);
    expect(result.started).toEqual(['temporal', 's3', 'mysql', 'worker', 'second']);
    expect(result.programs.map(({ name }) => name)).toEqual(result.started);
    expect((await dev('status')).exitCode).toBe(0);

    const { databases, pids } = await description();
    expect(databases.shop).toEqual({ engine: 'mysql', url: expect.stringMatching(/^mysql:\/\/holdfast:/) });
    expect(pids.mysql).toEqual(expect.any(Number));
    const [counts] = await asked(databases.shop?.url as string, ({ query }) =>
      query(
        'SELECT (SELECT COUNT(*) FROM orders) AS orders, (SELECT COUNT(*) FROM customers) AS customers, VERSION() AS version',
      ),
    );
    expect(counts).toMatchObject({ orders: '5000', customers: '2000' });
    expect(/MariaDB/.test(counts?.version ?? '')).toBe(engine === 'mariadb');

    const configuration = await readFile(join(state, 'holdfast.yaml'), 'utf8');
    expect(configuration).not.toContain(new URL(databases.shop?.url ?? '').password);
    expect(parse(configuration).databases.shop).toMatchObject({
      engine: 'mysql',
      mysql: { logDirectory: join(state, 'mysql', 'log') },
    });
  });

  test('gives the application an account of its own, which can only use the shop', async () => {
    const file = join(state, 'shop.env');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const url = /^DATABASE_URL=(.*)$/m.exec(await readFile(file, 'utf8'))?.[1] as string;
    await asked(url, async ({ query }) => {
      await query("INSERT INTO customers (email, name, country) VALUES ('a@b', 'Ä', 'DE')");
      await expect(query('DROP TABLE order_items')).rejects.toThrow(/lacks a right/);
      await expect(query('SELECT * FROM mysql.user')).rejects.toThrow(/lacks a right/);
    });
  });

  test('does not become another engine', async () => {
    const other = await dev('up', '--detach', '--engine', 'postgres');
    expect(other.exitCode).toBe(2);
    expect(other.stderr).toMatch(
      /^the sample database of this environment is M\w+, and stays it\nHINT: .*--state <dir>/,
    );
    expect((await dev('status')).exitCode).toBe(0);
  });

  test('ends with down, and comes up with the same state', async () => {
    const before = await description();
    expect((await dev('down')).exitCode).toBe(0);
    for (const pid of Object.values(before.pids)) expect(await identifyProcess(pid)).toBeNull();
    expect((await dev('status')).exitCode).toBe(1);

    await up();
    const after = await description();
    expect(after.databases).toEqual(before.databases);
    const [found] = await asked(after.databases.shop?.url as string, ({ query }) =>
      query("SELECT name FROM customers WHERE email = 'a@b'"),
    );
    expect(found).toEqual({ name: 'Ä' });
  });
});
