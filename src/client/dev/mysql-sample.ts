import { type Connection, withConnection } from '../../engines/mysql/connection.ts';
import type { ServerAccess } from '../../model/access.ts';

/**
 * The same small shop as PostgreSQL's, with what makes a recovery hard here: foreign keys, also from another db, and
 * with a cascade, which no log has; counters, a generated column, unique keys, a name with a space, letters of four
 * bytes. The same rows every time.
 */
const TABLES = [
  `CREATE TABLE IF NOT EXISTS customers (
    id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    email varchar(190) NOT NULL UNIQUE,
    name varchar(190) NOT NULL,
    country char(2) NOT NULL,
    created_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
  ) ENGINE = InnoDB`,
  `CREATE TABLE IF NOT EXISTS products (
    id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    sku varchar(40) NOT NULL UNIQUE,
    name varchar(190) NOT NULL,
    price decimal(10, 2) NOT NULL CHECK (price >= 0)
  ) ENGINE = InnoDB`,
  `CREATE TABLE IF NOT EXISTS orders (
    id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customer_id bigint unsigned NOT NULL,
    status enum('placed', 'paid', 'sent', 'returned') NOT NULL DEFAULT 'placed',
    placed_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    FOREIGN KEY (customer_id) REFERENCES customers (id)
  ) ENGINE = InnoDB`,
  `CREATE TABLE IF NOT EXISTS order_items (
    order_id bigint unsigned NOT NULL,
    line int NOT NULL,
    product_id int unsigned NOT NULL,
    quantity int NOT NULL CHECK (quantity > 0),
    price decimal(10, 2) NOT NULL,
    total decimal(12, 2) GENERATED ALWAYS AS (quantity * price) STORED,
    PRIMARY KEY (order_id, line),
    FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE,
    FOREIGN KEY (product_id) REFERENCES products (id)
  ) ENGINE = InnoDB`,
  'CREATE DATABASE IF NOT EXISTS warehouse',
  `CREATE TABLE IF NOT EXISTS warehouse.\`Stock Level\` (
    product_id int unsigned NOT NULL PRIMARY KEY,
    \`on hand\` int NOT NULL,
    counted_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    FOREIGN KEY (product_id) REFERENCES shop.products (id)
  ) ENGINE = InnoDB`,
];

const CUSTOMERS = 2_000;
const PRODUCTS = 200;

/** Shop.fill: the tables one by one, and then all rows in one transaction: after a kill it goes on. */
export async function fillSample(
  url: string,
  { orders, signal }: { orders: number; signal: AbortSignal },
): Promise<void> {
  await withConnection(
    accessOf(url),
    { signal },
    async (connection) => {
      for (const table of TABLES) await connection.execute(table);
      const [found] = await connection.query<{ id: string }>('SELECT id FROM orders LIMIT 1');
      if (found !== undefined) return;
      await connection.execute('START TRANSACTION');
      await insertRows(connection, orders);
      await connection.execute('COMMIT');
    },
    { applicationName: 'dev' },
  );
}

/** Of a url that this environment wrote: on loopback, without TLS. */
export function accessOf(url: string): ServerAccess {
  const { hostname, port, username, password, pathname } = new URL(url);
  return {
    ...{ host: hostname, port: Number(port), user: username, tls: null },
    password: decodeURIComponent(password),
    database: pathname.slice(1),
  };
}

async function insertRows(connection: Connection, orders: number): Promise<void> {
  await connection.execute(
    `INSERT INTO customers (email, name, country, created_at)
     ${numbers(CUSTOMERS)}
     SELECT CONCAT('customer', n, '@example.com'), CONCAT(ELT(1 + n % 4, 'Zoë', 'Łukasz', '李', 'Ana 🛒'), ' ', n),
            ELT(1 + n % 6, 'DE', 'FR', 'PL', 'US', 'JP', 'BR'), NOW(6) - INTERVAL 1 YEAR + INTERVAL n * 4 HOUR
     FROM number WHERE n <= ${CUSTOMERS} ORDER BY n`,
  );
  await connection.execute(
    `INSERT INTO products (sku, name, price)
     ${numbers(PRODUCTS)}
     SELECT CONCAT('SKU-', LPAD(n, 5, '0')), CONCAT('Product ', n), 1 + (n * 37 % 1000) / 10
     FROM number WHERE n <= ${PRODUCTS} ORDER BY n`,
  );
  const step = Math.floor((90 * 86_400_000_000) / orders);
  await connection.execute(
    `INSERT INTO orders (customer_id, status, placed_at)
     ${numbers(orders)}
     SELECT 1 + n * 7 % ${CUSTOMERS}, ELT(1 + n % 4, 'placed', 'paid', 'sent', 'returned'),
            NOW(6) - INTERVAL 90 DAY + INTERVAL n * ${step} MICROSECOND
     FROM number WHERE n <= ${orders} ORDER BY n`,
  );
  await connection.execute(
    `INSERT INTO order_items (order_id, line, product_id, quantity, price)
     ${numbers(4)}
     SELECT o.id, line.n, p.id, 1 + (o.id + line.n) % 5, p.price
     FROM orders o
     JOIN number line ON line.n <= 1 + o.id % 4
     JOIN products p ON p.id = 1 + (o.id * 13 + line.n * 29) % ${PRODUCTS}`,
  );
  await connection.execute(
    'INSERT INTO warehouse.`Stock Level` (product_id, `on hand`) SELECT id, id * 17 % 400 FROM products',
  );
}

/** `number`, with at least this many rows from 1 on: neither flavour has a function that the other knows. */
function numbers(count: number): string {
  const digits = Math.max(1, Math.ceil(Math.log10(count)));
  const places = Array.from({ length: digits }, (_, place) => `d${place}`);
  const sum = places.map((place, index) => `${place}.d * ${10 ** index}`).join(' + ');
  return `WITH digit AS (SELECT 0 AS d ${Array.from({ length: 9 }, (_, d) => `UNION ALL SELECT ${d + 1}`).join(' ')}),
    number AS (SELECT 1 + ${sum} AS n FROM ${places.map((place) => `digit ${place}`).join(' CROSS JOIN ')})`;
}
