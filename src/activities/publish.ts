import { classOf } from '../config/storage-class.ts';
import type { PhysicalBackup, SnapshotPlace } from '../engines/contract/backup.ts';
import type { BackupKind, Manifest, StoredObject } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { firstStanza } from '../repository/history.ts';
import { instructionsKey, manifestKey, physicalRelationsKey, snapshotFolder } from '../repository/layout.ts';
import { formerStanzas } from '../repository/lifecycle/former.ts';
import { listManifests, readManifest, removeManifest, writeManifest } from '../repository/manifests.ts';
import { writeRelations } from '../repository/relations.ts';
import type { Repository } from '../repository/repository.ts';
import { databaseOf, productionAccess } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { lockPhysical } from './locking.ts';

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

/**
 * Stores RESTORE.md beside the backup, then the manifest that makes it one. Where another attempt, taken for dead
 * or not, was first, that is the backup, and its RESTORE.md is put back on top.
 */
export async function publish(
  deps: Dependencies,
  repository: Repository,
  draft: Manifest,
): Promise<Manifest> {
  const database = databaseOf(deps, draft.database);
  const instruct = ({ database, tier, id, lockedUntil }: Manifest, text: string) =>
    repository.put(instructionsKey(database, tier, id), text, {
      contentType: 'text/markdown; charset=utf-8',
      lockedUntil,
    });
  const textOf = (manifest: Manifest) =>
    database.engine.instructions(
      manifest,
      deps.config.config.repository,
      manifest.stanza ?? firstStanza(database),
      manifest.tier === 'snapshot' ? snapshotPlaceOf(deps, manifest) : undefined,
    );
  const manifest = { ...draft, instructions: await instruct(draft, textOf(draft)) };
  if (await writeManifest(repository, manifest)) return manifest;
  const first = await readManifest(repository, draft.database, draft.id);
  if (first === null) {
    throw new HoldfastError(
      'BackupFailed',
      `the manifest of backup ${draft.id} is there, but cannot be read`,
    );
  }
  await instruct(first, textOf({ ...first, instructions: null }));
  return first;
}

const snapshotPlaceOf = ({ config }: Dependencies, { database, id }: Manifest): SnapshotPlace => ({
  folder: snapshotFolder(database, id),
  storageClass: classOf(config.config.repository, 'snapshot'),
});

/**
 * Makes the manifests of the physical tier equal to what the tool reports of this stanza: new ones in, expired ones
 * out. The tool is asked last: a backup that another run publishes meanwhile is not taken for an expired one. Manifests
 * of a stanza that was left go when lifecycle rules remove it: no tool says so.
 */
export async function mirrorTool(
  deps: Dependencies,
  repository: Repository,
  { database, stanza, madeBy }: { database: string; stanza: string; madeBy: Manifest['madeBy'] },
  askTool: () => Promise<readonly PhysicalBackup[]>,
  run: Run,
): Promise<void> {
  const view = databaseOf(deps, database);
  const first = firstStanza(view);
  const physical = (await listManifests(repository, database)).filter(({ tier }) => tier === 'physical');
  const manifests = physical.filter((manifest) => (manifest.stanza ?? first) === stanza);
  const known = await askTool();
  for (const backup of known.filter(({ id }) => !manifests.some((manifest) => manifest.id === id))) {
    const attempt = `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
    const key = physicalRelationsKey(database, backup.id, attempt);
    const { lockedUntil, ...locked } = await lockPhysical(
      deps,
      repository,
      { database, stanza },
      backup,
      run,
    );
    const kept = await keepRelations(deps, repository, { database, key, lockedUntil }, run);
    const { relations } = kept;
    const draft = manifestOf({ database, stanza, madeBy }, backup, deps);
    const notices = [...draft.notices, ...locked.notices, ...kept.notices];
    const published = await publish(deps, repository, { ...draft, lockedUntil, relations, notices });
    if (relations !== null && published.relations?.key !== key) await repository.remove(key);
  }
  const over = formerStanzas([view]).filter((former) => Date.parse(former.over) <= Date.now());
  const gone = [
    ...manifests.filter(({ id }) => !known.some((backup) => backup.id === id)),
    ...physical.filter((manifest) => over.some((one) => one.stanza === (manifest.stanza ?? first))),
  ];
  for (const { id, relations } of gone) {
    await removeManifest(repository, database, id);
    if (relations != null) await repository.remove(relations.key);
  }
}

function manifestOf(
  of: Pick<Manifest, 'database' | 'madeBy'> & { stanza: string },
  backup: PhysicalBackup,
  deps: Dependencies,
): Manifest {
  const { kmsKeyId, cipher } = deps.config.config.repository;
  return {
    formatVersion: 1,
    id: backup.id,
    ...of,
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
  };
}

/**
 * Reads in production where the tables lie, and keeps it under `key`. What could not be read the notices of the backup
 * tell: a backup is worth more than what `find` knows of dropped tables.
 */
export async function keepRelations(
  deps: Dependencies,
  repository: Repository,
  backup: { database: string; key: string; lockedUntil: string | null },
  run: Run,
): Promise<{ relations: StoredObject | null; notices: string[] }> {
  const { database, key, lockedUntil } = backup;
  const unread = (what: string, why: string) => {
    deps.logger.warn({ database, problem: why }, `where ${what} lie could not be kept with the backup`);
    return `where ${what} lie could not be read (${why}): \`holdfast find\` knows less of them`;
  };
  try {
    run.progress({ phase: 'reading where the tables lie' });
    const access = await productionAccess(deps, database);
    const known = await databaseOf(deps, database).engine.listRelations(access, run);
    return {
      relations: await writeRelations(repository, key, known.relations, { lockedUntil, signal: run.signal }),
      notices: known.refused.map(({ db, why }) => unread(`the tables of ${db}`, why)),
    };
  } catch (error) {
    run.signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    return { relations: null, notices: [unread('the tables', why)] };
  }
}

export function summaryOf(manifest: Manifest): BackupSummary {
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
