import type { Connection } from '../connection.ts';

/** What a session may do: rights on everything, and on single dbs. */
export interface Grants {
  everywhere: ReadonlySet<string>;
  /** by db, as the grant writes it: `_` and `%` stand for others there */
  inDb: ReadonlyMap<string, ReadonlySet<string>>;
}

/** The grants of the session's user with its active roles. */
export async function grantsOf(connection: Connection): Promise<Grants> {
  const [active] = await connection.query<{ roles: string | null }>('SELECT CURRENT_ROLE() AS roles');
  const roles = active?.roles ?? 'NONE';
  // MySQL tells what a role has only when it is named; MariaDB has one active role at most, and tells it so.
  const using = connection.server.flavour === 'mysql' && roles !== 'NONE' ? ` USING ${roles}` : '';
  const rows = await connection.query<Record<string, string>>(`SHOW GRANTS FOR CURRENT_USER()${using}`);
  const lines = rows.map((row) => Object.values(row)[0] ?? '');
  if (connection.server.flavour === 'mariadb' && roles !== 'NONE') {
    const more = await connection.query<Record<string, string>>(`SHOW GRANTS FOR ${quoteRole(roles)}`);
    lines.push(...more.map((row) => Object.values(row)[0] ?? ''));
  }
  return parseGrants(lines);
}

const quoteRole = (role: string): string => `\`${role.replaceAll('`', '``')}\``;

/** Of lines of SHOW GRANTS. Rights on single tables, columns and routines are left out: a dump is of everything. */
export function parseGrants(lines: readonly string[]): Grants {
  const everywhere = new Set<string>();
  const inDb = new Map<string, Set<string>>();
  for (const text of lines) {
    const [, list = '', place = ''] =
      /^GRANT (.+?) ON (\*\.\*|`(?:[^`]|``)+`\.\*|'(?:[^']|'')+'\.\*) TO /.exec(text) ?? [];
    if (place === '') continue;
    const db = place === '*.*' ? null : place.slice(1, -3).replaceAll('``', '`');
    const rights = db === null ? everywhere : (inDb.get(db) ?? new Set<string>());
    if (db !== null) inDb.set(db, rights);
    // Rights on columns have them in parentheses: they are of tables, which are left out.
    for (const right of list.split(', ')) rights.add(right.toUpperCase());
  }
  return { everywhere, inDb };
}

/** Whether one of these rights, which serve alike, is had on everything, or on each of these dbs. */
export function holds(grants: Grants, rights: readonly string[], dbs: readonly string[] | null): boolean {
  const serves = (had: ReadonlySet<string>) => ['ALL PRIVILEGES', ...rights].some((right) => had.has(right));
  if (serves(grants.everywhere)) return true;
  if (dbs === null || dbs.length === 0) return false;
  return dbs.every((db) => {
    const matching = [...grants.inDb].filter(([pattern]) => matches(pattern, db));
    return matching.some(([, had]) => serves(had));
  });
}

/** Source: "GRANT Statement", "Database Privileges": `_` and `%` are wildcards, and a backslash takes that from them. */
function matches(pattern: string, db: string): boolean {
  const expression = pattern.replace(
    /\\([_%])|[_%]|[\\^$.*+?()[\]{}|]/g,
    (found, escaped: string | undefined) => {
      if (escaped !== undefined) return escaped;
      if (found === '_') return '.';
      return found === '%' ? '.*' : `\\${found}`;
    },
  );
  return new RegExp(`^${expression}$`, 'su').test(db);
}
