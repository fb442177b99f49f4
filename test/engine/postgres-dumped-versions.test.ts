import { expect, test } from 'vitest';
import { startDumped } from './postgres-dumped-fixture.ts';
import { query } from './postgres-sides-fixture.ts';

const SCHEMA = `
  CREATE TABLE customers (id int PRIMARY KEY);
  CREATE TABLE orders (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES customers,
    total numeric, doubled numeric GENERATED ALWAYS AS (total * 2) STORED);
  CREATE TABLE events (at date NOT NULL, what text) PARTITION BY RANGE (at);
  CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
  INSERT INTO customers SELECT generate_series(1, 10);
  INSERT INTO orders (customer, total) SELECT 1 + n % 10, n FROM generate_series(1, 100) n;
  INSERT INTO events SELECT '2025-01-01'::date + n, 'e' || n FROM generate_series(1, 100) n`;

// Those for 16 are of the next version that there is here: pg_restore is newer than the server.
test.each([13, 16, 17])(
  'tables of a PostgreSQL %s server, on a site that has its programs',
  async (major) => {
    const server = await startDumped({ major, database: 'shop' });
    try {
      await query(server.production.access, SCHEMA);
      await server.dump();
      await server.withCopy(['orders', 'events'], async (copy) => {
        expect(copy.notices).toEqual([]);
        expect(await server.prints(copy.access, copy.tables)).toEqual(server.dumpedPrints(copy.tables));
        expect(copy.tables).toEqual(['public.events_2025', 'public.orders']);
        const version = 'SELECT current_setting($$server_version_num$$)::int / 10000 AS major';
        expect(await query(copy.access, version)).toEqual([{ major }]);
      });
      expect(await server.refusal(['orders'], { serverMajor: 12 })).toMatchObject({
        type: 'ToolMissing',
        message: 'initdb of PostgreSQL 12 was not found',
        hint: expect.stringContaining('tools.postgres'),
      });
    } finally {
      await server.end();
    }
  },
);
