import type { DumpSource, ReplayShippedInput, RestoreDumpsInput } from '../engines/contract/restore.ts';
import type { DumpedDatabase, Manifest } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { dumpedContent } from '../repository/dumped-content.ts';
import { readManifest } from '../repository/manifests.ts';
import type { Repository } from '../repository/repository.ts';
import { listShippedLogs, readLogRecords, shippedContent } from '../repository/shipped/logs.ts';
import { noticesOfLogs } from '../repository/shipped/notices.ts';
import { logsOf } from '../repository/shipped/transaction.ts';
import type { Base } from './recovery-types.ts';

/** Where a dump lies, for engines. */
export function dumpSource(repository: Repository, { name, objects }: DumpedDatabase): DumpSource {
  return {
    database: name,
    open: (signal) => dumpedContent(repository, objects, signal),
    sizeBytes: objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

/** Every db of a base that is a dump, and its accounts. Throws UnknownBackup. */
export async function dumpsOfBase(
  repository: Repository,
  database: string,
  base: Base,
  run: Run,
): Promise<Pick<RestoreDumpsInput, 'backup' | 'globals' | 'dumps'>> {
  const manifest = await manifestOf(repository, database, base);
  return {
    backup: manifest.id,
    globals: manifest.globals === null ? null : await repository.getText(manifest.globals, run.signal),
    dumps: manifest.databases.map((dumped) => dumpSource(repository, dumped)),
  };
}

/**
 * The logs that are replayed from such a base, and from where on; `notices`: what people have to know of them. Throws LogGap
 * where one is gone since it was chosen.
 */
export async function logsOfBase(
  repository: Repository,
  database: string,
  base: Base,
  run: Run,
): Promise<Pick<ReplayShippedInput, 'from' | 'logs'> & { notices: string[] }> {
  const { positions } = await manifestOf(repository, database, base);
  const from = { position: positions.start ?? '', gtid: positions.gtid ?? null };
  const chosen = base.dumped?.logs ?? null;
  if (chosen === null) return { from, logs: [], notices: [] };
  const shipped = await listShippedLogs(repository, database, { signal: run.signal });
  const logs = logsOf({ ...chosen, lastLog: base.lastLog }, shipped);
  if (logs.length !== base.logs) {
    throw new HoldfastError(
      'LogGap',
      `of ${base.logs} logs from ${chosen.firstLog} to ${base.lastLog} ${logs.length} are in the repository`,
      {
        hint: `logs were removed since the base was chosen: start again; holdfast catalog ${database} shows what is left`,
      },
    );
  }
  const records = await readLogRecords(repository, logs, run.signal);
  return {
    from,
    logs: records.map((record) => shippedContent(repository, record)),
    notices: noticesOfLogs(records),
  };
}

async function manifestOf(repository: Repository, database: string, base: Base): Promise<Manifest> {
  const manifest = await readManifest(repository, database, base.backup);
  if (manifest !== null) return manifest;
  throw new HoldfastError('UnknownBackup', `the manifest of backup ${base.backup} cannot be read`, {
    hint: `holdfast catalog ${database} lists the backups`,
  });
}
