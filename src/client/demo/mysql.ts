import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, connect } from '../../engines/mysql/connection.ts';
import { accessOf } from '../dev/mysql-sample.ts';
import { formatBytes } from '../output.ts';
import { COUNTRY, type Measure, SAFE_COUNTRY } from './accident.ts';
import { type City, valuesOf } from './cities.ts';
import type { DemoDatabase } from './database.ts';
import type { Application, Written } from './traffic.ts';

const TABLES = ['places.city', 'shop.orders', 'shop.order_items', 'places.delivery'] as const;
const CITIES_AT_ONCE = 1_000;

/** MySQL and MariaDB. */
export async function openMysql(url: string, signal: AbortSignal): Promise<DemoDatabase> {
  const access = accessOf(url);
  const session = await connect(access, { signal }, { applicationName: 'demo' });
  return {
    tables: TABLES,
    untouched: 'shop.customers',
    load: (cities) => load(session, cities),
    sizes: (tables) => sizes(session, tables),
    statementsOf,
    measure: (cutoff) => measure(session, cutoff),
    async causeAccident() {
      const [row] = await session.query<{ before: string; cutoff: string }>(
        `SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ') AS \`before\`,
                DATE_FORMAT(UTC_TIMESTAMP() - INTERVAL 45 DAY, '%Y-%m-%d %H:%i:%s') AS cutoff`,
      );
      const { before, cutoff } = row as { before: string; cutoff: string };
      // MariaDB's logs know a moment by its second: what comes in the same one could not be told from it.
      await sleep(1_200, undefined, { signal });
      await session.execute('START TRANSACTION WITH CONSISTENT SNAPSHOT');
      const lost = await measure(session, cutoff);
      for (const statement of statementsOf(cutoff)) await session.execute(statement.replace(/;$/, ''));
      await session.execute('COMMIT');
      return { before, cutoff, lost };
    },
    missingWrites: (written) => missingWrites(session, written),
    application: async () => applicationOf(await connect(access, { signal }, { applicationName: 'shop' })),
    close: () => session.close(),
  };
}

async function load(session: Connection, cities: readonly City[]): Promise<void> {
  await session.execute('CREATE DATABASE places');
  await session.execute(
    `CREATE TABLE places.city (
      id bigint NOT NULL PRIMARY KEY,
      name varchar(200) NOT NULL,
      country char(2) NOT NULL,
      feature varchar(20),
      region varchar(40),
      population bigint NOT NULL,
      longitude double NOT NULL,
      latitude double NOT NULL,
      KEY (country)
    ) ENGINE = InnoDB`,
  );
  await session.execute(
    `CREATE TABLE places.delivery (
      order_id bigint unsigned NOT NULL PRIMARY KEY,
      city_id bigint NOT NULL,
      FOREIGN KEY (order_id) REFERENCES shop.orders (id) ON DELETE CASCADE,
      FOREIGN KEY (city_id) REFERENCES places.city (id) ON DELETE CASCADE
    ) ENGINE = InnoDB`,
  );
  await session.execute('START TRANSACTION');
  for (let start = 0; start < cities.length; start += CITIES_AT_ONCE) {
    const rows = cities.slice(start, start + CITIES_AT_ONCE).map(valuesOf);
    await session.execute(
      `INSERT INTO places.city (id, name, country, feature, region, population, longitude, latitude)
       VALUES ${rows.map((row) => `(${row.map(() => '?').join(', ')})`).join(', ')}`,
      rows.flat(),
    );
  }
  await session.execute(
    `INSERT INTO places.delivery (order_id, city_id)
     SELECT o.id, c.id
     FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS n FROM shop.orders) o
     JOIN (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS n FROM places.city) c
       ON c.n = 1 + o.n * 7919 % ${cities.length}`,
  );
  await session.execute('COMMIT');
  await session.query('ANALYZE TABLE places.city, places.delivery');
}

async function sizes(session: Connection, tables: readonly string[]) {
  const found: { table: string; rows: number; size: string }[] = [];
  for (const table of tables) {
    const [row] = await session.query<{ count: string; bytes: string }>(
      `SELECT COUNT(*) AS count, (SELECT data_length + index_length FROM information_schema.tables
         WHERE CONCAT(table_schema, '.', table_name) = ?) AS bytes FROM ${table}`,
      [table],
    );
    found.push({ table, rows: Number(row?.count), size: formatBytes(Number(row?.bytes)) });
  }
  return found;
}

function statementsOf(cutoff: string): string[] {
  return [
    `DELETE FROM places.city WHERE country = '${COUNTRY}';`,
    `DELETE FROM shop.orders WHERE placed_at < '${cutoff}';`,
  ];
}

const COLUMNS: Record<(typeof TABLES)[number], readonly string[]> = {
  'places.city': ['id', 'name', 'country', 'feature', 'region', 'population', 'longitude', 'latitude'],
  'shop.orders': ['id', 'customer_id', 'status', 'placed_at'],
  'shop.order_items': ['order_id', 'line', 'product_id', 'quantity', 'price', 'total'],
  'places.delivery': ['order_id', 'city_id'],
};

async function measure(session: Connection, cutoff: string): Promise<Measure[]> {
  const lost = `o.placed_at < '${cutoff}'`;
  const rowsOf: Record<(typeof TABLES)[number], string> = {
    'places.city': `places.city t WHERE t.country = '${COUNTRY}'`,
    'shop.orders': `shop.orders t WHERE t.placed_at < '${cutoff}'`,
    'shop.order_items': `shop.order_items t JOIN shop.orders o ON o.id = t.order_id WHERE ${lost}`,
    'places.delivery': `places.delivery t JOIN shop.orders o ON o.id = t.order_id
       JOIN places.city c ON c.id = t.city_id WHERE ${lost} OR c.country = '${COUNTRY}'`,
  };
  const measures: Measure[] = [];
  for (const table of TABLES) {
    // A NULL is told from an empty text, and the columns from each other.
    const row = COLUMNS[table].map((name) => `COALESCE(QUOTE(t.${name}), '')`).join(", ',', ");
    const hash = `CAST(CONV(LEFT(SHA2(CONCAT(${row}), 256), 15), 16, 10) AS UNSIGNED)`;
    const [found] = await session.query<{ count: string; checksum: string }>(
      `SELECT COUNT(*) AS count, CAST(COALESCE(SUM(${hash}), 0) AS CHAR) AS checksum FROM ${rowsOf[table]}`,
    );
    measures.push({ table, rows: Number(found?.count), checksum: found?.checksum ?? '' });
  }
  return measures;
}

async function missingWrites(session: Connection, written: Written): Promise<number> {
  let missing = 0;
  for (const order of written.orders) {
    const [found] = await session.query<{ count: string }>(
      `SELECT COUNT(*) AS count FROM shop.orders o JOIN shop.order_items i ON i.order_id = o.id
       JOIN places.delivery d ON d.order_id = o.id WHERE o.id = ?`,
      [order],
    );
    if (Number(found?.count) !== 2) missing += 1;
  }
  for (const [city, population] of written.populations) {
    const [found] = await session.query<{ population: string }>(
      'SELECT population FROM places.city WHERE id = ?',
      [city],
    );
    if (Number(found?.population) !== population) missing += 1;
  }
  return missing;
}

function applicationOf(session: Connection): Application {
  return {
    async cities() {
      const rows = await session.query<{ id: string }>(
        `SELECT id FROM places.city WHERE country = '${SAFE_COUNTRY}' ORDER BY id LIMIT 500`,
      );
      return rows.map(({ id }) => Number(id));
    },
    async placeOrder(turn, city) {
      await session.execute('START TRANSACTION');
      await session.execute('INSERT INTO shop.orders (customer_id) VALUES (?)', [1 + (turn % 2_000)]);
      const [placed] = await session.query<{ id: string }>('SELECT LAST_INSERT_ID() AS id');
      const order = Number(placed?.id);
      await session.execute(
        `INSERT INTO shop.order_items (order_id, line, product_id, quantity, price)
         SELECT ?, p.id, p.id, 1, p.price FROM shop.products p WHERE p.id <= 2`,
        [order],
      );
      await session.execute('INSERT INTO places.delivery (order_id, city_id) VALUES (?, ?)', [order, city]);
      await session.execute('UPDATE places.city SET population = population + 1 WHERE id = ?', [city]);
      const [changed] = await session.query<{ population: string }>(
        'SELECT population FROM places.city WHERE id = ?',
        [city],
      );
      await session.execute('COMMIT');
      return { order, population: Number(changed?.population) };
    },
    close: () => session.close(),
  };
}
