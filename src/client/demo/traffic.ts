import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const PAUSE_MS = 120;

/** What the application has written and was told is committed. */
export interface Written {
  orders: number[];
  /** last known population by city id */
  populations: Map<number, number>;
}

/**
 * An application that goes on writing whatever happens: new orders with items and a delivery, and changed cities of
 * a country that no accident befalls.
 */
export class Traffic {
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  readonly #client: pg.Client;
  readonly written: Written = { orders: [], populations: new Map() };

  static async start(url: string): Promise<Traffic> {
    const client = new pg.Client({ connectionString: url, application_name: 'shop' });
    // A lost connection is told by the statement that needed it.
    client.on('error', () => undefined);
    await client.connect();
    return new Traffic(client);
  }

  private constructor(client: pg.Client) {
    this.#client = client;
    this.#done = this.#run().finally(() => client.end());
    // Its failure is told at the end, to whoever waits for it.
    this.#done.catch(() => undefined);
  }

  /** Stops after the order at hand. Throws where the application could not go on. */
  async end(): Promise<Written> {
    this.#stop.abort();
    await this.#done;
    return this.written;
  }

  async #run(): Promise<void> {
    const cities = await this.#client.query<{ id: string }>(
      "SELECT id FROM places.city WHERE country = 'FR' ORDER BY id LIMIT 500",
    );
    const ids = cities.rows.map((row) => Number(row.id));
    for (let turn = 0; !this.#stop.signal.aborted; turn += 1) {
      await this.#placeOrder(turn, ids[turn % ids.length] as number);
      await sleep(PAUSE_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  async #placeOrder(turn: number, city: number): Promise<void> {
    await this.#client.query('BEGIN');
    const order = await this.#client.query<{ id: string }>(
      'INSERT INTO orders (customer_id) VALUES ($1) RETURNING id',
      [1 + (turn % 2_000)],
    );
    const id = Number(order.rows[0]?.id);
    await this.#client.query(
      `INSERT INTO order_items (order_id, line, product_id, quantity, price)
       SELECT $1, line, p.id, 1, p.price FROM generate_series(1, 2) line JOIN products p ON p.id = line`,
      [id],
    );
    await this.#client.query('INSERT INTO places.delivery (order_id, city_id) VALUES ($1, $2)', [id, city]);
    const changed = await this.#client.query<{ population: string }>(
      'UPDATE places.city SET population = population + 1 WHERE id = $1 RETURNING population',
      [city],
    );
    await this.#client.query('COMMIT');
    this.written.orders.push(id);
    this.written.populations.set(city, Number(changed.rows[0]?.population));
  }
}

/** How many of these writes are missing or different in the database. 0: all of them are there as written. */
export async function missingWrites(client: pg.Client, written: Written): Promise<number> {
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
