import { describeDatabase } from '../config/describe.ts';
import type { Config } from '../config/schema.ts';
import type { LogReport } from '../engines/contract/backup.ts';
import type { Severity } from '../model/alert.ts';
import type { BackupTier, Catalog, CatalogBackup } from '../model/backup.ts';
import type { Evidence } from '../model/evidence.ts';
import type { Metrics } from '../model/metric.ts';
import type { Problem } from '../model/problem.ts';
import type { Looked } from '../watchdog/catalogs.ts';

const TIERS: readonly BackupTier[] = ['logical', 'physical', 'snapshot'];
/** Keys of problems that say that something should have run and did not. */
const MISSED = /^(?:overdue|schedule-missing|schedule-paused)(?:\/|$)/;

/** What a look of the watchdog knows of every database, so that a worker that was started just now knows it again. */
export function measureLook(
  metrics: Metrics,
  config: Config,
  {
    catalogs,
    problems,
    now,
  }: { catalogs: ReadonlyMap<string, Looked>; problems: readonly Problem[]; now: Date },
): void {
  for (const [database, { catalog }] of catalogs) {
    const { objectives } = describeDatabase(config, database);
    metrics.set('holdfast_rpo_objective_seconds', { database }, objectives.rpoMs / 1_000);
    metrics.set('holdfast_rto_objective_seconds', { database }, objectives.rtoMs / 1_000);
    const missed = problems.filter(({ key, database: of }) => of === database && MISSED.test(key));
    metrics.set('holdfast_missed_runs', { database }, missed.length);
    if (catalog !== null) measureCatalog(metrics, catalog, now);
  }
  measureSeverities(metrics, 'holdfast_problems', problems);
  metrics.set('holdfast_watchdog_last_run_timestamp_seconds', {}, now.getTime() / 1_000);
}

function measureCatalog(metrics: Metrics, catalog: Catalog, now: Date): void {
  const { database, backups, gaps, lastRecoverableAt } = catalog;
  measureRecoverable(metrics, { database, lastRecoverableAt, now });
  const open = gaps.filter(({ acknowledged }) => acknowledged === undefined);
  metrics.set('holdfast_log_gaps', { database }, open.length);
  for (const tier of TIERS) {
    const ofTier = backups.filter((backup) => backup.tier === tier);
    const newest = newestBy(ofTier, ({ finishedAt }) => finishedAt);
    if (newest !== undefined) measureBackup(metrics, database, newest);
    const passed = ofTier.flatMap(({ verified }) => (verified?.verdict === 'pass' ? [verified] : []));
    const proved = newestBy(passed, ({ at }) => at);
    if (proved !== undefined) {
      metrics.set('holdfast_verify_last_pass_timestamp_seconds', { database, tier }, secondsOf(proved.at));
    }
  }
}

/** `lastRecoverableAt` null: nothing can be recovered, so that there is nothing to show. */
export function measureRecoverable(
  metrics: Metrics,
  { database, lastRecoverableAt, now }: { database: string; lastRecoverableAt: string | null; now: Date },
): void {
  if (lastRecoverableAt === null) return;
  const at = secondsOf(lastRecoverableAt);
  metrics.set('holdfast_last_recoverable_timestamp_seconds', { database }, at);
  metrics.set('holdfast_recovery_point_seconds', { database }, Math.max(0, now.getTime() / 1_000 - at));
}

/** What the server says of its archiver; null: it cannot be asked. */
export function measureArchive(
  metrics: Metrics,
  database: string,
  server: Pick<LogReport, 'waiting' | 'failure'> | null,
): void {
  const isFailing = server === null || server.failure !== null;
  metrics.set('holdfast_archive_failing', { database }, isFailing ? 1 : 0);
  if (server !== null) metrics.set('holdfast_archive_waiting', { database }, server.waiting);
}

export function measureBackup(
  metrics: Metrics,
  database: string,
  {
    tier,
    startedAt,
    finishedAt,
    sizeBytes,
  }: Pick<CatalogBackup, 'tier' | 'startedAt' | 'finishedAt' | 'sizeBytes'>,
): void {
  const labels = { database, tier };
  const end = secondsOf(finishedAt);
  metrics.set('holdfast_backup_last_success_timestamp_seconds', labels, end);
  metrics.set('holdfast_backup_duration_seconds', labels, end - secondsOf(startedAt));
  metrics.set('holdfast_backup_size_bytes', labels, sizeBytes);
}

/** What a completed runbook measured: a recovery, or a drill of one. */
export function measureRecovery(
  metrics: Metrics,
  { status, recoverySeconds }: Pick<Evidence, 'status' | 'recoverySeconds'>,
): void {
  const { database, runbook, outcome } = status;
  if (outcome === 'completed')
    metrics.set('holdfast_recovery_seconds', { database, runbook }, recoverySeconds);
}

export function measureSeverities(
  metrics: Metrics,
  name: 'holdfast_problems' | 'holdfast_audit_findings',
  found: readonly { severity: Severity }[],
): void {
  for (const severity of ['critical', 'warning', 'info'] as const) {
    const count = found.filter((one) => one.severity === severity).length;
    // What was there and is gone has to be seen as gone.
    metrics.set(name, { severity }, count);
  }
}

const secondsOf = (time: string): number => Date.parse(time) / 1_000;

function newestBy<T>(all: readonly T[], timeOf: (one: T) => string): T | undefined {
  return all.toSorted((a, b) => Date.parse(timeOf(b)) - Date.parse(timeOf(a)))[0];
}
