import type pg from 'pg';
import { quoteIdentifier } from '../identifier.ts';

/** A name may have line breaks in it, and whatever else looks like a statement. */
const CREATE_ROLE = /^CREATE ROLE (?:"((?:[^"]|"")+)"|([^\s";]+));$/gm;

/**
 * Makes the roles of a backup's globals, without passwords, rights and settings: owners and grants of the copy need
 * their names, and nobody logs in by them. The text is never run: psql would also obey what a name holds.
 */
export async function makeRoles(client: pg.ClientBase, globals: string): Promise<void> {
  const { rows } = await client.query<{ name: string }>('SELECT rolname AS name FROM pg_catalog.pg_roles');
  const present = new Set(rows.map(({ name }) => name));
  await client.query('SET default_transaction_read_only = off');
  for (const name of roleNames(globals)) {
    if (!present.has(name)) await client.query(`CREATE ROLE ${quoteIdentifier(name)}`);
    present.add(name);
  }
}

export function roleNames(globals: string): string[] {
  return [...globals.matchAll(CREATE_ROLE)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? (plain as string),
  );
}
