import type { PhysicalBackup } from '../engines/engine.ts';
import type { BackupKind, Manifest } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import { instructionsKey, manifestKey } from '../repository/layout.ts';
import { listManifests, readManifest, removeManifest, writeManifest } from '../repository/manifests.ts';
import type { Repository } from '../repository/repository.ts';
import { databaseOf } from './access.ts';
import type { Dependencies } from './dependencies.ts';

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
  const { engine, stanza } = databaseOf(deps, draft.database);
  const instruct = ({ database, tier, id, lockedUntil }: Manifest, text: string) =>
    repository.put(instructionsKey(database, tier, id), text, {
      contentType: 'text/markdown; charset=utf-8',
      lockedUntil,
    });
  const textOf = (manifest: Manifest) => engine.instructions(manifest, deps.config.config.repository, stanza);
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

/**
 * Makes the manifests of the physical tier equal to what the tool reports: new ones in, expired ones out. The tool
 * is asked last: a backup that another run publishes meanwhile is not taken for an expired one.
 */
export async function mirrorTool(
  deps: Dependencies,
  repository: Repository,
  { database, madeBy }: { database: string; madeBy: Manifest['madeBy'] },
  askTool: () => Promise<readonly PhysicalBackup[]>,
): Promise<void> {
  const manifests = (await listManifests(repository, database)).filter(({ tier }) => tier === 'physical');
  const known = await askTool();
  for (const backup of known.filter(({ id }) => !manifests.some((manifest) => manifest.id === id))) {
    await publish(deps, repository, manifestOf(database, backup, madeBy, deps));
  }
  for (const { id } of manifests) {
    if (!known.some((backup) => backup.id === id)) await removeManifest(repository, database, id);
  }
}

function manifestOf(
  database: string,
  backup: PhysicalBackup,
  madeBy: Manifest['madeBy'],
  deps: Dependencies,
): Manifest {
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
