import type { Connection } from './connection.ts';
import { refusalOf } from './error.ts';
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
    const created: string[] = [];
    const granted: string[] = [];
    const defaults: string[] = [];
    for (const account of await listAccounts(connection, mariadb)) {
      const name = nameOf(account);
      const found = await readAccount(connection, account);
      if (found === null) {
        created.push(`-- ${name} is in mysql.user, but unknown to the running server`);
        continue;
      }
      const { statement, roles } = splitDefaultRoles(found.statement);
      if (account.user !== PUBLIC) created.push(`${statement};`);
      granted.push(...found.grants.map((grant) => `${grant};`));
      if (roles !== null) defaults.push(`SET DEFAULT ROLE ${roles} TO ${name};`);
    }
    return textOf([...created, ...granted, ...defaults]);
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

/** What the server says of an account that it does not know: one with a host's name where it resolves none. */
const UNKNOWN = [1133, 1141];

async function readAccount(
  connection: Connection,
  account: Account,
): Promise<{ statement: string; grants: string[] } | null> {
  const name = nameOf(account);
  const ask = async (sql: string) =>
    (await connection.query<Record<string, string>>(sql)).map((row) => Object.values(row)[0] ?? '');
  try {
    const [made = ''] = account.role ? [`CREATE ROLE ${name}`] : await ask(`SHOW CREATE USER ${name}`);
    const grants = (await ask(`SHOW GRANTS FOR ${name}`)).map(grantOnly);
    return { statement: made.replace(/^CREATE (USER|ROLE) /, 'CREATE $1 IF NOT EXISTS '), grants };
  } catch (error) {
    if (UNKNOWN.includes(refusalOf(error) ?? 0)) return null;
    throw error;
  }
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
  return `${[head, ...statements.map((statement) => statement.replace(/\s*\n\s*/g, ' '))].join('\n')}\n`;
}
