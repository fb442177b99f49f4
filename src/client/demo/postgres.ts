import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { COUNTRY, type Measure, SAFE_COUNTRY } from './accident.ts';
import { type City, valuesOf } from './cities.ts';
import type { DemoDatabase } from './database.ts';
import type { Application, Written } from './traffic.ts';

const TABLES = ['places.city', 'public.orders', 'public.order_items', 'places.delivery'] as const;

export async function openPostgres(url: string): Promise<DemoDatabase> {
  const client = await connect(url, 'psql');
  return {
    tables: TABLES,
    untouched: 'public.customers',
    load: (cities) => load(client, cities),
    sizes: (tables) => sizes(client, tables),
    statementsOf,
    measure: (cutoff) => measure(client, cutoff),
    async causeAccident() {
      const { rows } = await client.query<{ before: string; cutoff: string }>(
        `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS before,
                to_char(now() AT TIME ZONE 'UTC' - interval '45 days', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS cutoff`,
      );
      const { before, cutoff } = rows[0] as { before: string; cutoff: string };
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      const lost = await measure(client, cutoff);
      for (const statement of statementsOf(cutoff)) await client.query(statement);
      await client.query('COMMIT');
      return { before, cutoff, lost };
    },
    missingWrites: (written) => missingWrites(client, written),
    application: async () => applicationOf(await connect(url, 'shop')),
    close: () => client.end(),
  };
}

async function connect(connectionString: string, name: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, application_name: name });
  // A lost connection is told by the statement that needed it.
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function load(client: pg.Client, cities: readonly City[]): Promise<void> {
  await client.query('BEGIN');
  await client.query(`
    CREATE SCHEMA places;
    CREATE TABLE places.city (
      id bigint PRIMARY KEY,
      name text NOT NULL,
      country char(2) NOT NULL,
      feature text,
      region text,
      population bigint NOT NULL,
      longitude double precision NOT NULL,
      latitude double precision NOT NULL
    )`);
  const into = client.query(
    copyFrom(
      'COPY places.city (id, name, country, feature, region, population, longitude, latitude) FROM STDIN',
    ),
  );
  await pipeline(Readable.from(copyLines(cities)), into);
  await client.query(`
    CREATE INDEX ON places.city (country);
    CREATE TABLE places.delivery (
      order_id bigint PRIMARY KEY REFERENCES public.orders ON DELETE CASCADE,
      city_id bigint NOT NULL REFERENCES places.city ON DELETE CASCADE
    );
    INSERT INTO places.delivery (order_id, city_id)
    SELECT o.id, c.id
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM public.orders) o
    JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM places.city) c
      ON c.n = 1 + o.n * 7919 % ${cities.length};
    CREATE INDEX ON places.delivery (city_id);
  `);
  await client.query('COMMIT');
  await client.query('ANALYZE');
}

/** Lines of COPY's text format, some hundred at a time. */
function* copyLines(cities: readonly City[]): Generator<string> {
  for (let start = 0; start < cities.length; start += 500) {
    const lines = cities.slice(start, start + 500).map((city) =>
      valuesOf(city)
        .map((value) => escapeCopy(String(value)))
        .join('\t'),
    );
    yield `${lines.join('\n')}\n`;
  }
}

/** As PostgreSQL's COPY reads text (source: its documentation, "Text Format"). */
function escapeCopy(text: string): string {
  return text.replaceAll(
    /[\\\t\n\r]/g,
    (found) => ({ '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' })[found] as string,
  );
}

async function sizes(client: pg.Client, tables: readonly string[]) {
  const found: { table: string; rows: number; size: string }[] = [];
  for (const table of tables) {
    const { rows } = await client.query<{ rows: string; size: string }>(
      `SELECT count(*) AS rows, pg_size_pretty(pg_total_relation_size('${table}')) AS size FROM ${table}`,
    );
    found.push({ table, rows: Number(rows[0]?.rows), size: rows[0]?.size ?? '' });
  }
  return found;
}

function statementsOf(cutoff: string): string[] {
  return [
    `DELETE FROM places.city WHERE country = '${COUNTRY}';`,
    `DELETE FROM orders WHERE placed_at < '${cutoff}';`,
  ];
}

async function measure(client: pg.Client, cutoff: string): Promise<Measure[]> {
  const rowsOf: Record<(typeof TABLES)[number], string> = {
    'places.city': 'FROM places.city t WHERE t.country = $1 AND $2::timestamptz IS NOT NULL',
    'public.orders': 'FROM public.orders t WHERE t.placed_at < $2 AND $1::text IS NOT NULL',
    'public.order_items': `FROM public.order_items t JOIN public.orders o ON o.id = t.order_id
       WHERE o.placed_at < $2 AND $1::text IS NOT NULL`,
    'places.delivery': `FROM places.delivery t JOIN public.orders o ON o.id = t.order_id
       JOIN places.city c ON c.id = t.city_id WHERE o.placed_at < $2 OR c.country = $1`,
  };
  const measures: Measure[] = [];
  for (const table of TABLES) {
    const { rows } = await client.query<{ rows: string; checksum: string }>(
      `SELECT count(*) AS rows, coalesce(sum(hashtextextended(t::text, 0)), 0)::text AS checksum ${rowsOf[table]}`,
      [COUNTRY, cutoff],
    );
    measures.push({ table, rows: Number(rows[0]?.rows), checksum: rows[0]?.checksum ?? '' });
  }
  return measures;
}

async function missingWrites(client: pg.Client, written: Written): Promise<number> {
  const orders = await client.query<{ missing: string }>(
    `SELECT count(*) AS missing FROM unnest($1::bigint[]) AS w (id)
     WHERE (SELECT count(*) FROM orders o JOIN order_items i ON i.order_id = o.id
            JOIN places.delivery d ON d.order_id = o.id WHERE o.id = w.id) <> 2`,
    [written.orders],
  );
  const cities = await client.query<{ missing: string }>(
    `SELECT count(*) AS missing FROM unnest($1::bigint[], $2::bigint[]) AS w (id, population)
     LEFT JOIN places.city c ON c.id = w.id WHERE c.population IS DISTINCT FROM w.population`,
    [[...written.populations.keys()], [...written.populations.values()]],
  );
  return Number(orders.rows[0]?.missing) + Number(cities.rows[0]?.missing);
}

function applicationOf(client: pg.Client): Application {
  return {
    async cities() {
      const { rows } = await client.query<{ id: string }>(
        `SELECT id FROM places.city WHERE country = '${SAFE_COUNTRY}' ORDER BY id LIMIT 500`,
      );
      return rows.map(({ id }) => Number(id));
    },
    async placeOrder(turn, city) {
      await client.query('BEGIN');
      const placed = await client.query<{ id: string }>(
        'INSERT INTO orders (customer_id) VALUES ($1) RETURNING id',
        [1 + (turn % 2_000)],
      );
      const order = Number(placed.rows[0]?.id);
      await client.query(
        `INSERT INTO order_items (order_id, line, product_id, quantity, price)
         SELECT $1, line, p.id, 1, p.price FROM generate_series(1, 2) line JOIN products p ON p.id = line`,
        [order],
      );
      await client.query('INSERT INTO places.delivery (order_id, city_id) VALUES ($1, $2)', [order, city]);
      const changed = await client.query<{ population: string }>(
        'UPDATE places.city SET population = population + 1 WHERE id = $1 RETURNING population',
        [city],
      );
      await client.query('COMMIT');
      return { order, population: Number(changed.rows[0]?.population) };
    },
    close: () => client.end(),
  };
}
