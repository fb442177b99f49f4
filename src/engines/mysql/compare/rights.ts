import { HoldfastError } from '../../../model/failure.ts';
import type { Connection } from '../connection.ts';
import type { TablePair } from './pair.ts';
import { refuseWriting } from './pair.ts';

/**
 * Servers hide what a user has no right to. A trigger that is not seen would fire all the same, and rows of a table that is
 * not seen could lose their parents: the rules that could do so are refused, with the right that is lacking.
 */
export async function refuseBlind(production: Connection, pairs: readonly TablePair[]): Promise<void> {
  const grants = await production.query<Record<string, string>>('SHOW GRANTS');
  const lines = grants.flatMap((row) => Object.values(row));
  const hides = await hidesForeignKeys(production);
  for (const { table, parts, gone, refusals } of pairs) {
    if (gone) continue;
    if (!lines.some((line) => givesTriggers(line, parts))) {
      const refusal = new HoldfastError(
        'PermissionDenied',
        `the configured user may not see triggers of ${table}, which would fire`,
        {
          hint: 'grant TRIGGER on it',
        },
      );
      Object.assign(refusals, { ...refuseWriting(refusal), ...refusals });
    }
    if (!hides) continue;
    const refusal = new HoldfastError(
      'PermissionDenied',
      `the configured user may not see every foreign key, and so not whether rows refer to those of ${table}`,
      { hint: 'grant PROCESS on *.*, and SELECT on every db whose tables refer to it' },
    );
    refusals['restore-changed'] ??= refusal;
    refusals.replace ??= refusal;
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

/** InnoDB counts all of them, the standard's views those that the user may see. */
async function hidesForeignKeys(production: Connection): Promise<boolean> {
  const view = production.server.flavour === 'mysql' ? 'innodb_foreign' : 'innodb_sys_foreign';
  try {
    const [row] = await production.query<{ all: string; seen: string }>(
      `SELECT (SELECT COUNT(*) FROM information_schema.${view}) AS \`all\`,
         (SELECT COUNT(*) FROM information_schema.referential_constraints) AS seen`,
    );
    return Number(row?.all) > Number(row?.seen);
  } catch (error) {
    if (error instanceof HoldfastError && error.type === 'PermissionDenied') return true;
    throw error;
  }
}
