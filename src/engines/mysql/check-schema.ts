import type { ServerAccess } from '../../model/access.ts';
import type { Check } from '../../model/evidence.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { formatNameParts, parseNameParts } from '../../model/table.ts';
import { schemaCheck } from '../beside-production.ts';
import { type Connection, withConnection } from './connection.ts';
import { readDefinitions, schemaText } from './schema.ts';

/**
 * The difference between the copy's definitions and production's: of these tables, or of every db. It is no damage, but
 * an import has to cope with it, so an on-call engineer has to see it.
 */
export async function checkSchema(
  { restored, tables }: { restored: ServerAccess; tables: string[] | null },
  production: ServerAccess,
  dbs: readonly string[],
  run: Run,
): Promise<Check> {
  const [copy, now] = await Promise.all([
    linesOf(restored, dbs, tables, run),
    linesOf(production, dbs, tables, run),
  ]);
  const scope = tables === null ? 'all definitions' : tables.join(', ');
  return schemaCheck(scope, differencesOf(copy, now));
}

/** By what is defined, `column shop.orders.note`, how it is. */
type Lines = ReadonlyMap<string, string>;

/** In words; where a table is on one side only, nothing is said of its columns. */
export function differencesOf(copy: Lines, production: Lines): string[] {
  const alone = new Set(
    [...new Set([...copy.keys(), ...production.keys()])].filter(
      (key) => key.startsWith('table ') && copy.has(key) !== production.has(key),
    ),
  );
  const isOfAlone = (key: string) =>
    [...alone].some((table) => key.slice(key.indexOf(' ')).startsWith(`${table.slice(5)}.`));
  return [
    ...[...copy].flatMap(([key, definition]) => {
      const now = production.get(key);
      if (now === definition || isOfAlone(key)) return [];
      return [
        now === undefined
          ? `${key} is not in production`
          : `${key} was ${definition}, is ${now} in production`,
      ];
    }),
    ...[...production.keys()]
      .filter((key) => !copy.has(key) && !isOfAlone(key))
      .map((key) => `${key} is not in the copy`),
  ].sort();
}

async function linesOf(
  access: ServerAccess,
  dbs: readonly string[],
  tables: string[] | null,
  run: Run,
): Promise<Lines> {
  const wanted = tables?.map((table) => parseNameParts(table).slice(-2)) ?? null;
  const session = { applicationName: 'check', readOnly: true };
  return withConnection(
    { ...access, database: '' },
    run,
    async (connection) => {
      const lines = new Map<string, string>();
      for (const db of dbs) {
        const names = wanted?.filter(([of]) => of === db).map(([, name]) => name as string) ?? null;
        for (const line of await readLines(connection, db, names)) {
          const [kind = '', name = '', ...rest] = line.split(' | ');
          const called = kind === 'db' ? name : `${formatNameParts([db])}.${name}`;
          lines.set(`${kind} ${called}`, rest.join(' | '));
        }
      }
      return lines;
    },
    session,
  );
}

/** `tables` null: everything of the db. Empty where the db is not there. */
async function readLines(
  connection: Connection,
  db: string,
  tables: readonly string[] | null,
): Promise<string[]> {
  const definitions = await readDefinitions(connection, db).catch((error: unknown) => {
    if (error instanceof HoldfastError && /unknown database/i.test(error.message)) return [];
    throw error;
  });
  const kept =
    tables === null
      ? definitions
      : definitions.filter(({ kind, name }) => kind === 'table' && tables.includes(name));
  return schemaText(kept)
    .text.split('\n')
    .filter((line) => line !== '');
}
