import { resolveAccess } from '../config/access.ts';
import type { DatabaseView } from '../config/describe.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Catalog } from '../model/backup.ts';
import { type FailureType, HoldfastError } from '../model/failure.ts';
import type { TableRelation } from '../model/relation.ts';
import type { Target } from '../model/target.ts';
import type { Repository } from '../repository/repository.ts';

/** A person waits: an S3 or a server that does not answer within this is left to the runbook. */
const PATIENCE_MS = 5_000;

/** Opens the repository for reading, for one command. */
export async function withRepository<T>(
  { config, directory }: LoadedConfig,
  work: (repository: Repository) => Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const { openRepository } = await import('../repository/repository.ts');
  const repository = await openRepository(config.repository, {
    use: 'restore',
    baseDirectory: directory,
    patienceMs,
  });
  try {
    return await work(repository);
  } finally {
    repository.close();
  }
}

/** What the repository holds of a database, read now. */
export async function readCatalogOf(
  config: LoadedConfig,
  database: DatabaseView,
  { holds = false } = {},
): Promise<Catalog> {
  const { readCatalog } = await import('../repository/catalog.ts');
  return withRepository(config, (repository) =>
    readCatalog(repository, database.name, { ...database, now: new Date(), holds }),
  );
}

/** What says that the target or a table is wrong; anything else only says that it could not be looked at from here. */
const VERDICTS: readonly FailureType[] = [
  'InvalidInput',
  'UnknownTable',
  'UnknownBackup',
  'TargetNotRecoverable',
  'LogGap',
  'BackupUnusable',
  'NotSupported',
];

/** Throws what the runbook would refuse about the target; a note where the repository cannot be read from here. */
export function checkTarget(
  config: LoadedConfig,
  database: DatabaseView,
  target: Target,
  beyondGap: 'refuse' | 'leave' = 'refuse',
): Promise<string | null> {
  return orNote('the runbook checks the target itself', async () => {
    const { chooseBackup } = await import('../repository/choice.ts');
    const { readRecoverability } = await import('../repository/catalog.ts');
    const known = await withRepository(config, (repository) =>
      readRecoverability(repository, database.name, database),
    );
    chooseBackup({ target, now: new Date(), beyondGap, ...known });
  });
}

/** The same of the logical backup that tables are restored from. */
export function checkLogical(
  config: LoadedConfig,
  database: DatabaseView,
  backup: string | null,
): Promise<string | null> {
  return orNote('the runbook looks for the backup itself', async () => {
    const { chooseLogical } = await import('../repository/choice-logical.ts');
    const { listManifests } = await import('../repository/manifests.ts');
    const manifests = await withRepository(config, (repository) => listManifests(repository, database.name));
    chooseLogical(manifests, { database: database.name, db: database.config.connection.database, backup });
  });
}

/**
 * Throws UnknownTable with the nearest names; a note where production cannot be asked from here. A table that was
 * dropped since is known from the backups.
 */
export function checkTables(
  config: LoadedConfig,
  database: DatabaseView,
  tables: readonly string[],
): Promise<string | null> {
  return orNote('the runbook looks the tables up itself', async () => {
    const { ENGINES } = await import('../workers/engines.ts');
    const { orDropped } = await import('../repository/relations.ts');
    const access = await resolveAccess(database.config, config.directory);
    const run = { signal: AbortSignal.timeout(PATIENCE_MS), progress: () => {} };
    await orDropped(
      async (known) => ENGINES[database.config.engine]?.resolveTables(access, tables, run, known),
      () => readKnownTables(config, database),
    );
  });
}

async function readKnownTables(config: LoadedConfig, database: DatabaseView): Promise<TableRelation[]> {
  const { readRecoverability } = await import('../repository/catalog.ts');
  const { readRelations } = await import('../repository/relations.ts');
  return withRepository(config, async (repository) => {
    const { manifests } = await readRecoverability(repository, database.name, database);
    return readRelations(repository, manifests);
  });
}

/** Throws InvalidInput where an import left nothing to undo, is undone, or its time is over; a note where that cannot be looked up. */
export function checkUndo(
  config: LoadedConfig,
  database: DatabaseView,
  workflowId: string,
): Promise<string | null> {
  return orNote('the runbook looks the import up itself', async () => {
    const { readImport } = await import('../repository/undo.ts');
    const { requireUndo } = await import('../repository/undoable.ts');
    const { requireNotUndone } = await import('../repository/undone.ts');
    await withRepository(config, async (repository) => {
      const record = await readImport(repository, database.name, workflowId);
      requireUndo(workflowId, record, new Date());
      const undo = { database: database.name, import: workflowId, workflowId: '' };
      await requireNotUndone(repository, undo, record);
    });
  });
}

async function orNote(then: string, look: () => Promise<void>): Promise<string | null> {
  try {
    await look();
    return null;
  } catch (error) {
    if (error instanceof HoldfastError && VERDICTS.includes(error.type)) throw error;
    return `${error instanceof Error ? error.message : String(error)}; ${then}`;
  }
}
