import type { Flavour } from './flavour.ts';

/**
 * The expression that says which server answers, in one statement, so that it serves through a pooler too. NULL where the
 * user may not see it.
 *
 * MySQL has an identifier of its own, in auto.cnf, which is made anew with a data directory that was copied without it.
 * MariaDB 10.11 has none of that kind: its `server_uid` follows the network card and the port, so a container that is
 * made again gets another, and a new server in the old one's place gets the same. So it is told by the moment when its
 * data directory was made, to the second, and by its `server_id`, which a copy beside its original has to change: both
 * last through restarts, other hosts and upgrades.
 */
export function identityExpression(flavour: Flavour): string {
  if (flavour === 'mysql') return '@@GLOBAL.server_uuid';
  // The one table of accounts: made with the data directory, and kept by mariadb-upgrade, which makes nearly every other
  // system table anew (measured). In seconds of Unix, since a session of a pooler may have any time zone.
  return `(SELECT CONCAT(@@GLOBAL.server_id, '-', UNIX_TIMESTAMP(create_time)) FROM information_schema.tables
    WHERE table_schema = 'mysql' AND table_name = 'global_priv')`;
}
