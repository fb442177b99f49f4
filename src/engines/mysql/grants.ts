import { formatNameParts } from '../../model/table.ts';
import type { Connection } from './connection.ts';
import { quoteIdentifier, quoteTable } from './identifier.ts';

/** What a session may do, by its user, its active roles and what everybody may. */
export interface Grants {
  /** as statements want it: `'user'@'host'` */
  account: string;
  everywhere: ReadonlySet<string>;
  /** of rights on everything, what is not had in a db (partial_revokes of MySQL) */
  revoked: ReadonlyMap<string, ReadonlySet<string>>;
  inDb: readonly DbGrant[];
  onTable: readonly TableGrant[];
  /** `_` and `%` stand for others in the db of a grant, and a backslash takes that from them */
  hasPatterns: boolean;
  /** of several patterns the most specific one counts; else that is not known */
  isSpecific: boolean;
}

interface DbGrant {
  /** whose: of MariaDB's, each counts for itself */
  to: string;
  pattern: string;
  rights: ReadonlySet<string>;
}

interface TableGrant {
  parts: readonly [db: string, table: string];
  rights: ReadonlySet<string>;
  /** rights on single columns, whose names are in lower case */
  columns: ReadonlyMap<string, ReadonlySet<string>>;
}

/** A right on something. */
export interface Need {
  /** names of which one will do; the first is what is granted */
  rights: readonly string[];
  /** null: everything */
  on: null | readonly [db: string] | readonly [db: string, table: string];
  /** it will do on these columns of the table; absent: it has to be on the whole */
  columns?: readonly string[];
  /** it will do on any column of the table */
  anyColumn?: true;
  /** what to say behind the statement that grants it */
  more?: string;
}

/** SHOW GRANTS without FOR has what active roles and PUBLIC give, too (measured, both flavours). */
export async function grantsOf(connection: Connection): Promise<Grants> {
  const [who] = await connection.query<{ account: string }>('SELECT CURRENT_USER() AS account');
  const [revokes] = await connection.query<{ Value: string }>(
    "SHOW GLOBAL VARIABLES WHERE Variable_name = 'partial_revokes'",
  );
  const rows = await connection.query<Record<string, string>>('SHOW GRANTS');
  return {
    ...parseGrants(rows.map((row) => Object.values(row)[0] ?? '')),
    account: quoteAccount(who?.account ?? ''),
    hasPatterns: revokes?.Value !== 'ON',
    // MySQL takes the one that was granted first, another one after FLUSH PRIVILEGES, and a role's in any order (measured).
    isSpecific: connection.server.flavour === 'mariadb',
  };
}

/** `user@host` as statements want it. */
function quoteAccount(account: string): string {
  const at = account.lastIndexOf('@');
  return [account.slice(0, at), account.slice(at + 1)]
    .map((part) => `'${part.replaceAll("'", "''")}'`)
    .join('@');
}

const NAME = '`(?:[^`]|``)*`';
const LINE = new RegExp(
  `^(GRANT|REVOKE) (.+?) ON (\\*|${NAME})\\.(\\*|${NAME}) (?:TO|FROM) (PUBLIC|${NAME}(?:@${NAME})?)`,
);
/** `INSERT`, or `UPDATE (`id`, `name`)`: a name may hold anything. */
const RIGHT = new RegExp(`([A-Z_]+(?: [A-Z_]+)*)(?: \\((${NAME}(?:, ${NAME})*)\\))?(?:, ?|$)`, 'g');

/** Of lines of SHOW GRANTS in backquotes (sql_quote_show_create). Routines, proxies and roles are left out. */
export function parseGrants(
  lines: readonly string[],
): Pick<Grants, 'everywhere' | 'revoked' | 'inDb' | 'onTable'> {
  const everywhere = new Set<string>();
  const revoked = new Map<string, Set<string>>();
  const inDb: DbGrant[] = [];
  const onTable: TableGrant[] = [];
  for (const line of lines) {
    const [, verb, list = '', place = '', name = '', to = ''] = LINE.exec(line) ?? [];
    if (verb === undefined) continue;
    const rights = new Set<string>();
    const columns = new Map<string, Set<string>>();
    for (const [, right = '', named] of list.matchAll(RIGHT)) {
      if (named === undefined) rights.add(right);
      else columns.set(right, new Set(namesIn(named).map((column) => column.toLowerCase())));
    }
    const [db = ''] = namesIn(place);
    if (verb === 'REVOKE') revoked.set(db, rights);
    else if (place === '*') for (const right of rights) everywhere.add(right);
    else if (name === '*') inDb.push({ to, pattern: db, rights });
    else onTable.push({ parts: [db, namesIn(name)[0] ?? ''], rights, columns });
  }
  return { everywhere, revoked, inDb, onTable };
}

function namesIn(list: string): string[] {
  return [...list.matchAll(new RegExp(NAME, 'g'))].map(([name]) => name.slice(1, -1).replaceAll('``', '`'));
}

/** Whether a right is had. Where that cannot be known it is. */
export function has(grants: Grants, { rights, on, columns, anyColumn }: Need): boolean {
  const among = (had: ReadonlySet<string>) => ['ALL PRIVILEGES', ...rights].filter((right) => had.has(right));
  const serves = (had: ReadonlySet<string>) => among(had).length > 0;
  if (on === null) return serves(grants.everywhere);
  const [db, table] = on;
  const revoked = grants.revoked.get(db);
  if (among(grants.everywhere).some((right) => revoked?.has(right) !== true)) return true;
  if (grantsIn(grants, db).some((grant) => serves(grant.rights))) return true;
  if (table === undefined) return false;
  const own = grants.onTable.filter(({ parts }) => parts[0] === db && parts[1] === table);
  if (own.some((grant) => serves(grant.rights))) return true;
  return rights.some((right) => {
    const named = new Set(own.flatMap((grant) => [...(grant.columns.get(right) ?? [])]));
    if (anyColumn === true) return named.size > 0;
    return columns?.every((column) => named.has(column.toLowerCase())) === true;
  });
}

/**
 * Those that count in a db. Source: "Access Control, Stage 2: Request Verification" of MySQL's manual: those of the most
 * specific name, which "Specifying Account Names" tells by where the first wildcard stands. Measured: the others give
 * nothing, and MariaDB looks so at each role by itself.
 */
function grantsIn({ inDb, hasPatterns, isSpecific }: Grants, db: string): DbGrant[] {
  const matching = inDb.filter(({ pattern }) => (hasPatterns ? matches(pattern, db) : pattern === db));
  if (!isSpecific || !hasPatterns) return matching;
  return [...Map.groupBy(matching, ({ to }) => to).values()].flatMap((own) => {
    const most = Math.max(...own.map(({ pattern }) => specificity(pattern)));
    return own.filter(({ pattern }) => specificity(pattern) === most);
  });
}

const WILDCARD = /^((?:[^\\_%]|\\.)*)[_%]/su;
const specificity = (pattern: string): number => WILDCARD.exec(pattern)?.[1]?.length ?? Infinity;

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

/** The statements that give what is lacking. */
export function grantStatements(grants: Grants, lacking: readonly Need[]): string[] {
  const statements = byPlace(lacking).flatMap(([on, rights]) =>
    placesOf(grants, on).map((place) => `GRANT ${rights} ON ${place} TO ${grants.account}`),
  );
  return [...new Set(statements)];
}

/** For people: `INSERT, DELETE on shop.orders and CREATE on db shop, db stock`. */
export function describeNeeds(needs: readonly Need[]): string {
  const nameOf = (on: Need['on']) =>
    on === null ? 'everything' : on.length === 1 ? `db ${on[0]}` : formatNameParts(on);
  const alike = Map.groupBy(byPlace(needs), ([, rights]) => rights);
  return [...alike]
    .map(([rights, places]) => `${rights} on ${places.map(([on]) => nameOf(on)).join(', ')}`)
    .join(' and ');
}

function byPlace(needs: readonly Need[]): [Need['on'], rights: string][] {
  const places = Map.groupBy(needs, ({ on }) => JSON.stringify(on));
  return [...places.values()].map((own) => [
    own[0]?.on ?? null,
    [...new Set(own.map(({ rights }) => rights[0]))].join(', '),
  ]);
}

/**
 * Where the user has rights by a pattern, more are given by that: a grant on just one of its dbs would take its place in
 * MariaDB, or do nothing in MySQL (measured).
 */
function placesOf(grants: Grants, on: Need['on']): string[] {
  if (on === null) return ['*.*'];
  if (on.length === 2) return [quoteTable(on)];
  const own = grantsIn(grants, on[0]).filter(({ to }) => to.includes('`@`'));
  const name = grants.hasPatterns ? on[0].replaceAll(/[_%]/g, '\\$&') : on[0];
  const patterns = own.length === 0 ? [name] : own.map(({ pattern }) => pattern);
  return patterns.map((pattern) => `${quoteIdentifier(pattern)}.*`);
}
