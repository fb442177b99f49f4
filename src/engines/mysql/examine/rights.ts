import type { Examined, ExamineInput } from '../../contract/examine.ts';
import type { Connection } from '../connection.ts';
import { SYSTEM_DATABASES } from '../inspect.ts';
import { grantsOf, holds } from './grants.ts';

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

/** What the user of the connection needs, one by one, and what grants it. */
export async function examineRights(
  connection: Connection,
  { maxAgeMs, logDirectory }: Pick<ExamineInput, 'maxAgeMs' | 'logDirectory'>,
): Promise<Examined[]> {
  const [who] = await connection.query<{ user: string }>('SELECT CURRENT_USER() AS user');
  const user = quoteAccount(who?.user ?? '');
  const grants = await grantsOf(connection);
  const dbs = await databases(connection);
  const needed = [
    ...READING,
    ...(maxAgeMs === null ? [] : [POSITION]),
    ...(maxAgeMs !== null && logDirectory == null ? [REMOTE] : []),
  ];
  // Accounts are in backups, too.
  const read = [...dbs, 'mysql'];
  const dbsOf = ({ names, ofDb }: Right) => (!ofDb ? null : names.includes('SELECT') ? read : dbs);
  const missing = needed.filter((right) => !holds(grants, right.names, dbsOf(right)));
  if (missing.length > 0) {
    return missing.map((right) => ({
      what: 'rights',
      ok: false,
      detail: `${user} lacks ${right.names[0]}, which ${right.neededFor} needs`,
      hint: `GRANT ${right.names[0]} ON *.* TO ${user};`,
    }));
  }
  const detail = `${user} has what backups, shipping logs and reading need`;
  return [{ what: 'rights', ok: true, detail, hint: null }];
}

async function databases(connection: Connection): Promise<string[]> {
  const rows = await connection.query<{ name: string }>(
    'SELECT schema_name AS name FROM information_schema.schemata',
  );
  return rows.map(({ name }) => name).filter((name) => !SYSTEM_DATABASES.includes(name.toLowerCase()));
}

/** `user@host` as statements want it. */
function quoteAccount(account: string): string {
  const at = account.lastIndexOf('@');
  return [account.slice(0, at), account.slice(at + 1)]
    .map((part) => `'${part.replaceAll("'", "''")}'`)
    .join('@');
}
