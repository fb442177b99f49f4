import type pg from 'pg';

/** What a plan that uses a dump of this server has to say. */
export async function serverNotices(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT spcname AS name FROM pg_catalog.pg_tablespace WHERE spcname !~ '^pg_' ORDER BY 1`,
  );
  if (rows.length === 0) return [];
  const names = rows.map(({ name }) => name).join(', ');
  return [`there are tablespaces (${names}): restore elsewhere with pg_restore --no-tablespaces`];
}

/** What a plan that uses a dump of this db has to say. */
export async function databaseNotices(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{
    largeObjects: string;
    extensions: string | null;
    unlogged: string;
    foreign: string;
    subscriptions: string | null;
  }>(
    `SELECT (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata) AS "largeObjects",
       (SELECT string_agg(extname || ' ' || extversion, ', ' ORDER BY extname)
          FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql') AS extensions,
       (SELECT count(*) FROM pg_catalog.pg_class WHERE relpersistence = 'u' AND relkind = 'r') AS unlogged,
       (SELECT count(*) FROM pg_catalog.pg_class WHERE relkind = 'f') AS foreign,
       (SELECT string_agg(s.subname, ', ' ORDER BY s.subname) FROM pg_catalog.pg_subscription s
         JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = pg_catalog.current_database()) AS subscriptions`,
  );
  const [found] = rows;
  if (found === undefined) return [];
  const notices: string[] = [];
  const { largeObjects, extensions, unlogged, foreign, subscriptions } = found;
  if (Number(largeObjects) > 0) {
    notices.push(`${largeObjects} large objects are in the dump; a restore of single tables leaves them out`);
  }
  if (extensions !== null) notices.push(`a restore needs these extensions installed: ${extensions}`);
  if (Number(unlogged) > 0) {
    notices.push(`${unlogged} unlogged tables are in the dump, but never in physical backups or logs`);
  }
  if (Number(foreign) > 0) notices.push(`${foreign} foreign tables are dumped without their rows`);
  if (subscriptions !== null) {
    notices.push(
      `subscriptions (${subscriptions}) must not come back on a copy: pg_restore --no-subscriptions`,
    );
  }
  return notices;
}
