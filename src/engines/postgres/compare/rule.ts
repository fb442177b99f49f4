import type { ServerAccess } from '../../../model/access.ts';
import { HoldfastError } from '../../../model/failure.ts';
import type { ConflictRule } from '../../../model/plan.ts';
import { formatNameParts, parseNameParts } from '../../../model/table.ts';
import type { CompareInput } from '../../engine.ts';
import { requireRule, type TablePair } from './table-pair.ts';

/** The rules that compare and import know so far. */
export const SUPPORTED_RULES = [
  'insert-missing',
  'restore-changed',
  'replace',
] as const satisfies readonly ConflictRule[];
export type SupportedRule = (typeof SUPPORTED_RULES)[number];

/** Throws NotSupported for a rule that the import does not know. */
export function requireSupported(rule: ConflictRule): SupportedRule {
  const supported = SUPPORTED_RULES.find((known) => known === rule);
  if (supported !== undefined) return supported;
  throw new HoldfastError('NotSupported', unsupported(rule), { hint: `use ${SUPPORTED_RULES.join(' or ')}` });
}

/** Whether the import makes tables again that are gone. */
const MAKES_TABLES: boolean = false;

const unsupported = (rule: ConflictRule) => `conflict rule ${rule} is not supported for PostgreSQL yet`;

/** Why a rule cannot be chosen for a table, in words for people; null: it can. */
export function refusalOf(pair: TablePair, rule: ConflictRule): string | null {
  if (!SUPPORTED_RULES.some((known) => known === rule)) return unsupported(rule);
  if (pair.gone && !MAKES_TABLES) return notMade(pair.table).message;
  const refusal = pair.refusals[rule];
  return refusal === undefined ? null : [refusal.message, ...(refusal.hint ? [refusal.hint] : [])].join('; ');
}

/** Throws where there is no rule by which all these tables can be imported: nobody needs to wait for such a plan. */
export function requireSomeRule(pairs: readonly TablePair[]): void {
  if (SUPPORTED_RULES.some((rule) => pairs.every((pair) => refusalOf(pair, rule) === null))) return;
  for (const pair of pairs) if (pair.gone && !MAKES_TABLES) throw notMade(pair.table);
  for (const rule of SUPPORTED_RULES) for (const pair of pairs) requireRule(pair, rule);
}

function notMade(table: string): HoldfastError {
  return new HoldfastError('UnknownTable', `there is no table ${table} in production any more`, {
    hint: 'a table that is gone in production has to be created there first, empty',
  });
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
