import { classOf } from '../config/storage-class.ts';
import type { BackupKind, Manifest } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import { keptByTool } from '../model/kept-by-tool.ts';
import type { Run } from '../model/progress.ts';
import { removeUnpublished } from '../repository/attempts.ts';
import { logicalAttemptFolder, logicalFolder, relationsKey } from '../repository/layout.ts';
import { readManifest } from '../repository/manifests.ts';
import type { Repository } from '../repository/repository.ts';
import { openSink } from '../repository/sink.ts';
import {
  databaseOf,
  physicalOf,
  postgresOf,
  productionAccess,
  toolRepositoryOf,
  withRepository,
} from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { lockDate, lockObjects } from './locking.ts';
import { measureBackup } from './measuring.ts';
import { type BackupSummary, keepRelations, mirrorTool, publish, summaryOf } from './publish.ts';
import { asActivity } from './run.ts';
import { WATCH_PATIENCE_MS, type WatchHost, watchAll } from './watch.ts';
import type { WatchReport } from './watch-report.ts';

type MadeBy = Manifest['madeBy'];

/** What runs at a database's host: backups and the log watch. */
export const createProtectionActivities = (deps: Dependencies) => ({
  /** Dumps into an attempt-unique prefix; the manifest, written last, is what makes it a backup. */
  async takeLogicalBackup(input: {
    database: string;
    backup: string;
    madeBy: MadeBy;
  }): Promise<BackupSummary> {
    return asActivity((run) =>
      withRepository(deps, 'backup', async (repository) => {
        const { database, backup } = input;
        await repository.abortUploads(logicalFolder(database, backup));
        // An earlier attempt may have been killed right after its manifest.
        const manifest =
          (await readManifest(repository, database, backup)) ?? (await dump(deps, repository, input, run));
        await removeUnpublished(repository, { database, id: backup }, manifest);
        measureBackup(deps.metrics, database, manifest);
        return summaryOf(manifest);
      }),
    );
  },

  /**
   * After a failure for good: no open upload and no object of a backup that does not exist. Any worker can: the
   * host of the database may be what is gone.
   */
  async abandonLogicalBackup(input: { database: string; backup: string }): Promise<void> {
    return asActivity((run) =>
      withRepository(deps, 'backup', async (repository) => {
        const { database, backup } = input;
        run.progress({ phase: 'removing what the failed backup left' });
        const manifest = await readManifest(repository, database, backup);
        await removeUnpublished(repository, { database, id: backup }, manifest);
      }),
    );
  },

  async takePhysicalBackup(input: {
    database: string;
    kind: BackupKind;
    madeBy: MadeBy;
  }): Promise<BackupSummary> {
    return asActivity((run) =>
      withRepository(deps, 'backup', async (repository) => {
        const { engine, stanza, config, tiers, retention } = databaseOf(deps, input.database);
        const physical = physicalOf(engine, input.database);
        const { dataDirectory, systemUser } = postgresOf(input.database, config);
        const tool = await toolRepositoryOf(deps, 'backup');
        const askTool = () => physical.listBackups({ repository: tool, stanza, systemUser }, run);
        const known = { made: await askTool(), next: input.kind, now: Date.now() };
        const backup = await physical.backup(
          {
            access: await productionAccess(deps, input.database),
            repository: tool,
            stanza,
            dataDirectory,
            systemUser,
            kind: input.kind,
            ...keptByTool(tiers.physical, retention, known),
          },
          run,
        );
        run.progress({ phase: 'publishing the manifest' });
        await mirrorTool(deps, repository, { ...input, stanza }, askTool, run);
        const manifest = await readManifest(repository, input.database, backup.id);
        if (manifest === null)
          throw new HoldfastError(
            'BackupFailed',
            `backup ${backup.id} is not in the repository after it ended`,
          );
        measureBackup(deps.metrics, input.database, manifest);
        return summaryOf(manifest);
      }),
    );
  },

  /** One round over all databases of the host; a database that cannot be watched does not stop the others. */
  async watchHost(input: WatchHost): Promise<WatchReport[]> {
    return asActivity((run) =>
      withRepository(
        deps,
        'backup',
        (repository) => watchAll(deps, repository, input, run),
        WATCH_PATIENCE_MS,
      ),
    );
  },
});

async function dump(
  deps: Dependencies,
  repository: Repository,
  input: { database: string; backup: string; madeBy: MadeBy },
  run: Run,
): Promise<Manifest> {
  const { engine, config, tiers, retention } = databaseOf(deps, input.database);
  const startedAt = new Date();
  const { kmsKeyId } = deps.config.config.repository;
  const keptFrom = (moment: Date) => new Date(moment.getTime() + retention.logicalMs);
  // Locked from its first byte on, and for a little longer when it is complete: it is kept from its end on.
  const uploaded = lockDate(deps, keptFrom(startedAt));
  const attempt = `${startedAt.getTime().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
  const folder = logicalAttemptFolder(input.database, input.backup, attempt);
  const sink = openSink(repository, folder, {
    ...{ lockedUntil: uploaded, signal: run.signal },
    storageClass: classOf(deps.config.config.repository, 'logical'),
  });
  const result = await engine.dump(
    {
      access: await productionAccess(deps, input.database),
      sink,
      fingerprints: tiers.logical?.fingerprints ?? true,
    },
    run,
  );
  const place = { database: input.database, key: relationsKey(folder), lockedUntil: uploaded };
  const kept = await keepRelations(deps, repository, place, run);
  const objects = [
    ...result.databases.flatMap((database) => [...database.objects, database.schema]),
    ...(result.globals === null ? [] : [result.globals]),
  ];
  const finishedAt = new Date();
  const expiresAt = keptFrom(finishedAt);
  const lockedUntil = lockDate(deps, expiresAt);
  await lockObjects(repository, [...objects, kept.relations], lockedUntil, run);
  const draft: Manifest = {
    formatVersion: 1,
    id: input.backup,
    database: input.database,
    engine: config.engine,
    tier: 'logical',
    kind: 'full',
    startedAt: startedAt.toISOString(),
    finishedAt: finishedAt.toISOString(),
    sizeBytes: objects.reduce((sum, object) => sum + object.sizeBytes, 0),
    databaseBytes: result.facts.totalBytes,
    dependsOn: [],
    lockedUntil,
    expiresAt: expiresAt.toISOString(),
    serverVersion: result.facts.version,
    systemIdentifier: result.facts.systemIdentifier,
    tools: result.tools,
    encryption: { kmsKeyId: kmsKeyId ?? null, repositoryCipher: false },
    positions: result.positions,
    databases: result.databases,
    globals: result.globals,
    relations: kept.relations,
    instructions: null,
    notices: [...result.notices, ...kept.notices],
    madeBy: input.madeBy,
  };
  // For an S3 without conditional writes; elsewhere the manifest itself is written once.
  const published = await readManifest(repository, input.database, input.backup);
  if (published !== null) return published;
  return publish(deps, repository, draft);
}
