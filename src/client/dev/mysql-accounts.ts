import { type Flavour, flavourOf } from '../../engines/mysql/flavour.ts';
import { quoteIdentifier, quoteLiteral } from '../../engines/mysql/identifier.ts';

/** Who Holdfast's workers are, and who the application is. */
export const ADMIN = 'holdfast';
export const APPLICATION = 'shop';

/** What backups, the log watch, comparisons and imports need; docs/mysql.md says which for what. */
const RIGHTS = [
  ...['SELECT', 'SHOW VIEW', 'SHOW DATABASES', 'TRIGGER', 'EVENT', 'PROCESS', 'RELOAD', 'REPLICATION SLAVE'],
  ...['INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'ALTER', 'INDEX', 'REFERENCES'],
  'CREATE TEMPORARY TABLES',
];

/** To ask where the log is; MariaDB has renamed it. */
const POSITION: Record<Flavour, string> = { mysql: 'REPLICATION CLIENT', mariadb: 'BINLOG MONITOR' };

/** The statements that make the accounts, each right however often it is run. */
export function accountsOf(
  series: number,
  database: string,
  passwords: { admin: string; application: string },
  /** of the client programs that will dump it */
  programs: Flavour,
): string[] {
  // Oracle's newer programs have lost the old method, and MariaDB's have no part for the newer one.
  const isMixed = flavourOf(series) === 'mysql' && programs === 'mariadb';
  const method = isMixed ? 'WITH mysql_native_password BY' : 'BY';
  const identified = (password: string) => `IDENTIFIED ${method} ${quoteLiteral(password)}`;
  const account = (user: string, host: string) => `${quoteLiteral(user)}@${quoteLiteral(host)}`;
  const admin = account(ADMIN, '%');
  const application = account(APPLICATION, '%');
  // A right on a db that is made later is none the less had.
  const dbs = [database, 'places', 'warehouse'];
  return [
    `CREATE DATABASE IF NOT EXISTS ${quoteIdentifier(database)}`,
    `CREATE USER IF NOT EXISTS ${admin} ${identified(passwords.admin)}`,
    `CREATE USER IF NOT EXISTS ${application} ${identified(passwords.application)}`,
    `GRANT ${[...RIGHTS, POSITION[flavourOf(series)]].join(', ')} ON *.* TO ${admin}`,
    ...dbs.map((db) => `GRANT SELECT, INSERT, UPDATE, DELETE ON ${quoteIdentifier(db)}.* TO ${application}`),
    // It has no password after the data directory was made.
    `ALTER USER ${account('root', 'localhost')} IDENTIFIED BY ${quoteLiteral(passwords.admin)}`,
  ];
}
