import { HoldfastError } from '../../../model/failure.ts';
import { CONFLICT_RULES } from '../../../model/plan.ts';
import type { Connection } from '../connection.ts';
import { refusalOf } from '../error.ts';
import { describeNeeds, type Grants, grantStatements, grantsOf, has, type Need } from '../grants.ts';
import { quoteTable } from '../identifier.ts';
import { importNeeds, markerNeeds, type Surroundings } from './needs.ts';
import type { TablePair } from './pair.ts';

/**
 * Refuses the rules that the user of the session has no right to, with the statements that grant it: nobody is to be asked
 * about what would fail. Servers hide what a user has no right to: a trigger that is not seen would fire all the same, and
 * rows of a table that is not seen could lose their parents. Where it cannot be known, nothing is refused. `schema` is the
 * db of the change's marker.
 */
export async function refuseUnentitled(
  production: Connection,
  pairs: readonly TablePair[],
  schema = pairs[0]?.parts[0],
): Promise<void> {
  if (schema === undefined) return;
  const grants = await grantsOf(production);
  const around = await surroundingsOf(production, pairs);
  const hides = await hidesForeignKeys(production);
  for (const [index, pair] of pairs.entries()) {
    const { foreignKeys, referencedBy } = pair.production;
    const parents = await unreadable(
      production,
      foreignKeys.map(({ parent }) => parent),
    );
    const children = await unreadable(
      production,
      referencedBy.map(({ child }) => child),
    );
    if (hides && !pair.gone) children.push(...seeingKeys(grants));
    for (const rule of CONFLICT_RULES) {
      const marker = index === 0 ? markerNeeds(around, schema) : [];
      const needs = [...marker, ...importNeeds(pair, rule, pairs, around)];
      const lacking = needs.filter((need) => !has(grants, need));
      if (rule !== 'side-by-side') lacking.push(...parents);
      if (rule === 'restore-changed' || rule === 'replace') lacking.push(...children);
      if (lacking.length > 0) pair.refusals[rule] ??= unentitled(grants, lacking);
    }
  }
}

/** Whose tables refer to these is hidden, and so in which dbs the last two would do. */
function seeingKeys(grants: Grants): Need[] {
  const more = 'or SELECT and SHOW VIEW on every db whose tables refer to these';
  const needs = ['PROCESS', 'SELECT', 'SHOW VIEW'].map(
    (right): Need => ({ rights: [right], on: null, more }),
  );
  const lacking = needs.filter((need) => !has(grants, need));
  return lacking.length > 0 ? lacking : needs;
}

/** What the server itself denies; a table that is not there hides nothing. */
async function unreadable(production: Connection, tables: readonly string[][]): Promise<Need[]> {
  const lacking: Need[] = [];
  for (const table of tables) {
    if (!(await isReadable(production, table)))
      lacking.push({ rights: ['SELECT'], on: table as [string, string] });
  }
  return lacking;
}

function unentitled(grants: Grants, lacking: readonly Need[]): HoldfastError {
  // What is lacking in a db is not said again of its tables, nor what another one of these gives too.
  const isSaid = ({ on, rights }: Need) =>
    lacking.some(({ on: place, rights: [given = ''] }) => {
      const isAlike = JSON.stringify(place) === JSON.stringify(on);
      if (isAlike) return given !== rights[0] && rights.includes(given);
      return on?.length === 2 && place?.length === 1 && place[0] === on[0] && rights.includes(given);
    });
  const said = lacking.filter((need) => !isSaid(need));
  return new HoldfastError(
    'PermissionDenied',
    `the configured user lacks ${describeNeeds(said)}, which the import needs`,
    {
      hint: [...grantStatements(grants, said), ...new Set(said.flatMap(({ more }) => more ?? []))].join('; '),
    },
  );
}

async function surroundingsOf(production: Connection, pairs: readonly TablePair[]): Promise<Surroundings> {
  const [facts] = await production.query<Record<'user' | 'format' | 'log' | 'trusts', string>>(
    `SELECT CURRENT_USER() AS user, @@SESSION.binlog_format AS format, @@GLOBAL.log_bin AS log,
       @@GLOBAL.log_bin_trust_function_creators AS trusts`,
  );
  const hasLog = Number(facts?.log) === 1;
  const hasTriggers = pairs.some(({ gone, restored }) => gone && restored.triggers.length > 0);
  return {
    server: production.server,
    user: facts?.user ?? '',
    logsStatements: hasLog && facts?.format !== 'ROW',
    mistrusts: hasLog && Number(facts?.trusts) === 0,
    ...(hasTriggers ? await accountsOf(production) : { accounts: null, protectedAccounts: new Set() }),
  };
}

/** Source: "Account Categories" of MySQL's manual. Who may not read the accounts sees his own only. */
async function accountsOf(
  production: Connection,
): Promise<Pick<Surroundings, 'accounts' | 'protectedAccounts'>> {
  const rows = await production.query<{ grantee: string; right: string }>(
    'SELECT grantee AS grantee, privilege_type AS `right` FROM information_schema.user_privileges',
  );
  const named = rows.map(({ grantee, right }) => ({
    account: grantee.slice(1, -1).replace("'@'", '@'),
    right,
  }));
  const accounts = new Set(named.map(({ account }) => account));
  const isProtected = named.filter(({ right }) => right === 'SYSTEM_USER').map(({ account }) => account);
  return { accounts: accounts.size > 1 ? accounts : null, protectedAccounts: new Set(isProtected) };
}

async function isReadable(production: Connection, table: readonly string[]): Promise<boolean> {
  try {
    await production.query(`SELECT * FROM ${quoteTable(table)} LIMIT 0`);
    return true;
  } catch (error) {
    if (refusalOf(error) === null) throw error;
    return !(error instanceof HoldfastError && error.type === 'PermissionDenied');
  }
}

/** InnoDB counts all of them, the standard's views those that the user may see: in MariaDB not by SELECT alone (measured). */
async function hidesForeignKeys(production: Connection): Promise<boolean> {
  const view = production.server.flavour === 'mysql' ? 'innodb_foreign' : 'innodb_sys_foreign';
  try {
    const [row] = await production.query<{ all: string; seen: string }>(
      `SELECT (SELECT COUNT(*) FROM information_schema.${view}) AS \`all\`,
         (SELECT COUNT(DISTINCT k.table_schema, k.table_name, k.constraint_name)
            FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r
            USING (constraint_schema, constraint_name) WHERE k.referenced_table_name IS NOT NULL) AS seen`,
    );
    return Number(row?.all) > Number(row?.seen);
  } catch (error) {
    if (error instanceof HoldfastError && error.type === 'PermissionDenied') return true;
    throw error;
  }
}
