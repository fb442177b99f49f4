import { resolveAccess } from '../../config/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { TableRelation } from '../../model/relation.ts';
import { formatNameParts, parseNameParts } from '../../model/table.ts';
import { questionOf, type Search, type Searched } from './search.ts';
import { shippedBetween } from './shipped-range.ts';

const SERVER_PATIENCE_MS = 10_000;

/** Searches logs that were shipped into the repository: they name tables themselves. */
export async function searchShipped(search: Search): Promise<Searched> {
  const { repository, engine, known, query, run } = search;
  const { table, notice } = await nameOf(search);
  const span = { from: query.since.getTime(), to: query.until.getTime() };
  const { logs: chosen, notices } = shippedBetween(known.shipped ?? [], span);
  if (chosen.length === 0) {
    throw new HoldfastError('TargetNotRecoverable', 'no log between these moments was shipped', {
      hint: '`holdfast catalog` shows what was; a log is shipped when it is closed, by the watcher within maxAge',
    });
  }
  const { readLogRecords, shippedContent } = await import('../../repository/shipped/logs.ts');
  const records = await readLogRecords(repository, chosen, run.signal);
  const logs = records.map((record) => shippedContent(repository, record));
  const found = await engine.find({ ...questionOf(search), table, logs }, run);
  return { table, logs: logs.length, found, notices: [...notice, ...notices] };
}

/**
 * The table's full name: as production has it, or a backup; else as it was given. A table may have come and gone
 * between two backups, and only the logs know.
 */
async function nameOf(search: Search): Promise<{ table: string; notice: string[] }> {
  const { config, database, engine, query, run } = search;
  const access = await resolveAccess(database.config, config.directory);
  const signal = AbortSignal.any([run.signal, AbortSignal.timeout(SERVER_PATIENCE_MS)]);
  try {
    const known = await knownTables(search);
    const quietly = { signal, progress: () => {} };
    const [table = ''] = await engine.resolveTables(access, [query.table], quietly, known);
    return { table, notice: [] };
  } catch (error) {
    run.signal.throwIfAborted();
    const table = fullName(query.table, access.database);
    if (error instanceof HoldfastError && error.type === 'UnknownTable') {
      const hint = error.hint === undefined ? '' : ` (${error.hint})`;
      return { table, notice: [`${error.message}${hint}: the logs are searched for ${table} all the same`] };
    }
    const why = error instanceof Error ? error.message : String(error);
    return { table, notice: [`production could not be asked (${why}): the logs are searched for ${table}`] };
  }
}

async function knownTables({ repository, known, run }: Search): Promise<TableRelation[]> {
  const { readRelations } = await import('../../repository/relations.ts');
  return readRelations(repository, known.manifests, run.signal);
}

/** `db.table`; without a db the one of the connection is meant. Throws InvalidInput. */
export function fullName(text: string, database: string): string {
  const [name = '', db = database, ...more] = parseNameParts(text).reverse();
  if (more.length === 0) return formatNameParts([db, name]);
  throw new HoldfastError('InvalidInput', `"${text}" has too many parts for a table`, {
    hint: 'write db.table, with double quotes around a part that holds a dot or a quote',
  });
}
