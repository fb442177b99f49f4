import type { Client } from 'pg';

export const COUNTRY = 'IT';
/** The tables that lose rows, parents first; the last two by cascade. */
export const TABLES = ['places.city', 'public.orders', 'public.order_items', 'places.delivery'] as const;

/** What a table's rows that the accident deletes are: their number and the sum of their hashes. */
export interface Measure {
  table: string;
  rows: number;
  checksum: string;
}

export interface Accident {
  /** the moment just before, by the database's clock, in microseconds: the target of the recovery */
  before: string;
  /** orders placed earlier than this were deleted */
  cutoff: string;
  lost: Measure[];
}

/** The statements as somebody typed them. */
export function statementsOf(cutoff: string): string[] {
  return [
    `DELETE FROM places.city WHERE country = '${COUNTRY}';`,
    `DELETE FROM orders WHERE placed_at < '${cutoff}';`,
  ];
}

/** Deletes the rows in one transaction, and measures them first in the same snapshot. */
export async function causeAccident(client: Client): Promise<Accident> {
  const { rows } = await client.query<{ before: string; cutoff: string }>(
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS before,
            to_char(now() AT TIME ZONE 'UTC' - interval '45 days', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS cutoff`,
  );
  const { before, cutoff } = rows[0] as { before: string; cutoff: string };
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  const lost = await measureRows(client, cutoff);
  for (const statement of statementsOf(cutoff)) await client.query(statement);
  await client.query('COMMIT');
  return { before, cutoff, lost };
}

/**
 * Counts and checksums, by SQL alone, of exactly the rows that the accident deletes: nothing of Holdfast takes
 * part in it, so that it can judge what Holdfast brought back.
 */
export async function measureRows(client: Client, cutoff: string): Promise<Measure[]> {
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
