import type { ServerAccess } from '../../../model/access.ts';
import { HoldfastError } from '../../../model/failure.ts';
import { CONFLICT_RULES, type ConflictRule } from '../../../model/plan.ts';
import { formatNameParts, parseNameParts } from '../../../model/table.ts';
import type { CompareInput } from '../../contract/change.ts';
import { requireRule, type TablePair } from './table-pair.ts';

/** Why a rule cannot be chosen for a table, in words for people; null: it can. */
export function refusalOf(pair: TablePair, rule: ConflictRule): string | null {
  const refusal = pair.refusals[rule];
  return refusal === undefined ? null : [refusal.message, ...(refusal.hint ? [refusal.hint] : [])].join('; ');
}

/** Throws where there is no rule by which all these tables can be imported: nobody needs to wait for such a plan. */
export function requireSomeRule(pairs: readonly TablePair[]): void {
  if (CONFLICT_RULES.some((rule) => pairs.every((pair) => refusalOf(pair, rule) === null))) return;
  for (const rule of CONFLICT_RULES) for (const pair of pairs) requireRule(pair, rule);
}

/**
 * The tables of a run in a fixed order, and both servers' access to the one db that holds them.
 * Throws InvalidInput, and NotSupported for several dbs: one transaction cannot span them.
 */
export function locateTables(input: CompareInput): {
  tables: string[];
  production: ServerAccess;
  restored: ServerAccess;
} {
  const named = input.tables.map((table) => {
    const parts = parseNameParts(table);
    if (parts.length < 2 || parts.length > 3) {
      throw new HoldfastError('InvalidInput', `${table} names no schema`, {
        hint: 'write schema.table or db.schema.table',
      });
    }
    return {
      table,
      db: parts.length === 3 ? (parts[0] as string) : input.production.database,
      name: formatNameParts(parts.slice(-2)),
    };
  });
  const dbs = [...new Set(named.map(({ db }) => db))];
  if (dbs.length > 1) {
    throw new HoldfastError('NotSupported', `the tables lie in several dbs: ${dbs.join(', ')}`, {
      hint: 'start one recovery for each db: what is imported together is one transaction, which cannot span dbs',
    });
  }
  const [db = input.production.database] = dbs;
  const tables = [...new Map(named.map(({ name, table }) => [name, table])).values()].sort();
  return {
    tables,
    production: { ...input.production, database: db },
    restored: { ...input.restored, database: restoredDatabase(input, db) },
  };
}

/** The restored server's db has the name that production's has, unless the caller named another for both. */
function restoredDatabase(input: CompareInput, db: string): string {
  return db === input.production.database ? input.restored.database : db;
}
