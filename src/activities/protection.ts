import type { LogReport, PhysicalBackup } from '../engines/engine.ts';
import { logicalInstructions, physicalInstructions } from '../engines/postgres/instructions.ts';
import type { BackupKind, Manifest } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { writeHeartbeat } from '../repository/heartbeats.ts';
import { instructionsKey, logicalAttemptFolder, logicalFolder, manifestKey } from '../repository/layout.ts';
import { listManifests, readManifest, removeManifest, writeManifest } from '../repository/manifests.ts';
import type { Repository } from '../repository/repository.ts';
import { openSink } from '../repository/sink.ts';
import { toolRepository } from '../repository/tool.ts';
import { databaseOf, productionAccess, withRepository } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { asActivity } from './run.ts';

type MadeBy = Manifest['madeBy'];

/** What a backup workflow returns; the manifest in the repository has the rest. */
export interface BackupSummary {
  id: string;
  database: string;
  tier: Manifest['tier'];
  kind: BackupKind;
  startedAt: string;
  finishedAt: string;
  sizeBytes: number;
  databaseBytes: number;
  manifest: string;
}

/** A round of the log watcher at one database; `problem` in words where there is one. */
export type WatchReport = Pick<LogReport, 'database'> & Partial<LogReport> & { problem: string | null };

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
        // An earlier attempt may have been killed right after its manifest.
        const published = await readManifest(repository, input.database, input.backup);
        if (published !== null) return summaryOf(published);
        const prefix = logicalFolder(input.database, input.backup);
        await repository.abortUploads(prefix);
        return summaryOf(await dump(deps, repository, input, run));
      }),
    );
  },

  /** After a failure for good: no open upload and no object of a backup that does not exist. */
  async abandonLogicalBackup(input: { database: string; backup: string }): Promise<void> {
    return asActivity((run) =>
      withRepository(deps, 'backup', async (repository) => {
        if ((await readManifest(repository, input.database, input.backup)) !== null) return;
        const prefix = logicalFolder(input.database, input.backup);
        run.progress({ phase: 'removing what the failed backup left' });
        await repository.abortUploads(prefix);
        for await (const object of repository.list(prefix)) await repository.remove(object.key);
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
        const { engine, stanza, config, tiers } = databaseOf(deps, input.database);
        if (config.postgres === undefined) throw noPhysical(input.database);
        const tool = await toolFor(deps, 'backup');
        const backup = await engine.backup(
          {
            access: await productionAccess(deps, input.database),
            repository: tool,
            stanza,
            dataDirectory: config.postgres.dataDirectory,
            systemUser: config.postgres.systemUser,
            kind: input.kind,
            retentionFull: tiers.physical?.retentionFull ?? 2,
          },
          run,
        );
        run.progress({ phase: 'publishing the manifest' });
        const known = await engine.listBackups(
          { repository: tool, stanza, systemUser: config.postgres.systemUser },
          run,
        );
        await mirror(repository, input.database, known, input.madeBy, deps);
        const manifest = await readManifest(repository, input.database, backup.id);
        if (manifest === null)
          throw new HoldfastError(
            'BackupFailed',
            `backup ${backup.id} is not in the repository after it ended`,
          );
        return summaryOf(manifest);
      }),
    );
  },

  /** One round over all databases of the host; a database that cannot be watched does not stop the others. */
  async watchHost(input: { host: string }): Promise<WatchReport[]> {
    return asActivity((run) =>
      withRepository(deps, 'backup', async (repository) => {
        const reports: WatchReport[] = [];
        for (const [name, { host }] of Object.entries(deps.config.config.databases)) {
          if (host !== input.host || databaseOf(deps, name).tiers.log === null) continue;
          run.progress({ phase: `watching ${name}` });
          reports.push(await watch(deps, repository, name, run));
        }
        return reports;
      }),
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
  const { lock, kmsKeyId } = deps.config.config.repository;
  const lockedUntil =
    lock === undefined ? null : new Date(startedAt.getTime() + retention.logicalMs).toISOString();
  const attempt = `${startedAt.getTime().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
  const sink = openSink(repository, logicalAttemptFolder(input.database, input.backup, attempt), {
    lockedUntil,
    signal: run.signal,
  });
  const result = await engine.dump(
    {
      access: await productionAccess(deps, input.database),
      sink,
      fingerprints: tiers.logical?.fingerprints ?? true,
    },
    run,
  );
  const objects = [
    ...result.databases.flatMap((database) => [...database.objects, database.schema]),
    ...(result.globals === null ? [] : [result.globals]),
  ];
  const draft: Manifest = {
    formatVersion: 1,
    id: input.backup,
    database: input.database,
    engine: config.engine,
    tier: 'logical',
    kind: 'full',
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
    sizeBytes: objects.reduce((sum, object) => sum + object.sizeBytes, 0),
    databaseBytes: result.facts.totalBytes,
    dependsOn: [],
    lockedUntil,
    serverVersion: result.facts.version,
    systemIdentifier: result.facts.systemIdentifier,
    tools: result.tools,
    encryption: { kmsKeyId: kmsKeyId ?? null, repositoryCipher: false },
    positions: result.positions,
    databases: result.databases,
    globals: result.globals,
    instructions: null,
    notices: result.notices,
    madeBy: input.madeBy,
  };
  const manifest = await withInstructions(
    repository,
    draft,
    logicalInstructions(draft, deps.config.config.repository),
  );
  await writeManifest(repository, manifest);
  return manifest;
}

/** Makes the manifests of the physical tier equal to what the tool reports: new ones in, expired ones out. */
async function mirror(
  repository: Repository,
  database: string,
  known: readonly PhysicalBackup[],
  madeBy: MadeBy,
  deps: Dependencies,
): Promise<void> {
  const manifests = (await listManifests(repository, database)).filter(({ tier }) => tier === 'physical');
  for (const backup of known.filter(({ id }) => !manifests.some((manifest) => manifest.id === id))) {
    const draft = manifestOf(database, backup, madeBy, deps);
    await writeManifest(
      repository,
      await withInstructions(repository, draft, physicalInstructions(draft, deps.config.config.repository)),
    );
  }
  for (const { id } of manifests) {
    if (!known.some((backup) => backup.id === id)) await removeManifest(repository, database, id);
  }
}

function manifestOf(database: string, backup: PhysicalBackup, madeBy: MadeBy, deps: Dependencies): Manifest {
  const { kmsKeyId, cipher } = deps.config.config.repository;
  return {
    formatVersion: 1,
    id: backup.id,
    database,
    engine: 'postgres',
    tier: 'physical',
    kind: backup.kind,
    startedAt: backup.startedAt,
    finishedAt: backup.finishedAt,
    sizeBytes: backup.sizeBytes,
    databaseBytes: backup.databaseBytes,
    dependsOn: backup.dependsOn,
    lockedUntil: null,
    serverVersion: String(backup.serverMajor),
    systemIdentifier: backup.systemIdentifier,
    tools: { pgbackrest: backup.toolVersion },
    encryption: { kmsKeyId: kmsKeyId ?? null, repositoryCipher: cipher !== undefined },
    positions: backup.positions,
    databases: [],
    globals: null,
    instructions: null,
    notices: backup.error ? ['the tool found page checksum errors while taking this backup'] : [],
    madeBy,
  };
}

/** Stores RESTORE.md beside the backup and names it in the manifest. */
async function withInstructions(repository: Repository, draft: Manifest, text: string): Promise<Manifest> {
  const key = instructionsKey(draft.database, draft.tier, draft.id);
  const instructions = await repository.put(key, text, {
    contentType: 'text/markdown; charset=utf-8',
    lockedUntil: draft.lockedUntil,
  });
  return { ...draft, instructions };
}

async function watch(
  deps: Dependencies,
  repository: Repository,
  name: string,
  run: Run,
): Promise<WatchReport> {
  try {
    const { engine, config, tiers } = databaseOf(deps, name);
    if (config.postgres === undefined) throw noPhysical(name);
    const maxAgeMs = tiers.log?.maxAgeMs ?? Number.POSITIVE_INFINITY;
    const report = await engine.watchLog(
      {
        database: name,
        access: await productionAccess(deps, name),
        dataDirectory: config.postgres.dataDirectory,
        maxAgeMs,
      },
      run,
    );
    if (report.heartbeat !== null) await writeHeartbeat(repository, name, report.heartbeat);
    return { ...report, problem: problemOf(report, maxAgeMs) };
  } catch (error) {
    if (run.signal.aborted) throw error;
    const problem = error instanceof Error ? error.message : String(error);
    deps.logger.error({ database: name, problem }, 'the log archive cannot be watched');
    return { database: name, problem };
  }
}

/** Said before the RPO is broken: the archiver's own message, or the age of the newest archived log. */
function problemOf(report: LogReport, maxAgeMs: number): string | null {
  if (report.failure !== null) return `archiving fails since ${report.failure.at}: ${report.failure.message}`;
  if (report.lastArchivedAt === null) return 'nothing was archived yet';
  const age = Date.parse(report.at) - Date.parse(report.lastArchivedAt);
  return age > maxAgeMs ? `the newest archived log is ${Math.round(age / 1_000)} s old` : null;
}

function summaryOf(manifest: Manifest): BackupSummary {
  const { id, database, tier, kind, startedAt, finishedAt, sizeBytes, databaseBytes } = manifest;
  return {
    id,
    database,
    tier,
    kind,
    startedAt,
    finishedAt,
    sizeBytes,
    databaseBytes,
    manifest: manifestKey(database, id),
  };
}

const toolFor = (deps: Dependencies, use: 'backup' | 'restore') =>
  toolRepository(deps.config.config.repository, { use, baseDirectory: deps.config.directory });

function noPhysical(database: string): HoldfastError {
  return new HoldfastError('InvalidConfiguration', `database ${database} has no postgres section`, {
    hint: 'physical backups and logs need the data directory: postgres.dataDirectory in the configuration',
  });
}
