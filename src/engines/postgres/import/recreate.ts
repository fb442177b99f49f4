import type pg from 'pg';
import type { ServerAccess } from '../../../model/access.ts';
import type { Run } from '../../../model/progress.ts';
import { formatNameParts } from '../../../model/table.ts';
import { runTool } from '../../process.ts';
import { withClientEnvironment, withConnection } from '../connection.ts';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../identifier.ts';
import { listRelations } from '../members.ts';
import { dumpPrograms } from '../programs.ts';
import { splitStatements } from './statements.ts';

export interface DefinitionInput {
  /** both at the db that holds the tables */
  production: ServerAccess;
  restored: ServerAccess;
  /** `schema.table`, gone in production; partitions come with their parent */
  tables: readonly string[];
  serverMajor: number;
}

/** Statements that make tables again, to be run one by one in one transaction with an empty search path. */
export interface Definition {
  /** the tables and their columns; then come the rows */
  before: string[];
  /** indexes, constraints, triggers, sequence values, owners and grants */
  after: string[];
  /** what does not come back, for people */
  notices: string[];
}

/**
 * How tables of the restored copy are made: columns with defaults, identity and sequences (at their numbers of
 * then), indexes, constraints, triggers, rules, policies, statistics, comments, owners, grants, tablespaces. Changes
 * no setting beyond the transaction. Roles and tablespaces that production lacks are left out and said. Reads only,
 * on both sides. Throws UnknownTable, ToolMissing, ToolFailed, ConnectionFailed.
 */
export async function readDefinition(input: DefinitionInput, run: Run): Promise<Definition> {
  const options = { signal: run.signal, applicationName: 'definition', readOnly: true };
  const described = await withConnection(input.restored, options, (client) => describe(client, input.tables));
  const [first, second] = [
    await dumped(input, described, 'pre-data', run),
    await dumped(input, described, 'post-data', run),
  ];
  const statements = [...first, ...second];
  const known = await withConnection(input.production, options, (client) =>
    readKnown(client, described, statements),
  );
  return arrange({ first, second, described, known });
}

interface Described {
  members: [string, string][];
  /** owned sequences, at what they had reached */
  sequences: { parts: [string, string]; lastValue: string; isCalled: boolean }[];
  policies: { parts: [string, string]; name: string; roles: string[] }[];
  publications: { parts: [string, string]; name: string }[];
  indexes: [string, string][];
  labels: number;
}

async function describe(client: pg.Client, tables: readonly string[]): Promise<Described> {
  const members = (await listRelations(client, tables)).flatMap((relation) => relation.members);
  const unique = [...new Map(members.map((parts) => [quoteQualified(parts), parts])).values()];
  const names = unique.map(quoteQualified);
  const oids = 'SELECT name::pg_catalog.regclass FROM unnest($1::pg_catalog.text[]) AS u(name)';
  const { rows } = await client.query<{
    found: Omit<Described, 'members' | 'sequences'> & { sequences: [string, string][] };
  }>(
    `SELECT pg_catalog.json_build_object(
       'sequences', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, s.relname)), '[]')
         FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
         JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = d.classid
           AND d.refobjid IN (${oids}) AND d.deptype IN ('a', 'i')),
       'policies', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('parts',
           pg_catalog.json_build_array(n.nspname, c.relname), 'name', p.polname,
           'roles', ARRAY(SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.oid = ANY (p.polroles)))), '[]')
         FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN (${oids})),
       'publications', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('parts',
           pg_catalog.json_build_array(n.nspname, c.relname), 'name', p.pubname)), '[]')
         FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
         JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN (${oids})),
       'indexes', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, c.relname)), '[]')
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE i.indrelid IN (${oids})),
       'labels', (SELECT count(*) FROM pg_catalog.pg_seclabel l
         WHERE l.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND l.objoid IN (${oids}))
     ) AS found`,
    [names],
  );
  const found = (rows[0] as { found: Omit<Described, 'sequences'> & { sequences: [string, string][] } })
    .found;
  const sequences: Described['sequences'] = [];
  for (const parts of found.sequences) {
    const { rows: values } = await client.query<{ lastValue: string; isCalled: boolean }>(
      `SELECT last_value::pg_catalog.text AS "lastValue", is_called AS "isCalled" FROM ${quoteQualified(parts)}`,
    );
    sequences.push({ parts, ...(values[0] as { lastValue: string; isCalled: boolean }) });
  }
  return { ...found, members: unique, sequences };
}

async function dumped(
  { restored, serverMajor }: DefinitionInput,
  { members }: Described,
  section: 'pre-data' | 'post-data',
  run: Run,
): Promise<string[]> {
  const { pgDump } = await dumpPrograms(serverMajor);
  const args = [
    ...['--schema-only', `--section=${section}`, '--encoding=UTF8', '--no-password'],
    ...['--no-publications', '--no-subscriptions', '--no-security-labels'],
    // In double quotes nothing of a name is a pattern; a partition is not meant by its parent's name.
    ...members.map((parts) => `--table=${quoteQualified(parts)}`),
  ];
  return withClientEnvironment(restored, async (env) => {
    const { stdout } = await runTool(pgDump, args, { signal: run.signal, env, stdout: 'text' });
    return splitStatements(stdout);
  });
}

const NAME = '(?:"(?:[^"]|"")+"|[^\\s".\';]+)';
const QUALIFIED = `${NAME}(?:\\.${NAME})?`;
const OWNER = new RegExp(`^ALTER (?:TABLE|SEQUENCE|STATISTICS) (?:ONLY )?(${QUALIFIED}) OWNER TO (${NAME})$`);
const GRANT = new RegExp(
  `^(?:GRANT|REVOKE) [\\s\\S]* ON (?:TABLE |SEQUENCE )?(${QUALIFIED}) (?:TO|FROM) (${NAME})(?: WITH GRANT OPTION)?$`,
);
const POLICY = new RegExp(`^(?:CREATE POLICY|COMMENT ON POLICY) (${NAME}) ON (${QUALIFIED})`);
const TABLESPACE = new RegExp(`^SET default_tablespace = (?:''|(${NAME}))$`);
const ATTACH = new RegExp(`^ALTER TABLE ONLY (${QUALIFIED}) ATTACH PARTITION `);
const ATTACH_INDEX = new RegExp(`^ALTER INDEX (${QUALIFIED}) ATTACH PARTITION `);
const PLACED = /^SET (?:default_tablespace|default_table_access_method) = /;
const SESSION = /^(?:SET|RESET) |^SELECT pg_catalog\.set_config\(/;

/** What production has of the names in these statements. */
interface Known {
  roles: ReadonlySet<string>;
  tablespaces: ReadonlySet<string>;
  publications: ReadonlySet<string>;
  /** to whom tables and sequences that this user makes are granted from the start */
  grantedByDefault: string[];
}

async function readKnown(
  client: pg.Client,
  { members, policies, publications }: Described,
  statements: readonly string[],
): Promise<Known> {
  const named = (pattern: RegExp, group: number) =>
    statements.flatMap((statement) => {
      const name = pattern.exec(statement)?.[group];
      return name === undefined ? [] : [unquote(name)];
    });
  const { rows } = await client.query<{
    roles: string[];
    tablespaces: string[];
    publications: string[];
    defaults: string[];
  }>(
    `SELECT ARRAY(SELECT rolname::pg_catalog.text FROM pg_catalog.pg_roles
         WHERE rolname = ANY ($1) OR (rolname = ANY ($2) AND pg_catalog.pg_has_role(oid, 'MEMBER'))) AS roles,
       ARRAY(SELECT spcname::pg_catalog.text FROM pg_catalog.pg_tablespace
         WHERE spcname = ANY ($3) AND pg_catalog.has_tablespace_privilege(oid, 'CREATE')) AS tablespaces,
       ARRAY(SELECT pubname::pg_catalog.text FROM pg_catalog.pg_publication WHERE pubname = ANY ($4)) AS publications,
       ARRAY(SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END
         FROM pg_catalog.pg_default_acl d, pg_catalog.aclexplode(d.defaclacl) a
         LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
         WHERE d.defaclobjtype IN ('r', 'S') AND d.defaclrole = a.grantor AND a.grantee <> a.grantor
           AND d.defaclrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
           AND (d.defaclnamespace = 0 OR d.defaclnamespace IN (
             SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY ($5)))) AS defaults`,
    [
      [...named(GRANT, 2), ...policies.flatMap(({ roles }) => roles)],
      named(OWNER, 2),
      named(TABLESPACE, 1),
      publications.map(({ name }) => name),
      members.map(([schema]) => schema),
    ],
  );
  const [found] = rows as [
    { roles: string[]; tablespaces: string[]; publications: string[]; defaults: string[] },
  ];
  return {
    roles: new Set([...found.roles, 'PUBLIC']),
    tablespaces: new Set(found.tablespaces),
    publications: new Set(found.publications),
    grantedByDefault: found.defaults,
  };
}

function arrange(parts: {
  first: string[];
  second: string[];
  described: Described;
  known: Known;
}): Definition {
  const { described, known } = parts;
  const members = new Set(described.members.map((names) => quoteQualified(names)));
  const sequences = new Set(described.sequences.map((sequence) => quoteQualified(sequence.parts)));
  const indexes = new Set(described.indexes.map((names) => quoteQualified(names)));
  const notices = new Set<string>();
  const [attached, owners, grants]: [string[], string[], string[]] = [[], [], []];
  const definitions = (statements: readonly string[]): string[] => {
    const kept: string[] = [];
    let placed = false;
    for (const statement of statements) {
      const [owner, grant, policy, attach] = [OWNER, GRANT, POLICY, ATTACH].map((pattern) =>
        pattern.exec(statement),
      );
      if (PLACED.test(statement)) {
        kept.push(place(statement, known, notices));
        placed = true;
      } else if (SESSION.test(statement)) {
        // The import's session has its own.
      } else if (owner != null) {
        const [table, role] = [normalize(owner[1] as string), unquote(owner[2] as string)];
        // An owned sequence goes with its table.
        if (sequences.has(table)) continue;
        if (known.roles.has(role)) owners.push(statement);
        else
          notices.add(
            `${show(table)} belonged to role ${role}, which production lacks or the configured user is no member of: it belongs to the configured user`,
          );
      } else if (grant != null) {
        const [table, role] = [normalize(grant[1] as string), unquote(grant[2] as string)];
        if (known.roles.has(role)) grants.push(statement);
        else
          notices.add(
            `what role ${role} might do with ${show(table)} is not granted again: production has no such role`,
          );
      } else if (policy != null && lacksRole(policy, described, known)) {
        notices.add(
          `policy ${unquote(policy[1] as string)} of ${show(normalize(policy[2] as string))} is for a role that production lacks, and is not made again`,
        );
      } else if (attach != null && !members.has(normalize(attach[1] as string))) {
        // Its indexes first: else the parent makes some of its own. It finds those that fit by itself.
        attached.push(statement);
      } else if (ATTACH_INDEX.test(statement) && !isAmong(indexes, ATTACH_INDEX.exec(statement)?.[1])) {
      } else kept.push(statement);
    }
    if (placed)
      kept.push(
        'SET LOCAL default_tablespace TO DEFAULT',
        'SET LOCAL default_table_access_method TO DEFAULT',
      );
    return kept;
  };
  const [before, after] = [definitions(parts.first), definitions(parts.second)];
  const made = [...members, ...sequences];
  return {
    before,
    after: [
      ...after,
      ...attached,
      ...described.sequences.map(
        ({ parts: names, lastValue, isCalled }) =>
          `SELECT pg_catalog.setval(${quoteLiteral(quoteQualified(names))}, ${lastValue}, ${isCalled})`,
      ),
      ...owners,
      ...made.flatMap((name) =>
        known.grantedByDefault.map((role) => `REVOKE ALL ON TABLE ${name} FROM ${role}`),
      ),
      ...grants,
    ],
    notices: [...notices, ...lostMemberships(described, known)],
  };
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

function unquote(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

function isAmong(names: ReadonlySet<string>, qualified = ''): boolean {
  return names.has(normalize(qualified));
}

const partsOf = (qualified: string): string[] => (qualified.match(new RegExp(NAME, 'g')) ?? []).map(unquote);
const normalize = (qualified: string): string => quoteQualified(partsOf(qualified));
const show = (qualified: string): string => formatNameParts(partsOf(qualified));
