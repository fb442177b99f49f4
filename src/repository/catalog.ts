import type { Catalog, CatalogBackup } from '../model/backup.ts';
import { acknowledge, readAcknowledgements } from './acknowledgements.ts';
import { mapBounded } from './bounded.ts';
import type { Recoverability } from './chain.ts';
import { continuityOf } from './continuity.ts';
import { listHeartbeats } from './heartbeats.ts';
import { type History, logsOf, manifestsOf, stanzasOf } from './history.ts';
import { readLegalHolds } from './legal-holds.ts';
import { listArchivedLogs } from './logs.ts';
import { listManifests } from './manifests.ts';
import type { Repository } from './repository.ts';
import { listShippedLogs } from './shipped/logs.ts';
import { readVerifications, type VerificationRecord } from './verifications.ts';

const STANZAS_AT_ONCE = 4;

/** Everything of one database that the repository holds and that recovery depends on. */
export async function readRecoverability(
  repository: Repository,
  database: string,
  history: History,
  signal?: AbortSignal,
): Promise<Recoverability> {
  // Logs last: a backup or heartbeat that is seen then has its logs listed, not the other way round.
  const [manifests, heartbeats] = await Promise.all([
    listManifests(repository, database),
    listHeartbeats(repository, database, signal === undefined ? {} : { signal }),
  ]);
  if (history.bases === 'logical') {
    const shipped = await listShippedLogs(repository, database, signal === undefined ? {} : { signal });
    return { manifests, heartbeats, segments: [], shipped };
  }
  const logs = await mapBounded(stanzasOf(history), STANZAS_AT_ONCE, (stanza) =>
    listArchivedLogs(repository, stanza, signal),
  );
  return {
    manifests: manifestsOf(history, manifests),
    heartbeats,
    segments: logsOf(history, logs.flat()),
    former: history.former,
  };
}

/**
 * The catalog as `holdfast catalog` shows it, from the repository alone. Legal holds cost a request for each backup, and
 * are read where they are asked for.
 */
export async function readCatalog(
  repository: Repository,
  database: string,
  options: History & { now: Date; holds?: boolean },
): Promise<Catalog> {
  const [recoverability, verifications, acknowledgements] = await Promise.all([
    readRecoverability(repository, database, options),
    readVerifications(repository, database),
    readAcknowledgements(repository, database),
  ]);
  const continuity = continuityOf(recoverability, options.now);
  const held =
    options.holds === true ? await readLegalHolds(repository, recoverability.manifests) : new Set<string>();
  const verified = new Map(verifications.map((one) => [one.backup, one]));
  return {
    database,
    backups: recoverability.manifests.map((manifest) => ({
      id: manifest.id,
      tier: manifest.tier,
      kind: manifest.kind,
      startedAt: manifest.startedAt,
      finishedAt: manifest.finishedAt,
      sizeBytes: manifest.sizeBytes,
      dependsOn: manifest.dependsOn,
      lockedUntil: manifest.lockedUntil,
      ...(held.has(manifest.id) ? { legalHold: true as const } : {}),
      verified: verifiedOf(verified.get(manifest.id)),
    })),
    ...continuity,
    gaps: acknowledge(continuity.gaps, acknowledgements),
  };
}

const verifiedOf = (record: VerificationRecord | undefined): CatalogBackup['verified'] =>
  record === undefined ? null : { verdict: record.verdict, at: record.finishedAt };
