import type { Connection } from './connection.ts';
import { isAtLeast } from './flavour.ts';
import { quoteLiteral } from './identifier.ts';

/** What every server has of its own. */
const SYSTEM = ['mysql.sys', 'mysql.session', 'mysql.infoschema', 'mariadb.sys'];
/** MariaDB's role that everybody has; it is there already. */
const PUBLIC = 'PUBLIC';

interface Account {
  user: string;
  host: string;
  role: boolean;
}

/**
 * What a dump leaves out: every account and role with its password's hash, and what they may, as statements of one line
 * each, accounts first, so that grants of roles find them. A right on a table needs the table: those are loaded after the
 * data. Accounts that are there already stay as they are. `accounts` false: the user may not read them.
 */
export async function readGlobals(connection: Connection): Promise<{ text: string; accounts: boolean }> {
  const [row] = await connection.query<{ letters: string | number }>(
    'SELECT @@GLOBAL.lower_case_table_names AS letters',
  );
  // A server is made with it, and cannot be changed.
  const head = `-- lower_case_table_names = ${row?.letters ?? 0}\n`;
  const accounts = await readAccounts(connection);
  return { text: `${head}${accounts ?? ''}`, accounts: accounts !== null };
}

/** Null: the user may not read them. */
async function readAccounts(connection: Connection): Promise<string | null> {
  const mariadb = connection.server.flavour === 'mariadb';
  try {
    if (!mariadb && isAtLeast(connection.server, '8.0.17')) {
      // A salt may hold any byte, and would be printed as it is.
      await connection.query('SET SESSION print_identified_with_as_hex = ON');
    }
    const accounts = await listAccounts(connection, mariadb);
    const created: string[] = [];
    const granted: string[] = [];
    for (const account of accounts) {
      const name = nameOf(account);
      if (account.role) {
        if (account.user !== PUBLIC) created.push(`CREATE ROLE IF NOT EXISTS ${name}`);
      } else {
        const { statement, roles } = splitDefaultRoles(await createUser(connection, name));
        created.push(statement);
        if (roles !== null) granted.push(`SET DEFAULT ROLE ${roles} TO ${name}`);
      }
    }
    for (const account of accounts) {
      const rows = await connection.query<Record<string, string>>(`SHOW GRANTS FOR ${nameOf(account)}`);
      // Before the default roles, which have to be granted.
      granted.unshift(...rows.map((row) => grantOnly(Object.values(row)[0] ?? '')));
    }
    return textOf([...created, ...granted.filter((line) => line !== '')]);
  } catch (error) {
    if ((error as { type?: string }).type === 'PermissionDenied') return null;
    throw error;
  }
}

async function listAccounts(connection: Connection, mariadb: boolean): Promise<Account[]> {
  const role = mariadb ? "is_role = 'Y'" : 'FALSE';
  const rows = await connection.query<{ user: string; host: string; role: number }>(
    `SELECT CAST(User AS CHAR) AS user, CAST(Host AS CHAR) AS host, ${role} AS role FROM mysql.user
      WHERE User NOT IN (${SYSTEM.map(quoteLiteral).join(', ')}) ORDER BY 1, 2`,
  );
  return rows.map((row) => ({ ...row, role: Number(row.role) === 1 }));
}

const nameOf = ({ user, host, role }: Account): string =>
  role ? (user === PUBLIC ? PUBLIC : quoteName(user)) : `${quoteName(user)}@${quoteName(host)}`;

/** An account's name may be empty, which no identifier is. */
const quoteName = (name: string): string => `\`${name.replaceAll('`', '``')}\``;

async function createUser(connection: Connection, name: string): Promise<string> {
  const [row = {}] = await connection.query<Record<string, string>>(`SHOW CREATE USER ${name}`);
  return (Object.values(row)[0] ?? '').replace(/^CREATE USER /, 'CREATE USER IF NOT EXISTS ');
}

/** MySQL's CREATE USER names roles that do not exist yet; MariaDB says it among the grants. */
function splitDefaultRoles(statement: string): { statement: string; roles: string | null } {
  const found = / DEFAULT ROLE ((?:`(?:[^`]|``)*`@`(?:[^`]|``)*`,?)+)/.exec(statement);
  if (found === null) return { statement, roles: null };
  return { statement: statement.replace(found[0], ''), roles: found[1] as string };
}

/** MariaDB's SHOW GRANTS has the password in it, which would set that of an account that is there already. */
const grantOnly = (grant: string): string =>
  grant
    .replace(
      / IDENTIFIED (?:BY PASSWORD '[^']*'|(?:VIA|WITH) [\s\S]*?)(?= REQUIRE | WITH (?:GRANT OPTION|MAX_)|$)/,
      '',
    )
    .replace(/ IDENTIFIED .*$/, '');

function textOf(statements: readonly string[]): string {
  const head =
    '-- Accounts and what they may. Load it after the data, with --force: what is there already stays as it is.';
  return `${[head, ...statements.map((statement) => `${statement.replace(/\s*\n\s*/g, ' ')};`)].join('\n')}\n`;
}
