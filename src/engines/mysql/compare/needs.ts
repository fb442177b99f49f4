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
  /** definers that are protected from others (SYSTEM_USER), as far as the user may know: `user@host` */
  protectedUsers: ReadonlySet<string>;
}

const inDb = (db: string, ...rights: string[]): Need[] =>
  rights.map((right) => ({ rights: [right], on: [db] }));

/** Every change has its marker, which has no name before it is there: so rights on its db are what counts. */
export function markerNeeds({ server, logsStatements }: Surroundings, db: string): Need[] {
  const needs = inDb(db, 'CREATE', 'INSERT', 'SELECT', 'DROP');
  return logsStatements ? [...needs, formatNeed(server)] : needs;
}

/** Sources: "Setting The Binary Log Format" of MySQL's manual, "SET SESSION binlog_format" of MariaDB's; measured. */
export const formatNeed = ({ flavour }: Pick<Server, 'flavour'>): Need => ({
  rights:
    flavour === 'mysql'
      ? ['SESSION_VARIABLES_ADMIN', 'SYSTEM_VARIABLES_ADMIN', 'SUPER']
      : ['BINLOG ADMIN', 'SUPER'],
  on: null,
  more: 'or SET GLOBAL binlog_format = ROW',
});

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

/** Sources: "CREATE TRIGGER", "Stored Program Binary Logging", "Stored Object Access Control"; MariaDB: measured. */
function triggers({ parts, restored }: TablePair, around: Surroundings): Need[] {
  if (restored.triggers.length === 0) return [];
  const { server, user, mistrusts, protectedUsers } = around;
  const others = restored.triggers.map(({ definer }) => definer).filter((definer) => definer !== user);
  const needs = inDb(parts[0], 'TRIGGER');
  if (mistrusts) {
    // Who is trusted so may name others as well.
    const rights = server.flavour === 'mariadb' ? ['SUPER'] : definerRights(server);
    const more = 'or SET GLOBAL log_bin_trust_function_creators = 1';
    needs.push({ rights, on: null, ...(others.length === 0 ? { more } : {}) });
  } else if (others.length > 0) needs.push({ rights: definerRights(server), on: null });
  if (others.some((definer) => protectedUsers.has(definer)))
    needs.push({ rights: ['SYSTEM_USER'], on: null });
  return needs;
}

/** MySQL 8.2 has split SET_USER_ID, and 8.4 has lost it. */
function definerRights({ flavour, series }: Server): string[] {
  if (flavour === 'mariadb') return ['SET USER', 'SUPER'];
  return series < 802 ? ['SET_USER_ID', 'SUPER'] : ['SET_ANY_DEFINER', 'SET_USER_ID', 'SUPER'];
}
