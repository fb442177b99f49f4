import pg from 'pg';
import type { Stack } from './stack.ts';

const WRITERS = 2;

/** Inserts, changes and deletes orders as fast as the server takes it, for as long as the work takes. Gives the commits. */
export async function atFullSpeed(stack: Stack, work: () => Promise<void>): Promise<number> {
  let over = false;
  let commits = 0;
  const write = async (): Promise<void> => {
    const client = new pg.Client({ connectionString: stack.description.databases.shop?.url });
    await client.connect();
    try {
      while (!over) {
        await client.query(`INSERT INTO orders (customer_id, status, placed_at)
          SELECT customer_id, status, now() FROM orders ORDER BY random() LIMIT 3`);
        await client.query('UPDATE customers SET name = name WHERE id % 7 = 0');
        await client.query(`DELETE FROM orders WHERE id = (SELECT max(id) FROM orders)`);
        commits += 3;
      }
    } finally {
      await client.end();
    }
  };
  const writers = Array.from({ length: WRITERS }, write);
  try {
    await work();
  } finally {
    over = true;
    await Promise.all(writers);
  }
  return commits;
}
