import type { BackupTier } from '../model/backup.ts';

/**
 * Every key of the repository, in one place. Keys are relative to `repository.prefix`. Tool-managed trees
 * (`pgbackrest/`) keep their own layout below the folder named here.
 */
export const TOOL_FOLDER = 'pgbackrest';

/** What lies right under the repository's prefix, besides the tool's tree. */
export const FOLDERS = {
  log: 'log/',
  logical: 'logical/',
  snapshot: 'snapshot/',
  manifest: 'manifest/',
  verification: 'verification/',
  evidence: 'evidence/',
  drill: 'drill/',
  acknowledgement: 'acknowledgement/',
  undo: 'undo/',
  export: 'export/',
  topology: 'topology/',
  doctor: 'doctor/',
  audit: 'audit/',
  /** which versions repairs have put back: written by admins alone */
  repair: 'repair/',
} as const;

export const logFolder = (database: string): string => `${FOLDERS.log}${database}/`;
export const heartbeatFolder = (database: string): string => `${logFolder(database)}heartbeat/`;

/** Logs that we ship: a folder for each server that wrote some, and in it one for each log. */
export const shippedFolder = (database: string, lineage: string, log?: string): string =>
  `${logFolder(database)}${lineage}/${log === undefined ? '' : `${encodeId(log)}/`}`;

const SHIPPED = /^log\/([^/]+)\/([0-9A-Za-z-]+\.\d+)\/([^/]+)\/[^/]+$/;

/** Whose log a key is of, and its folder; null for any other key, heartbeats too. */
export function shippedLogOf(
  key: string,
): { database: string; lineage: string; folder: string; isRecord: boolean } | null {
  const [, database, lineage] = SHIPPED.exec(key) ?? [];
  if (database === undefined || lineage === undefined) return null;
  const folder = key.slice(0, key.lastIndexOf('/') + 1);
  return { database, lineage, folder, isRecord: key.endsWith('.json') };
}

export const logicalFolder = (database: string, backup: string): string => `logical/${database}/${backup}/`;
/** Of one attempt: two attempts at the same backup never write the same key. */
export const logicalAttemptFolder = (database: string, backup: string, attempt: string): string =>
  `${logicalFolder(database, backup)}${attempt}/`;

/** A snapshot holds everything that it takes to restore it alone, a tool's tree with it. */
export const SNAPSHOT_FOLDER = 'snapshot/';
export const snapshotFolder = (database: string, backup: string): string =>
  `${SNAPSHOT_FOLDER}${database}/${backup}/`;
/** The tool's repository within a snapshot, without a slash at its end. */
export const snapshotToolFolder = (database: string, backup: string): string =>
  `${snapshotFolder(database, backup)}${TOOL_FOLDER}`;

/** What people have taken note of: gaps in the logs. */
export const acknowledgementFolder = (database: string): string => `acknowledgement/${database}/`;
export const acknowledgementKey = (
  database: string,
  gap: { timeline: number; firstMissing: string; lastMissing: string },
): string => `${acknowledgementFolder(database)}${gap.timeline}-${gap.firstMissing}-${gap.lastMissing}.json`;

export const manifestFolder = (database: string): string => `manifest/${database}/`;
export const manifestKey = (database: string, backup: string): string =>
  `${manifestFolder(database)}${backup}.json`;

/** RESTORE.md: beside a backup of ours; a tool's tree is the tool's, so there it lies beside the manifest. */
export const instructionsKey = (database: string, tier: BackupTier, backup: string): string =>
  ({
    logical: `${logicalFolder(database, backup)}RESTORE.md`,
    physical: `${manifestFolder(database)}${backup}.RESTORE.md`,
    snapshot: `${snapshotFolder(database, backup)}RESTORE.md`,
  })[tier];

/** Where the tables lay; below the attempt's folder of a backup of ours, of a tool's backup beside its manifest. */
export const relationsKey = (folder: string): string => `${folder}relations.json`;
export const physicalRelationsKey = (database: string, backup: string, attempt: string): string =>
  relationsKey(`${manifestFolder(database)}${backup}/${attempt}/`);

export const evidenceFolder = (database: string): string => `evidence/${database}/`;
export const evidenceKey = (database: string, workflowId: string): string =>
  `${evidenceFolder(database)}${encodeId(workflowId)}.json`;

export const verificationFolder = (database: string): string => `verification/${database}/`;
export const verificationKey = (database: string, backup: string): string =>
  `${verificationFolder(database)}${backup}.json`;

/** What the doctor writes to see that it can, and removes. */
export const PROBE_FOLDER = 'doctor/';

/** What the last audit has found, for those that read the repository alone. */
export const AUDIT_KEY = `${FOLDERS.audit}last.json`;

/** Where databases live since disaster recoveries moved them. */
export const TOPOLOGY_FOLDER = 'topology/';
export const topologyKey = (database: string): string => `${TOPOLOGY_FOLDER}${database}.json`;

export const drillFolder = (database: string): string => `drill/${database}/`;
export const drillKey = (database: string, workflowId: string): string =>
  `${drillFolder(database)}${encodeId(workflowId)}.json`;

export const UNDO_FOLDER = 'undo/';
export const undoFolder = (database: string, workflowId: string): string =>
  `${UNDO_FOLDER}${database}/${encodeId(workflowId)}/`;
/** Beside the undo data, and not removed with it: says that the import was taken back, and by whom. */
export const undoneKey = (database: string, workflowId: string): string =>
  `${undoFolder(database, workflowId)}undone.json`;
/** What one attempt at an import keeps; its end stands in the name, so that a listing shows what has expired. */
export const undoDataFolder = (
  database: string,
  workflowId: string,
  data: { expiresAt: string; attempt: string },
): string =>
  `${undoFolder(database, workflowId)}data/${data.expiresAt.replaceAll(/[-:]|\.\d+/g, '')}_${data.attempt}/`;

const UNDO_DATA = /^undo\/[^/]+\/[^/]+\/data\/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z_[^/]+\//;

/** The folder of undo data that a key lies in, and when that expires; null for any other key. */
export function undoDataOf(key: string): { folder: string; expiresAt: string } | null {
  const found = UNDO_DATA.exec(key);
  if (found === null) return null;
  const [folder, year, month, day, hour, minute, second] = found;
  return { folder, expiresAt: `${year}-${month}-${day}T${hour}:${minute}:${second}Z` };
}

export const exportsFolder = (database: string, workflowId: string): string =>
  `export/${database}/${encodeId(workflowId)}/`;
/** Of one attempt at an export, like those of backups. */
export const exportFolder = (database: string, workflowId: string, attempt: string): string =>
  `${exportsFolder(database, workflowId)}${attempt}/`;

/** pgBackRest's tree of archived logs for one stanza: `<version>-<n>/<16 hex>/<24 hex>-<sha1>.<compression>`. */
export const toolArchiveFolder = (stanza: string): string => `${TOOL_FOLDER}/archive/${stanza}/`;
/** pgBackRest's tree of backups for one stanza: a folder for each, named by its label. */
export const toolBackupFolder = (stanza: string): string => `${TOOL_FOLDER}/backup/${stanza}/`;

/** What the tool reads of a stanza before anything else: of each pair, the file and its copy, one is enough. */
export function toolInfoKeys(stanza: string): { archive: string[]; backup: string[] } {
  const both = (key: string) => [key, `${key}.copy`];
  return {
    archive: both(`${toolArchiveFolder(stanza)}archive.info`),
    backup: both(`${toolBackupFolder(stanza)}backup.info`),
  };
}

/** A workflow id as one part of a key or path: `pitr/shop/x` becomes `pitr%2Fshop%2Fx`; one of dots is no way up. */
export function encodeId(workflowId: string): string {
  return /^\.+$/.test(workflowId) ? workflowId.replaceAll('.', '%2E') : encodeURIComponent(workflowId);
}
