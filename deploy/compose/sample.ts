// Fills the sample database with the same shop that `holdfast dev up` has.
import pg from 'pg';
import { createSample } from '../../src/client/dev/postgres-sample.ts';

// Where the server is comes from libpq's variables.
const client = new pg.Client({ database: 'shop' });
await client.connect();
try {
  await createSample(client, { orders: 20_000 });
} finally {
  await client.end();
}
