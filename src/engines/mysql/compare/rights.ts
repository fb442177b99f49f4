import { HoldfastError } from '../../../model/failure.ts';
import { formatNameParts } from '../../../model/table.ts';
import type { Connection } from '../connection.ts';
import { refusalOf } from '../error.ts';
import { quoteTable } from '../identifier.ts';
import type { TablePair } from './pair.ts';

/**
 * Servers hide what a user has no right to. A trigger that is not seen would fire all the same, and rows of a table that is
 * not seen could lose their parents: the rules that could do so are refused, with the right that is lacking.
 */
export async function refuseBlind(production: Connection, pairs: readonly TablePair[]): Promise<void> {
  const grants = await production.query<Record<string, string>>('SHOW GRANTS');
  const lines = grants.flatMap((row) => Object.values(row));
  const hides = await hidesForeignKeys(production);
  const denied = (message: string, hint: string) => new HoldfastError('PermissionDenied', message, { hint });
  for (const { table, parts, gone, refusals, production: live } of pairs) {
    const refuse = (refusal: HoldfastError, changing = false) => {
      if (!changing) refusals['insert-missing'] ??= refusal;
      refusals['restore-changed'] ??= refusal;
      refusals.replace ??= refusal;
    };
    if (!gone && !lines.some((line) => givesTriggers(line, parts))) {
      refuse(
        denied(
          `the configured user may not see triggers of ${table}, which would fire`,
          'grant TRIGGER on it',
        ),
      );
    }
    for (const { parent } of live.foreignKeys) {
      if (await isReadable(production, parent)) continue;
      const name = formatNameParts(parent);
      refuse(
        denied(
          `the configured user may not read ${name}, to which rows of ${table} refer`,
          `grant SELECT on ${name}`,
        ),
      );
    }
    for (const { child } of live.referencedBy) {
      if (await isReadable(production, child)) continue;
      const name = formatNameParts(child);
      refuse(
        denied(
          `the configured user may not read ${name}, whose rows refer to ${table}`,
          `grant SELECT on ${name}`,
        ),
        true,
      );
    }
    if (gone || !hides) continue;
    refuse(
      denied(
        `the configured user may not see every foreign key, and so not whether rows refer to those of ${table}`,
        'grant PROCESS on *.*, and SELECT and SHOW VIEW on every db whose tables refer to it',
      ),
      true,
    );
  }
}

/** One that is not there hides nothing. */
async function isReadable(production: Connection, table: readonly string[]): Promise<boolean> {
  try {
    await production.query(`SELECT * FROM ${quoteTable(table)} LIMIT 0`);
    return true;
  } catch (error) {
    if (refusalOf(error) === null) throw error;
    return !(error instanceof HoldfastError && error.type === 'PermissionDenied');
  }
}

/** Whether a line of SHOW GRANTS lets see the triggers of a table. */
export function givesTriggers(line: string, [schema, name]: readonly [string, string]): boolean {
  const [, privileges = '', place = ''] =
    /^GRANT (.+?) ON (\*\.\*|`(?:[^`]|``)+`\.(?:\*|`(?:[^`]|``)+`)) TO /.exec(line) ?? [];
  if (!/(?:^|, )(?:ALL PRIVILEGES|TRIGGER)(?:,|$)/.test(privileges)) return false;
  if (place === '*.*') return true;
  const [, db = '', table] = /^`((?:[^`]|``)+)`\.(?:\*|`((?:[^`]|``)+)`)$/.exec(place) ?? [];
  const plain = db.replaceAll('``', '`');
  if (table !== undefined) return plain === schema && table.replaceAll('``', '`') === name;
  const pattern = plain.replaceAll(/\\[_%]|[_%]|[.*+?^${}()|[\]\\]/g, (found) => {
    if (found === '_') return '.';
    if (found === '%') return '.*';
    return found.startsWith('\\') && found.length > 1 ? (found[1] as string) : `\\${found}`;
  });
  return new RegExp(`^${pattern}$`, 's').test(schema);
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
