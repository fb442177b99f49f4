import type { Examined, ExamineInput } from '../../contract/examine.ts';
import { formatNeed } from '../compare/needs.ts';
import type { Connection } from '../connection.ts';
import type { Server } from '../flavour.ts';
import { describeNeeds, type Grants, grantStatements, grantsOf, has, type Need } from '../grants.ts';
import { SYSTEM_DATABASES } from '../inspect.ts';
import type { Settings } from './settings.ts';

/** A right, by every name under which it is had, and what needs it. */
interface Right {
  names: readonly string[];
  neededFor: string;
  /** of a db: it will do on every db there is; else it is had on everything or not at all */
  ofDb: boolean;
}

const ofDb = (name: string, neededFor: string): Right => ({ names: [name], neededFor, ofDb: true });
const ofServer = (names: readonly string[], neededFor: string): Right => ({ names, neededFor, ofDb: false });

/** docs/mysql.md lists them too. */
const READING: Right[] = [
  ofDb('SELECT', 'reading every table'),
  ofDb('SHOW VIEW', 'dumping views'),
  ofDb('TRIGGER', 'dumping triggers'),
  ofDb('EVENT', 'dumping events'),
  ofServer(['PROCESS'], 'dumping tablespaces, and seeing who holds a lock'),
  ofServer(
    ['RELOAD'],
    "the lock that makes a dump and its position one moment's, and closing the current log",
  ),
];

/** MariaDB split REPLICATION CLIENT, and shows it by its new name ("GRANT", "REPLICATION CLIENT"). */
const POSITION = ofServer(
  ['REPLICATION CLIENT', 'BINLOG MONITOR', 'SUPER'],
  'reading the position in the binary log',
);
const REMOTE = ofServer(['REPLICATION SLAVE', 'REPLICATION REPLICA'], 'reading logs through the server');

/** What compare/needs.ts asks for of every table; what only some need, a plan says. */
const IMPORTS = ['INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'CREATE TEMPORARY TABLES'];
const IMPORTING = 'bringing rows back (restore pitr, restore table) and taking that back (undo)';
const MAKING = 'bringing back tables that are gone, and copies beside tables (--conflict side-by-side)';

const SHOWN = 5;

/** What the user of the connection needs, one by one, and what grants it. */
export async function examineRights(
  connection: Connection,
  settings: Settings,
  { maxAgeMs, logDirectory }: Pick<ExamineInput, 'maxAgeMs' | 'logDirectory'>,
): Promise<Examined[]> {
  const grants = await grantsOf(connection);
  const dbs = await databases(connection);
  const needed = [
    ...READING,
    ...(maxAgeMs === null ? [] : [POSITION]),
    ...(maxAgeMs !== null && logDirectory == null ? [REMOTE] : []),
  ];
  const missing = needed.filter((right) => !isHad(grants, right, dbs));
  const lines = [
    ...missing.map(({ names, neededFor }) => ({
      what: 'rights',
      ok: false,
      detail: `${grants.account} lacks ${names[0]}, which ${neededFor} needs`,
      hint: `GRANT ${names[0]} ON *.* TO ${grants.account};`,
    })),
    ...lackingOf(grants, importNeeds(connection.server, settings, dbs), IMPORTING),
    ...lackingOf(grants, makingNeeds(connection.server, dbs), MAKING),
  ];
  if (lines.length > 0) return lines;
  const detail = `${grants.account} has what backups, shipping logs, reading and imports need`;
  return [{ what: 'rights', ok: true, detail, hint: null }];
}

/** Accounts are in backups, too. */
function isHad(grants: Grants, { names, ofDb }: Right, dbs: readonly string[]): boolean {
  if (!ofDb || dbs.length === 0) return has(grants, { rights: names, on: null });
  const read = names.includes('SELECT') ? [...dbs, 'mysql'] : dbs;
  return read.every((db) => has(grants, { rights: names, on: [db] }));
}

function importNeeds(server: Server, settings: Settings, dbs: readonly string[]): Need[] {
  const needs = dbs.flatMap((db) => IMPORTS.map((right): Need => ({ rights: [right], on: [db] })));
  const logsStatements = settings.isOn('log_bin') && (settings.text('binlog_format') ?? 'ROW') !== 'ROW';
  return logsStatements ? [...needs, formatNeed(server)] : needs;
}

function makingNeeds(server: Server, dbs: readonly string[]): Need[] {
  const rights = server.flavour === 'mysql' ? ['ALTER', 'REFERENCES'] : ['ALTER'];
  return dbs.flatMap((db) => rights.map((right): Need => ({ rights: [right], on: [db] })));
}

/** One line for all that a runbook lacks, in the first few dbs. */
function lackingOf(grants: Grants, needs: readonly Need[], neededFor: string): Examined[] {
  const lacking = needs.filter((need) => !has(grants, need));
  if (lacking.length === 0) return [];
  const dbs = [...new Set(lacking.flatMap(({ on }) => on?.[0] ?? []))];
  const shown = lacking.filter(({ on }) => on === null || dbs.indexOf(on[0]) < SHOWN);
  const more = dbs.length > SHOWN ? ` and ${dbs.length - SHOWN} more` : '';
  return [
    {
      what: 'rights',
      ok: false,
      detail: `${grants.account} lacks ${describeNeeds(shown)}${more}, which ${neededFor} needs`,
      hint: [
        ...grantStatements(grants, shown),
        ...new Set(shown.flatMap((need) => need.more ?? [])),
        ...(more === '' ? [] : ['and the same for the others']),
      ].join('; '),
    },
  ];
}

async function databases(connection: Connection): Promise<string[]> {
  const rows = await connection.query<{ name: string }>(
    'SELECT schema_name AS name FROM information_schema.schemata ORDER BY schema_name',
  );
  return rows.map(({ name }) => name).filter((name) => !SYSTEM_DATABASES.includes(name.toLowerCase()));
}
