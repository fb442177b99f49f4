import type { ConflictRule } from '../../../model/plan.ts';
import type { Server } from '../flavour.ts';
import type { Need } from '../grants.ts';
import type { TablePair } from './pair.ts';
import { isSameTable } from './table.ts';

/** What of a server decides which rights a change of it takes. */
export interface Surroundings {
  server: Server;
  /** the user of the session: `user@host` */
  user: string;
  /** a session of now would have statements logged */
  logsStatements: boolean;
  /** a trigger may be made only by who may do much more: there is a binary log, and nobody is trusted */
  mistrusts: boolean;
  /** all there are: `user@host`; null: the user may not know */
  accounts: ReadonlySet<string> | null;
  /** of these, the ones that are protected from others (SYSTEM_USER) */
  protectedAccounts: ReadonlySet<string>;
}

const inDb = (db: string, ...rights: string[]): Need[] =>
  rights.map((right) => ({ rights: [right], on: [db] }));

/** Every change has its marker, which has no name before it is there: so rights on its db are what counts. */
export function markerNeeds({ server, logsStatements }: Surroundings, db: string): Need[] {
  const needs = inDb(db, 'CREATE', 'INSERT', 'SELECT', 'DROP');
  return logsStatements ? [...needs, formatNeed(server)] : needs;
}

/** Sources: "Setting The Binary Log Format" of MySQL's manual, "SET SESSION binlog_format" of MariaDB's; measured. */
export function formatNeed(server: Pick<Server, 'flavour' | 'series'>): Need {
  const era = eraOf(server);
  const mysql = ['SESSION_VARIABLES_ADMIN', 'SYSTEM_VARIABLES_ADMIN', 'SUPER'];
  const rights =
    server.flavour === 'mysql' ? mysql : era === 'mariadb' ? ['BINLOG ADMIN', 'SUPER'] : ['BINLOG ADMIN'];
  return { rights, on: null, more: 'or SET GLOBAL binlog_format = ROW' };
}

/** What an import of one table by a rule needs beside its marker: each right was measured on both flavours. */
export function importNeeds(
  pair: TablePair,
  rule: ConflictRule,
  pairs: readonly TablePair[],
  around: Surroundings,
): Need[] {
  if (rule === 'side-by-side') return making(pair);
  if (!pair.gone) return changing(pair, rule, around);
  return [...making(pair), ...parents(pair, pairs, around), ...triggers(pair, around)];
}

/** Under a name of ours, and renamed. */
const making = ({ parts }: TablePair): Need[] =>
  inDb(parts[0], 'CREATE', 'INSERT', 'SELECT', 'ALTER', 'DROP');

function changing(
  { parts, columns, key, production }: TablePair,
  rule: ConflictRule,
  { server }: Surroundings,
): Need[] {
  const needs: Need[] = [
    ...inDb(parts[0], 'CREATE TEMPORARY TABLES'),
    // Triggers are hidden from who has no right to them, and fire all the same.
    { rights: ['TRIGGER'], on: parts },
    { rights: ['INSERT'], on: parts, columns },
  ];
  if (rule !== 'insert-missing') {
    const automatic = production.columns
      .filter((column) => column.automatic === true)
      .map(({ name }) => name);
    if (key !== null) needs.push({ rights: ['UPDATE'], on: parts, columns: [...columns, ...automatic] });
    // Rows that exchange values of another unique index are deleted and come again.
    if (rule === 'replace' || production.uniques.length > 1) needs.push({ rights: ['DELETE'], on: parts });
  } else if (server.flavour === 'mysql') {
    // Source: "Locking Reads": FOR UPDATE takes one of them. MariaDB asks for none (measured).
    needs.push({ rights: ['UPDATE', 'DELETE', 'LOCK TABLES'], on: parts, anyColumn: true });
  }
  return needs;
}

/** MySQL wants REFERENCES on each parent, there or not (measured); MariaDB takes the SELECT that a comparison needs. */
function parents({ production }: TablePair, pairs: readonly TablePair[], { server }: Surroundings): Need[] {
  if (server.flavour !== 'mysql') return [];
  return production.foreignKeys.map(({ parent }) => {
    const [db, table] = parent as [string, string];
    const isMade = pairs.some((other) => other.gone && isSameTable(other.parts, parent));
    return { rights: ['REFERENCES'], on: isMade ? [db] : [db, table] };
  });
}

/**
 * Sources: "CREATE TRIGGER", "Stored Program Binary Logging", "Stored Object Access Control"; which right serves in which
 * version was measured.
 */
function triggers({ parts, restored }: TablePair, around: Surroundings): Need[] {
  if (restored.triggers.length === 0) return [];
  const { user, mistrusts, accounts, protectedAccounts } = around;
  const { trusted, others, missing } = TRIGGER_RIGHTS[eraOf(around.server)];
  const definers = restored.triggers.map(({ definer }) => definer).filter((definer) => definer !== user);
  const needs = inDb(parts[0], 'TRIGGER');
  const onAll = (rights: string[], more: Partial<Need> = {}) => needs.push({ rights, on: null, ...more });
  const trust = { more: 'or SET GLOBAL log_bin_trust_function_creators = 1' };
  if (mistrusts) onAll(trusted, definers.length === 0 ? trust : {});
  if (definers.length > 0) onAll(others);
  if (definers.some((definer) => protectedAccounts.has(definer))) onAll(['SYSTEM_USER']);
  const isGone = (definer: string) => accounts !== null && !accounts.has(definer);
  if (missing !== null && definers.some(isGone)) onAll(missing);
  return needs;
}

/** To make triggers where there is a log, to make them for others, and for accounts that are not there. */
const TRIGGER_RIGHTS: Record<Era, { trusted: string[]; others: string[]; missing: string[] | null }> = {
  mysql: { trusted: ['SET_USER_ID', 'SUPER'], others: ['SET_USER_ID', 'SUPER'], missing: null },
  // SET_USER_ID was split.
  'mysql 8.2': {
    trusted: ['SUPER', 'SET_USER_ID'],
    others: ['SET_ANY_DEFINER', 'SUPER', 'SET_USER_ID'],
    missing: ['ALLOW_NONEXISTENT_DEFINER', 'SUPER', 'SET_USER_ID'],
  },
  mariadb: { trusted: ['SUPER'], others: ['SET USER', 'SUPER'], missing: null },
  // SUPER has lost what has a right of its own.
  'mariadb 11': { trusted: ['SUPER'], others: ['SET USER'], missing: null },
};

type Era = 'mysql' | 'mysql 8.2' | 'mariadb' | 'mariadb 11';

function eraOf({ flavour, series }: Pick<Server, 'flavour' | 'series'>): Era {
  if (flavour === 'mysql') return series < 802 ? 'mysql' : 'mysql 8.2';
  return series < 1100 ? 'mariadb' : 'mariadb 11';
}
