import { join } from 'node:path';
import type { ClientBase } from 'pg';
import type { TakeOverInput } from '../../contract/restore.ts';
import { readIfThere } from '../../owned-files.ts';
import { layoutOf } from '../place.ts';
import { formerSettingsFile } from '../settings.ts';

/** What of the old server did not come along, for people to decide. */
export async function noticesOf(input: TakeOverInput, client: ClientBase): Promise<string[]> {
  return [
    'replication slots did not come along: standbys and subscribers of the old server have to be set up anew',
    ...(await subscriptions(input, client)),
    ...(await prepared(client)),
    ...(await unlogged(client)),
    ...(await formerSettings(input)),
    ...(input.repository.credentials?.sessionToken == null
      ? []
      : [
          `the credentials that it archives with are temporary: renew them in ${join(layoutOf(input.place).configuration, 'pgbackrest.conf')} before they expire`,
        ]),
  ];
}

async function subscriptions({ server }: TakeOverInput, client: ClientBase): Promise<string[]> {
  if (Number(server.settings.max_logical_replication_workers ?? 0) > 0) return [];
  const { rows } = await client.query<{ names: string | null }>(
    `SELECT pg_catalog.string_agg(d.datname || '.' || s.subname, ', ' ORDER BY d.datname, s.subname) AS names
       FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE s.subenabled`,
  );
  const names = rows[0]?.names ?? null;
  return names === null
    ? []
    : [
        `subscriptions do not run, since the old server may still take their changes (${names}): once it is gone for certain, set max_logical_replication_workers and restart`,
      ];
}

async function prepared(client: ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ count: number }>(
    'SELECT pg_catalog.count(*)::pg_catalog.int4 AS count FROM pg_catalog.pg_prepared_xacts',
  );
  const count = rows[0]?.count ?? 0;
  return count === 0 ? [] : [`${count} prepared transactions hold their locks until somebody decides them`];
}

/** Their rows are in no log: of the db that is connected to. */
async function unlogged(client: ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ names: string | null }>(
    `SELECT pg_catalog.string_agg(oid::pg_catalog.regclass::pg_catalog.text, ', ' ORDER BY oid) AS names
       FROM pg_catalog.pg_class WHERE relpersistence = 'u' AND relkind = 'r'`,
  );
  const names = rows[0]?.names ?? null;
  return names === null ? [] : [`unlogged tables are empty: ${names}`];
}

/** Where, how and by what a server is reached, or of no meaning here. */
const OF_THE_OLD_SERVER =
  /^(?:archive_|restore_command|recovery_|primary_|promote_|listen_addresses$|port$|unix_socket|hba_file|ident_file|data_directory|external_pid_file|config_file|ssl|cluster_name|log_|logging_|lc_|include)/;

/** Names only: a value may hold a password. That of shared_preload_libraries holds none, and says which jobs ran. */
async function formerSettings({ place, server }: TakeOverInput): Promise<string[]> {
  const files = [join(layoutOf(place).data, 'postgresql.conf'), formerSettingsFile(place)];
  const text = (await Promise.all(files.map(readIfThere))).map((one) => one ?? '').join('\n');
  const found = new Map<string, string>();
  for (const [, name, value] of text.matchAll(/^\s*([A-Za-z_][\w.]*)\s*(?:=|\s)\s*(.*)$/gm)) {
    found.set((name as string).toLowerCase(), (value as string).trim());
  }
  const taken = new Set(Object.keys(server.settings).map((name) => name.toLowerCase()));
  const libraries = /^'([\w\s,/$.-]+)'/.exec(found.get('shared_preload_libraries') ?? '')?.[1];
  const lacking = [...found.keys()]
    .filter((name) => !taken.has(name) && !OF_THE_OLD_SERVER.test(name))
    .sort();
  return [
    ...(libraries === undefined || taken.has('shared_preload_libraries')
      ? []
      : [
          `the old server loaded ${libraries}, so that no jobs of these run here: set shared_preload_libraries`,
        ]),
    ...(lacking.length === 0
      ? []
      : [
          `the old server had set ${lacking.join(', ')}, which the settings of its takeover do not name (see ${files.join(' and ')})`,
        ]),
  ];
}
