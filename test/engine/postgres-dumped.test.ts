import { createReadStream } from 'node:fs';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RestoreTablesInput } from '../../src/engines/contract/restore.ts';
import { compare } from '../../src/engines/postgres/compare/compare.ts';
import { restoreTables } from '../../src/engines/postgres/dumped/restore-tables.ts';
import { serverPid } from '../../src/engines/postgres/instance-processes.ts';
import { ensureRunning } from '../../src/engines/postgres/server.ts';
import { type Dumped, startDumped } from './postgres-dumped-fixture.ts';
import { quietly } from './postgres-recovery-fixture.ts';
import { query } from './postgres-sides-fixture.ts';

const SCHEMA = `
  CREATE ROLE clerk LOGIN PASSWORD 'the-password-of-clerk';
  CREATE ROLE "Größte ""1""";
  CREATE TYPE mood AS ENUM ('sad', 'happy');
  CREATE TABLE customers (id serial PRIMARY KEY, email text UNIQUE, mood mood);
  CREATE TABLE orders (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int NOT NULL REFERENCES customers ON DELETE CASCADE,
    total numeric CHECK (total >= 0), doubled numeric GENERATED ALWAYS AS (total * 2) STORED);
  CREATE INDEX orders_customer ON orders (customer);
  COMMENT ON TABLE orders IS 'what was ordered';
  GRANT SELECT ON orders TO clerk;
  ALTER TABLE orders OWNER TO "Größte ""1""";
  CREATE TABLE events (at date NOT NULL, what text) PARTITION BY RANGE (at);
  CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
  CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
  CREATE TABLE "odd table; DROP" ("a b" int PRIMARY KEY);
  CREATE TABLE "odd table; DROP x" ("a b" int PRIMARY KEY);
  CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fired'; END $$;
  CREATE VIEW totals AS SELECT customer, sum(total) FROM orders GROUP BY 1;
  INSERT INTO customers (email, mood) SELECT n || '@example.org', 'happy' FROM generate_series(1, 50) n;
  INSERT INTO orders (customer, total) SELECT 1 + n % 50, n FROM generate_series(1, 1000) n;
  INSERT INTO events SELECT '2025-06-01'::date + n, 'e' || n FROM generate_series(1, 400) n;
  INSERT INTO "odd table; DROP" SELECT generate_series(1, 7);
  INSERT INTO "odd table; DROP x" SELECT generate_series(1, 9);
  CREATE TRIGGER refuse BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION refuse();
  SELECT lo_from_bytea(0, 'a large object')`;

let server: Dumped;
beforeAll(async () => {
  server = await startDumped({ major: 15, database: 'shop' });
  await query(server.production.access, SCHEMA);
  await server.dump();
});
afterAll(async () => {
  await server?.end();
});

test('only the rows of the wanted tables and of what belongs to them, as they were, with everything defined', async () => {
  await server.withCopy(['orders', 'events', '"odd table; DROP"'], async (copy) => {
    expect(copy.named).toEqual(['public.orders', 'public.events', 'public."odd table; DROP"']);
    const filled = ['public.events_2025', 'public.events_2026', 'public."odd table; DROP"', 'public.orders'];
    expect(copy.tables.toSorted()).toEqual(filled.toSorted());
    expect(copy.notices).toEqual([]);
    expect(await server.prints(copy.access, filled)).toEqual(
      expect.arrayContaining(server.dumpedPrints(filled)),
    );
    const rows = await query(
      copy.access,
      `SELECT (SELECT count(*)::int FROM customers) AS customers, (SELECT count(*)::int FROM "odd table; DROP x") AS odd,
        obj_description('orders'::regclass) AS comment, has_table_privilege('clerk', 'orders', 'SELECT') AS granted,
        (SELECT tableowner FROM pg_tables WHERE tablename = 'orders') AS owner,
        (SELECT last_value FROM orders_id_seq)::int AS last, (SELECT last_value FROM customers_id_seq)::int AS other,
        (SELECT count(*)::int FROM pg_constraint WHERE conrelid = 'orders'::regclass AND convalidated) AS constraints,
        (SELECT rolpassword FROM pg_authid WHERE rolname = 'clerk') AS password,
        (SELECT rolcanlogin FROM pg_authid WHERE rolname = 'clerk') AS login,
        (SELECT count(*)::int FROM pg_largeobject_metadata) AS large`,
    );
    expect(rows).toEqual([
      {
        ...{
          customers: 0,
          odd: 0,
          comment: 'what was ordered',
          granted: true,
          owner: 'Größte "1"',
          last: 1000,
        },
        ...{ other: 1, constraints: 3, password: null, login: false, large: 0 },
      },
    ]);
  });
});

test('the whole db, every row of it', async () => {
  await server.withCopy(null, async (copy) => {
    const expected =
      server.dumped().databases.find(({ name }) => name === 'shop')?.fingerprints?.tables ?? [];
    expect(copy).toMatchObject({ named: null, notices: [] });
    expect(copy.tables.toSorted()).toEqual(expected.map(({ table }) => table).toSorted());
    expect(await server.prints(copy.access, copy.tables)).toEqual(expected);
    expect(await query(copy.access, 'SELECT last_value::int AS last FROM customers_id_seq')).toEqual([
      { last: 50 },
    ]);
  });
});

test('it compares with production as any restored copy does', async () => {
  await query(server.production.access, 'DELETE FROM orders WHERE id % 10 = 0');
  try {
    await server.withCopy(['orders'], async (copy, { place }) => {
      const [found] = await compare(
        {
          ...{
            production: server.production.access,
            restored: copy.access,
            tables: ['public.orders'],
            place,
          },
          ...{ serverMajor: 15, copyId: 'x' },
        },
        quietly,
      );
      expect(found?.rules.map(({ change }) => change.inserts)).toEqual([100, 100, 100, 1000]);
    });
  } finally {
    await query(
      server.production.access,
      'ALTER TABLE orders DISABLE TRIGGER ALL; INSERT INTO orders (id, customer, total) OVERRIDING SYSTEM VALUE SELECT n, 1 + n % 50, n FROM generate_series(10, 1000, 10) n; ALTER TABLE orders ENABLE TRIGGER ALL',
    );
  }
});

test('isolated and read-only; a second run keeps it, and a write is noticed', async () => {
  await server.withCopy(['customers'], async (copy, input) => {
    const person = new pg.Client({ connectionString: copy.url });
    await person.connect();
    await expect(person.query('DELETE FROM customers')).rejects.toThrow(/read-only transaction/);
    await person.end();
    const settings = await query(
      copy.access,
      "SELECT current_setting('listen_addresses') AS listen, current_setting('archive_mode') AS archive",
    );
    expect(settings).toEqual([{ listen: '', archive: 'off' }]);
    const pid = await serverPid(input.place);
    expect(await restoreTables(input, quietly)).toEqual(copy);
    expect(await serverPid(input.place)).toBe(pid);
    process.kill(pid as number, 'SIGKILL');
    await expect.poll(() => serverPid(input.place)).toBeNull();
    await ensureRunning(input.place, quietly);
    expect(await server.prints(copy.access, ['public.customers'])).toEqual(
      server.dumpedPrints(['public.customers']),
    );
    await query(copy.access, 'SET default_transaction_read_only = off; DELETE FROM customers');
    await expect(ensureRunning(input.place, quietly)).rejects.toMatchObject({ type: 'InstanceLost' });
  });
});

test('what an attempt left that was killed half way is no part of the next', async () => {
  const input = await server.inputFor(['orders']);
  const cut = new AbortController();
  const run = {
    signal: cut.signal,
    progress: ({ phase }: { phase: string }) => {
      if (phase === 'reading the dump') cut.abort(new Error('no longer wanted'));
    },
  };
  await expect(restoreTables(input, run)).rejects.toThrow('no longer wanted');
  expect(await serverPid(input.place)).toBeNull();
  const copy = await restoreTables(input, quietly);
  expect(await server.prints(copy.access, ['public.orders'])).toEqual(server.dumpedPrints(['public.orders']));
  await server.remove(input);
});

describe('refused, with what is wrong, and without a server left running', () => {
  test('a dump without the table', async () => {
    expect(await server.refusal(['public.ordres'])).toMatchObject({
      type: 'UnknownTable',
      message: 'in backup 20260131T140500Z there is no table public.ordres',
      hint: expect.stringContaining('public.orders'),
    });
  });

  const copyOf = async (name: string, change: (bytes: Buffer) => Buffer) => {
    const path = join(server.directory, name);
    await writeFile(path, change(await readFile(server.dumpFile())));
    return { open: () => createReadStream(path) };
  };

  test('a truncated dump', async () => {
    const path = join(server.directory, 'cut.zst');
    await writeFile(path, await readFile(server.dumpFile()));
    await truncate(path, Math.floor((await readFile(server.dumpFile())).length * 0.7));
    expect(await server.refusal(['orders'], { open: () => createReadStream(path) })).toMatchObject({
      type: 'BackupUnusable',
      message: expect.stringContaining('20260131T140500Z is damaged'),
    });
  });

  test('one flipped byte', async () => {
    const flipped = await copyOf('flipped.zst', (bytes) => {
      const at = Math.floor(bytes.length * 0.6);
      bytes[at] = (bytes[at] as number) ^ 0xff;
      return bytes;
    });
    expect(await server.refusal(['orders'], flipped)).toMatchObject({ type: 'BackupUnusable' });
  });

  test('something else than a dump', async () => {
    const other = await copyOf('other.zst', () => Buffer.from('hello'));
    expect(await server.refusal(['orders'], other)).toMatchObject({ type: 'BackupUnusable' });
  });

  test('a repository that goes away', async () => {
    const gone = {
      open: () =>
        createReadStream(join(server.directory, 'is-not-there')) as ReturnType<RestoreTablesInput['open']>,
    };
    expect((await server.refusal(['orders'], gone))?.message).toMatch(/ENOENT|ended/);
  });
});
