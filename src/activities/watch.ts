import type { LogReport } from '../engines/contract/backup.ts';
import type { Run } from '../model/progress.ts';
import { writeHeartbeat } from '../repository/heartbeats.ts';
import type { Repository } from '../repository/repository.ts';
import { databaseOf, postgresOf, productionAccess } from './access.ts';
import type { Dependencies } from './dependencies.ts';

/** A round of the log watcher at one database; `problem` in words where there is one. */
export type WatchReport = Pick<LogReport, 'database'> & Partial<LogReport> & { problem: string | null };

/** A round at one database. Never throws but when it is cancelled: the others still want their round. */
export async function watch(
  deps: Dependencies,
  repository: Repository,
  name: string,
  run: Run,
): Promise<WatchReport> {
  try {
    const { engine, config, tiers } = databaseOf(deps, name);
    const maxAgeMs = tiers.log?.maxAgeMs ?? Number.POSITIVE_INFINITY;
    const report = await engine.watchLog(
      {
        database: name,
        access: await productionAccess(deps, name),
        dataDirectory: postgresOf(name, config).dataDirectory,
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
