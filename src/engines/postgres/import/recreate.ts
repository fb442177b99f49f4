import type pg from 'pg';
import type { ServerAccess } from '../../../model/access.ts';
import type { Run } from '../../../model/progress.ts';
import { runTool } from '../../process.ts';
import { withClientEnvironment, withConnection } from '../connection.ts';
import { quoteQualified } from '../identifier.ts';
import { listRelations } from '../members.ts';
import { dumpPrograms } from '../programs.ts';
import { grantedByDefault } from './default-grants.ts';
import {
  arrangeDefinition,
  type Definition,
  type Described,
  GRANT,
  type Known,
  OWNER,
  partsOf,
  TABLESPACE,
  unquote,
} from './definition.ts';
import { splitStatements } from './statements.ts';

export interface DefinitionInput {
  /** both at the db that holds the tables */
  production: ServerAccess;
  restored: ServerAccess;
  /** `schema.table`, gone in production; partitions come with their parent */
  tables: readonly string[];
  serverMajor: number;
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
  const [before, after] = [
    await dumped(input, described, 'pre-data', run),
    await dumped(input, described, 'post-data', run),
  ];
  const known = await withConnection(input.production, options, (client) =>
    readKnown(client, described, [...before, ...after]),
  );
  return arrangeDefinition({ before, after }, described, known);
}

type DescribedRow = Omit<Described, 'members' | 'sequences'> & { sequences: [string, string][] };

async function describe(client: pg.Client, tables: readonly string[]): Promise<Described> {
  const members = (await listRelations(client, tables)).flatMap((relation) => relation.members);
  const unique = [...new Map(members.map((parts) => [quoteQualified(parts), parts])).values()];
  const names = unique.map(quoteQualified);
  const oids = 'SELECT name::pg_catalog.regclass FROM unnest($1::pg_catalog.text[]) AS u(name)';
  const { rows } = await client.query<{ found: DescribedRow }>(
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
  const { found } = rows[0] as { found: DescribedRow };
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

type KnownRow = Record<'roles' | 'tablespaces' | 'publications', string[]> & {
  owners: [string, string][];
};

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
  const { rows } = await client.query<KnownRow>(
    `SELECT ARRAY(SELECT rolname::pg_catalog.text FROM pg_catalog.pg_roles
         WHERE rolname = ANY ($1)) AS roles,
       (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, r.rolname)), '[]')
         FROM pg_catalog.pg_roles r, pg_catalog.pg_namespace n
         WHERE r.rolname = ANY ($2) AND pg_catalog.pg_has_role(r.oid, 'MEMBER') AND n.nspname = ANY ($5)
           AND ((SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
             OR pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE'))) AS owners,
       ARRAY(SELECT spcname::pg_catalog.text FROM pg_catalog.pg_tablespace
         WHERE spcname = ANY ($3) AND pg_catalog.has_tablespace_privilege(oid, 'CREATE')) AS tablespaces,
       ARRAY(SELECT pubname::pg_catalog.text FROM pg_catalog.pg_publication WHERE pubname = ANY ($4)) AS publications`,
    [
      [...named(GRANT, 2), ...policies.flatMap(({ roles }) => roles)],
      named(OWNER, 2),
      named(TABLESPACE, 1),
      publications.map(({ name }) => name),
      statements.flatMap((statement) => partsOf(OWNER.exec(statement)?.[1] ?? '').slice(0, 1)),
    ],
  );
  const [found] = rows as [KnownRow];
  return {
    roles: new Set([...found.roles, 'PUBLIC']),
    owners: new Set(found.owners.map(quoteQualified)),
    tablespaces: new Set(found.tablespaces),
    publications: new Set(found.publications),
    grantedByDefault: await grantedByDefault(
      client,
      members.map(([schema]) => schema),
    ),
  };
}
