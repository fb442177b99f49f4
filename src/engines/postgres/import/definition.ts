import { formatNameParts } from '../../../model/table.ts';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../identifier.ts';

/** Statements that make tables again, to be run one by one in one transaction with an empty search path. */
export interface Definition {
  /** the tables and their columns; then come the rows */
  before: string[];
  /** indexes, constraints, triggers, sequence values, owners and grants */
  after: string[];
  /** what does not come back, for people */
  notices: string[];
}

/** What the restored copy says of these tables. */
export interface Described {
  members: [string, string][];
  /** owned sequences, at what they had reached */
  sequences: { parts: [string, string]; lastValue: string; isCalled: boolean }[];
  policies: { parts: [string, string]; name: string; roles: string[] }[];
  publications: { parts: [string, string]; name: string }[];
  indexes: [string, string][];
  labels: number;
}

const NAME = '(?:"(?:[^"]|"")+"|[^\\s".\';]+)';
const QUALIFIED = `${NAME}(?:\\.${NAME})?`;
export const OWNER = new RegExp(
  `^ALTER (?:TABLE|SEQUENCE|STATISTICS) (?:ONLY )?(${QUALIFIED}) OWNER TO (${NAME})$`,
);
export const GRANT = new RegExp(
  `^(?:GRANT|REVOKE) [\\s\\S]* ON (?:TABLE |SEQUENCE )?(${QUALIFIED}) (?:TO|FROM) (${NAME})(?: WITH GRANT OPTION)?$`,
);
const POLICY = new RegExp(`^(?:CREATE POLICY|COMMENT ON POLICY) (${NAME}) ON (${QUALIFIED})`);
export const TABLESPACE = new RegExp(`^SET default_tablespace = (?:''|(${NAME}))$`);
const ATTACH = new RegExp(`^ALTER TABLE ONLY (${QUALIFIED}) ATTACH PARTITION `);
const ATTACH_INDEX = new RegExp(`^ALTER INDEX (${QUALIFIED}) ATTACH PARTITION `);
const PLACED = /^SET (?:default_tablespace|default_table_access_method) = /;
const SESSION = /^(?:SET|RESET) |^SELECT pg_catalog\.set_config\(/;

/** What production has of the names in these statements. */
export interface Known {
  roles: ReadonlySet<string>;
  /** `"schema"."role"`: roles that the configured user may make owners of what is in a schema */
  owners: ReadonlySet<string>;
  tablespaces: ReadonlySet<string>;
  publications: ReadonlySet<string>;
  /** to whom tables and sequences that this user makes are granted from the start */
  grantedByDefault: string[];
}

/** Where the statements of a dump go. */
interface Sorted {
  described: Described;
  known: Known;
  /** all by their quoted names */
  members: ReadonlySet<string>;
  sequences: ReadonlySet<string>;
  indexes: ReadonlySet<string>;
  attached: string[];
  owners: string[];
  /** roles that were owners and cannot be */
  lostOwners: Set<string>;
  grants: string[];
  notices: Set<string>;
}

/** Puts what pg_dump wrote before and behind the rows in the order in which a user of any rank can run it. */
export function arrangeDefinition(
  dump: { before: string[]; after: string[] },
  described: Described,
  known: Known,
): Definition {
  const quoted = (all: readonly [string, string][]) => new Set(all.map((parts) => quoteQualified(parts)));
  const sorted: Sorted = {
    ...{ described, known, attached: [], owners: [], grants: [] },
    ...{ lostOwners: new Set<string>(), notices: new Set<string>() },
    members: quoted(described.members),
    sequences: quoted(described.sequences.map(({ parts }) => parts)),
    indexes: quoted(described.indexes),
  };
  const [before, after] = [definitions(dump.before, sorted), definitions(dump.after, sorted)];
  const made = [...sorted.members, ...sorted.sequences];
  return {
    before,
    after: [
      ...after,
      ...sorted.attached,
      ...described.sequences.map(
        ({ parts, lastValue, isCalled }) =>
          `SELECT pg_catalog.setval(${quoteLiteral(quoteQualified(parts))}, ${lastValue}, ${isCalled})`,
      ),
      ...sorted.owners,
      ...made.flatMap((name) =>
        known.grantedByDefault.map((role) => `REVOKE ALL ON TABLE ${name} FROM ${role}`),
      ),
      ...sorted.grants,
    ],
    notices: [...sorted.notices, ...lostMemberships(described, known)],
  };
}

function definitions(statements: readonly string[], sorted: Sorted): string[] {
  const kept = statements.flatMap((statement) => sort(statement, sorted) ?? []);
  if (!statements.some((statement) => PLACED.test(statement))) return kept;
  return [
    ...kept,
    'SET LOCAL default_tablespace TO DEFAULT',
    'SET LOCAL default_table_access_method TO DEFAULT',
  ];
}

/** A statement as it stays in its place; null: it goes elsewhere, or is not needed. */
function sort(statement: string, sorted: Sorted): string | null {
  if (PLACED.test(statement)) return place(statement, sorted.known, sorted.notices);
  // The import's session has its own settings.
  if (SESSION.test(statement)) return null;
  const owner = OWNER.exec(statement);
  if (owner !== null) return sortOwner(statement, owner, sorted);
  const grant = GRANT.exec(statement);
  if (grant !== null) return sortGrant(statement, grant, sorted);
  const policy = POLICY.exec(statement);
  if (policy !== null && lacksRole(policy, sorted.described, sorted.known)) {
    const [name, table] = [unquote(policy[1] as string), show(policy[2] as string)];
    sorted.notices.add(
      `policy ${name} of ${table} is for a role that production lacks, and is not made again`,
    );
    return null;
  }
  const attach = ATTACH.exec(statement);
  if (attach !== null && !sorted.members.has(normalize(attach[1] as string))) {
    // Its indexes first: else the parent makes some of its own. It finds those that fit by itself.
    sorted.attached.push(statement);
    return null;
  }
  const index = ATTACH_INDEX.exec(statement);
  return index !== null && !sorted.indexes.has(normalize(index[1] as string)) ? null : statement;
}

function sortOwner(statement: string, found: RegExpExecArray, sorted: Sorted): null {
  const [table, role] = [normalize(found[1] as string), unquote(found[2] as string)];
  // An owned sequence goes with its table.
  if (sorted.sequences.has(table)) return null;
  if (sorted.known.owners.has(quoteQualified([partsOf(table)[0] as string, role]))) {
    sorted.owners.push(statement);
  } else {
    sorted.lostOwners.add(role);
    sorted.notices.add(
      `${show(table)} belonged to role ${role}, to which the configured user cannot give it: it belongs to the configured user`,
    );
  }
  return null;
}

function sortGrant(statement: string, found: RegExpExecArray, sorted: Sorted): null {
  const [table, role] = [show(found[1] as string), unquote(found[2] as string)];
  if (sorted.known.roles.has(role)) sorted.grants.push(statement);
  else if (!sorted.lostOwners.has(role)) {
    sorted.notices.add(
      `what role ${role} might do with ${table} is not granted again: production has no such role`,
    );
  }
  return null;
}

/** A setting of the session as one of the transaction, with the tablespace only where production has it. */
function place(statement: string, known: Known, notices: Set<string>): string {
  const tablespace = TABLESPACE.exec(statement)?.[1];
  if (tablespace !== undefined && !known.tablespaces.has(unquote(tablespace))) {
    notices.add(
      `what lay in tablespace ${unquote(tablespace)} comes back in the default one: production lacks it, or the configured user may not use it`,
    );
    return "SET LOCAL default_tablespace = ''";
  }
  return statement.replace(/^SET /, 'SET LOCAL ');
}

function lacksRole(policy: RegExpExecArray, { policies }: Described, known: Known): boolean {
  const [name, table] = [unquote(policy[1] as string), normalize(policy[2] as string)];
  const found = policies.find((one) => one.name === name && quoteQualified(one.parts) === table);
  return found?.roles.some((role) => !known.roles.has(role)) ?? false;
}

function lostMemberships({ publications, labels }: Described, known: Known): string[] {
  return [
    ...publications.map(({ name, parts }) => {
      const table = formatNameParts(parts);
      const again = `ALTER PUBLICATION ${quoteIdentifier(name)} ADD TABLE ${quoteQualified(parts)}`;
      return known.publications.has(name)
        ? `${table} was published by ${name}, and is not any more: ${again}`
        : `${table} was published by ${name}, which production lacks`;
    }),
    ...(labels > 0 ? ['security labels are not made again'] : []),
  ];
}

export function unquote(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

export const partsOf = (qualified: string): string[] =>
  (qualified.match(new RegExp(NAME, 'g')) ?? []).map(unquote);
const normalize = (qualified: string): string => quoteQualified(partsOf(qualified));
const show = (qualified: string): string => formatNameParts(partsOf(qualified));
