import { resolveAccess } from '../../config/access.ts';
import type { Engine } from '../../engines/engine.ts';
import type { ServerAccess } from '../../model/access.ts';
import type { Manifest } from '../../model/backup.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { TableRelation } from '../../model/relation.ts';
import type { Recoverability } from '../../repository/chain.ts';
import { withLogFolder } from '../find-folder.ts';
import { type FindQuery, questionOf, type Search, type Searched } from './search.ts';

const SERVER_PATIENCE_MS = 10_000;

/** Searches logs that a tool fetches from its own repository: they name tables by the files that their data lay in. */
export async function searchArchived(search: Search): Promise<Searched> {
  const { config, engine, known, query, run } = search;
  const { configureTools } = await import('../../workers/tools.ts');
  configureTools(config.config);
  const { table, places, notices } = await lookUp(search);
  const { chosen, stanza, serverMajor, segmentBytes, more } = await chooseLogs(known, places, query);
  const { toolRepository } = await import('../../repository/tool.ts');
  const { TOOL_FOLDER } = await import('../../repository/layout.ts');
  const repository = await toolRepository(config.config.repository, {
    use: 'restore',
    baseDirectory: config.directory,
  });
  const found = await withLogFolder((directory) =>
    engine.find(
      {
        ...questionOf(search),
        ...{ repository, stanza, serverMajor, segmentBytes, directory, relations: places },
        logs: chosen.map(({ name, key }) => ({ name, path: key.slice(TOOL_FOLDER.length + 1) })),
      },
      run,
    ),
  );
  return { table, logs: chosen.length, found, notices: [...notices, ...more] };
}

interface Looked {
  table: string;
  places: TableRelation[];
  notices: string[];
}

/** What the table is called, and every place where it was known to lie, from the newest one before the search on. */
async function lookUp({ config, database, engine, repository, known, query, run }: Search): Promise<Looked> {
  const { readRelations } = await import('../../repository/relations.ts');
  const access = await resolveAccess(database.config, config.directory);
  const notices: string[] = [];
  const backups = await readRelations(repository, manifestsFor(known.manifests, query.since), run.signal);
  const now = await present(engine, access, run.signal, notices);
  const everywhere = [...backups, ...(now ?? [])];
  const table = await nameOf(engine, access, query.table, { now, backups: everywhere }, run.signal);
  const places = everywhere.filter((one) => one.db === access.database && one.table === table);
  if (places.length > 0) return { table, places, notices };
  throw new HoldfastError('UnknownTable', `where the data of ${table} lies is not known`, {
    hint: 'no backup knows the table: it is newer than the newest one, or unlogged, and then the log has nothing of its rows',
  });
}

/** The newest manifest before the search that knows where tables lay, and all after it. */
function manifestsFor(manifests: readonly Manifest[], since: Date): Manifest[] {
  const knowing = manifests.filter(({ relations }) => relations != null);
  const before = knowing.find(({ finishedAt }) => Date.parse(finishedAt) <= since.getTime());
  return knowing.filter(
    (manifest) => manifest === before || Date.parse(manifest.finishedAt) > since.getTime(),
  );
}

/** Null where production does not answer: the backups know enough to search. */
async function present(
  engine: Engine,
  access: ServerAccess,
  signal: AbortSignal,
  notices: string[],
): Promise<TableRelation[] | null> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(SERVER_PATIENCE_MS)]);
  try {
    const run = { signal: limited, progress: () => {} };
    const { relations, refused } = await engine.listRelations(access, run, [access.database]);
    const [problem] = refused;
    if (problem === undefined) return relations;
    throw new HoldfastError('ConnectionFailed', problem.why);
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    notices.push(
      `production could not be asked where the table lies now (${why}): only what backups know is used`,
    );
    return null;
  }
}

async function nameOf(
  engine: Engine,
  access: ServerAccess,
  table: string,
  known: { now: readonly TableRelation[] | null; backups: readonly TableRelation[] },
  signal: AbortSignal,
): Promise<string> {
  if (known.now === null) {
    const { resolveKnownTables } = await import('../../engines/postgres/resolve.ts');
    return resolveKnownTables(access, [table], known.backups)[0] as string;
  }
  const run = { signal, progress: () => {} };
  return (await engine.resolveTables(access, [table], run, known.backups))[0] as string;
}

/**
 * The logs to read. They begin earlier than what was asked for where the table has got other files since the last
 * backup before it: those are followed from there.
 */
async function chooseLogs(known: Recoverability, places: readonly TableRelation[], query: FindQuery) {
  const { indexLogs } = await import('../../repository/chain.ts');
  const { logsBetween } = await import('../../repository/log-range.ts');
  const { segmentBytes } = indexLogs(known);
  const since = query.since.getTime();
  const follow = followFrom(places, since);
  const span = { from: follow ?? since, to: query.until.getTime() };
  const { logs, notices } = logsBetween(known, span, segmentBytes);
  const first = logs[0];
  if (first === undefined) {
    throw new HoldfastError('TargetNotRecoverable', `no log between these moments is archived`, {
      hint: '`holdfast catalog` shows what is; a log is archived when it is full, or by the watcher within maxAge',
    });
  }
  const oldest = Math.min(...places.map(({ at }) => Date.parse(at)));
  const more =
    oldest > since
      ? [
          `where the table lay before ${new Date(oldest).toISOString()} is not known: if it was truncated or rewritten between then and --since, what came before that is not found`,
        ]
      : [];
  return {
    ...{ chosen: logs, stanza: first.stanza, segmentBytes, more: [...notices, ...more] },
    serverMajor: Number.parseInt(first.archive, 10),
  };
}

/** The moment from which the table's files have to be followed; null: they are the same before and after `since`. */
export function followFrom(places: readonly TableRelation[], since: number): number | null {
  const moments = [...new Set(places.map(({ at }) => at))].sort((a, b) => Date.parse(a) - Date.parse(b));
  const before = moments.findLast((at) => Date.parse(at) <= since);
  if (before === undefined) return null;
  const after = moments.find((at) => Date.parse(at) > since);
  const nodesAt = (at: string | undefined) =>
    places.filter((place) => place.at === at).map(({ node }) => node);
  const still = new Set(nodesAt(after));
  return nodesAt(before).every((node) => still.has(node)) ? null : Date.parse(before);
}
