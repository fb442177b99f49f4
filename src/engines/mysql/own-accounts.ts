import { flavourOf } from './flavour.ts';
import { quoteLiteral } from './identifier.ts';

/** Holdfast's account in a restored server. It has no password: only the owner of the socket's folder gets near it. */
export const OWN_USER = 'holdfast_restore';
/** For people who look at the copy: what is compared and imported is the moment of the target and nothing else. */
export const READER = 'holdfast_reader';

/**
 * Statements, one a line, that make both accounts what they are. The server runs them at every start (`init-file`), and
 * Holdfast after a load and a replay: production's statements may have dropped or changed accounts of these names.
 */
export function ownAccountStatements(series: number): string[] {
  return [OWN_USER, READER].flatMap((name) => {
    const account = `${quoteLiteral(name)}@'localhost'`;
    const rights =
      name === OWN_USER
        ? [`GRANT ALL PRIVILEGES ON *.* TO ${account} WITH GRANT OPTION`]
        : [
            `REVOKE ALL PRIVILEGES, GRANT OPTION FROM ${account}`,
            `GRANT SELECT, SHOW VIEW, SHOW DATABASES, PROCESS, TRIGGER, EVENT ON *.* TO ${account}`,
          ];
    return [
      `CREATE USER IF NOT EXISTS ${account}`,
      `ALTER USER ${account} ${withoutPassword(series)} REQUIRE NONE ${limits(series)}`,
      ...rights,
    ];
  });
}

function withoutPassword(series: number): string {
  if (flavourOf(series) === 'mariadb') return "IDENTIFIED VIA mysql_native_password USING ''";
  // MySQL 8.4 has the older method switched off, and client programs of 9.0 have lost it.
  return "IDENTIFIED WITH caching_sha2_password BY ''";
}

function limits(series: number): string {
  const none =
    'WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0 MAX_CONNECTIONS_PER_HOUR 0 MAX_USER_CONNECTIONS 0';
  return flavourOf(series) === 'mariadb'
    ? `${none} ACCOUNT UNLOCK PASSWORD EXPIRE NEVER`
    : `${none} PASSWORD EXPIRE NEVER ACCOUNT UNLOCK`;
}
