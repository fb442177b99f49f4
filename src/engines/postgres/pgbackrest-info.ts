import { z } from 'zod';
import { HoldfastError } from '../../model/failure.ts';
import type { PhysicalBackup } from '../contract/backup.ts';

const backupSchema = z.object({
  label: z.string(),
  type: z.enum(['full', 'diff', 'incr']),
  error: z.boolean().nullish(),
  prior: z.string().nullish(),
  reference: z.array(z.string()).nullish(),
  archive: z.object({ start: z.string().nullish(), stop: z.string().nullish() }).nullish(),
  lsn: z.object({ start: z.string().nullish(), stop: z.string().nullish() }).nullish(),
  timestamp: z.object({ start: z.number(), stop: z.number() }),
  backrest: z.object({ version: z.string() }),
  database: z.object({ id: z.number() }),
  info: z.object({ size: z.number(), repository: z.object({ delta: z.number() }) }),
});

const stanzaSchema = z.object({
  name: z.string(),
  backup: z.array(backupSchema),
  db: z.array(z.object({ id: z.number(), version: z.string(), 'system-id': z.string() })),
  status: z.object({ code: z.number(), message: z.string() }),
  repo: z.array(z.object({ status: z.object({ code: z.number(), message: z.string() }) })).nullish(),
});

/** Status codes of `info` that mean: nothing there yet (missing stanza path, no valid backup, missing stanza data). */
const EMPTY = new Set([1, 2, 3]);
const OK = 0;

/**
 * The backups of a stanza, oldest first, from `pgbackrest info --output=json`. `info` exits 0 even where it
 * could not read the repository: `failure` turns what it says there into an error.
 */
export function parsePgbackrestInfo(
  text: string,
  stanza: string,
  failure: (message: string) => HoldfastError,
): PhysicalBackup[] {
  // A system identifier has 64 bits, more than a number of JavaScript holds.
  const exact = text.replace(/("system-id":)\s*(\d+)/g, '$1"$2"');
  const json = readJson(exact);
  // With a wrong passphrase the message holds raw bytes of the repository's files, which is no JSON.
  if (json === undefined) throw failure(text);
  const parsed = z.array(stanzaSchema).safeParse(json);
  if (!parsed.success) {
    throw new HoldfastError('ToolFailed', 'the output of pgbackrest info is not understood', {
      hint: 'this version of pgBackRest may be newer than Holdfast knows',
    });
  }
  const found = parsed.data.find(({ name }) => name === stanza);
  if (found === undefined || EMPTY.has(found.status.code)) return [];
  if (found.status.code !== OK) {
    throw failure([found, ...(found.repo ?? [])].map(({ status }) => status.message).join('\n'));
  }
  return found.backup
    .map((backup) => physicalBackup(backup, found.db))
    .sort((a, b) => (a.finishedAt < b.finishedAt ? -1 : 1));
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function physicalBackup(
  backup: z.infer<typeof backupSchema>,
  databases: z.infer<typeof stanzaSchema>['db'],
): PhysicalBackup {
  const server = databases.find(({ id }) => id === backup.database.id);
  const { archive, lsn } = backup;
  return {
    id: backup.label,
    kind: backup.type === 'full' ? 'full' : 'diff',
    startedAt: new Date(backup.timestamp.start * 1_000).toISOString(),
    finishedAt: new Date(backup.timestamp.stop * 1_000).toISOString(),
    sizeBytes: backup.info.repository.delta,
    databaseBytes: backup.info.size,
    dependsOn: [...new Set([...(backup.reference ?? []), ...(backup.prior ? [backup.prior] : [])])].sort(),
    positions: {
      timeline: archive?.stop ? Number.parseInt(archive.stop.slice(0, 8), 16) : null,
      start: lsn?.start ?? null,
      stop: lsn?.stop ?? null,
      startLog: archive?.start ?? null,
      stopLog: archive?.stop ?? null,
    },
    serverMajor: Math.floor(Number(server?.version ?? 0)),
    toolVersion: backup.backrest.version,
    systemIdentifier: server?.['system-id'] ?? '',
    error: backup.error === true,
  };
}
