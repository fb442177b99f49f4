import { HoldfastError } from '../../model/failure.ts';
import { formatNameParts } from '../../model/table.ts';
import type { ServerFacts } from '../contract/backup.ts';
import type { Connection } from './connection.ts';
import { refusalOf } from './error.ts';
import { type CountedTable, listTables } from './fingerprint.ts';
import { type Definition, readDefinitions } from './schema.ts';

/** Whose rows a transaction keeps as they were, or that keep none. */
const STANDING = new Set(['innodb', 'rocksdb', 'tokudb', 'blackhole']);
const NAMED = 5;

/** What a dump has to find again at its end: another definition means that it may hold parts of two. */
export interface Survey {
  definitions: Map<string, Definition[]>;
  /** the engine's own numbers of tables, which change with TRUNCATE too; empty where the user may not see them */
  ids: Map<string, string>;
}

export async function survey(connection: Connection, facts: ServerFacts): Promise<Survey> {
  const definitions = new Map<string, Definition[]>();
  for (const { name } of facts.databases) definitions.set(name, await readDefinitions(connection, name));
  return { definitions, ids: await tableIds(connection) };
}

async function tableIds(connection: Connection): Promise<Map<string, string>> {
  const source = connection.server.flavour === 'mysql' ? 'INNODB_TABLES' : 'INNODB_SYS_TABLES';
  try {
    const rows = await connection.query<{ name: string; id: string }>(
      `SELECT NAME AS name, TABLE_ID AS id FROM information_schema.${source}
        WHERE NAME NOT LIKE 'mysql/%' AND NAME NOT LIKE 'sys/%' AND NAME LIKE '%/%'
          AND NAME NOT LIKE '%/#sql%' AND NAME NOT LIKE '%/fts\\_%'`,
    );
    return new Map(rows.map(({ name, id }) => [name, String(id)]));
  } catch (error) {
    if (refusalOf(error) === null || (error as { type?: string }).type !== 'PermissionDenied') throw error;
    return new Map();
  }
}

/** Throws BackupFailed where a definition is not what it was: DDL is not held back by a dump's transaction. */
export function requireSame(before: Survey, after: Survey): void {
  const changed = [...changedDefinitions(before, after)];
  if (changed.length === 0) {
    for (const [name, id] of before.ids)
      if (after.ids.get(name) !== id) changed.push(`table ${name.replace('/', '.')}`);
  }
  if (changed.length === 0) return;
  const more = changed.length > NAMED ? ` and ${changed.length - NAMED} more` : '';
  throw new HoldfastError(
    'BackupFailed',
    `made, changed, truncated or dropped while the dump ran: ${changed.slice(0, NAMED).join(', ')}${more}`,
    { hint: 'it is tried again; keep migrations out of the backup window' },
  );
}

function* changedDefinitions(before: Survey, after: Survey): Generator<string> {
  for (const db of new Set([...before.definitions.keys(), ...after.definitions.keys()])) {
    const [there, here] = [before, after].map(
      ({ definitions }) =>
        new Map(
          (definitions.get(db) ?? []).map((one) => [
            `${one.kind} ${formatNameParts([db, one.name])}`,
            bodyOf(one),
          ]),
        ),
    ) as [Map<string, string>, Map<string, string>];
    for (const name of new Set([...there.keys(), ...here.keys()])) {
      if (there.get(name) !== here.get(name)) yield name;
    }
  }
}

/** The counter of AUTO_INCREMENT goes on while a dump runs. */
const bodyOf = ({ context, text }: Definition): string =>
  `${context}\n${text.replace(/ AUTO_INCREMENT=\d+/, '')}`;

/** Throws NotSupported where a table's rows do not stand still in a transaction, or a name cannot be told from a line. */
export async function requireDumpable(connection: Connection, facts: ServerFacts): Promise<CountedTable[]> {
  const names = facts.databases.map(({ name }) => name);
  const odd = names.find((name) => /[\r\n]/.test(name));
  if (odd !== undefined) {
    throw new HoldfastError('NotSupported', 'there is a db with a line break in its name', {
      hint: 'rename it: what mysqldump writes of it cannot be told from other lines',
    });
  }
  const tables = await listTables(connection, names);
  const moving = tables.filter(({ engine }) => !STANDING.has((engine ?? '').toLowerCase()));
  if (moving.length === 0) return tables;
  const shown = moving
    .slice(0, NAMED)
    .map(({ db, name, engine }) => `${formatNameParts([db, name])} (${engine ?? 'cannot be opened'})`);
  const more = moving.length > NAMED ? ` and ${moving.length - NAMED} more` : '';
  throw new HoldfastError(
    'NotSupported',
    `${moving.length === 1 ? 'a table does' : `${moving.length} tables do`} not stand still in a transaction: ${shown.join(', ')}${more}`,
    {
      hint: 'ALTER TABLE … ENGINE=InnoDB, or drop what is not needed: a dump of it would be of no one moment',
    },
  );
}
