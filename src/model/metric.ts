/** What a worker tells Prometheus. Gauges all: what is so now, as far as this worker has seen it. No ids in labels. */
export const METRICS = {
  holdfast_last_recoverable_timestamp_seconds: {
    labels: ['database'],
    help: 'the newest moment to which the database can be recovered, from what is archived',
  },
  holdfast_recovery_point_seconds: {
    labels: ['database'],
    help: 'what would be lost if the database were lost now',
  },
  holdfast_rpo_objective_seconds: { labels: ['database'], help: 'how much may be lost' },
  holdfast_rto_objective_seconds: { labels: ['database'], help: 'how long a recovery may take' },
  holdfast_archive_waiting: {
    labels: ['database'],
    help: 'complete logs that wait for the archiver, or to be shipped',
  },
  holdfast_archive_failing: {
    labels: ['database'],
    help: '1: the archiver fails, or its server cannot be asked',
  },
  holdfast_log_gaps: { labels: ['database'], help: 'gaps in the archived logs that nobody has acknowledged' },
  holdfast_backup_last_success_timestamp_seconds: {
    labels: ['database', 'tier'],
    help: 'end of the newest backup',
  },
  holdfast_backup_duration_seconds: { labels: ['database', 'tier'], help: 'of the newest backup' },
  holdfast_backup_size_bytes: {
    labels: ['database', 'tier'],
    help: 'what the newest backup added to the repository',
  },
  holdfast_verify_last_pass_timestamp_seconds: {
    labels: ['database', 'tier'],
    help: 'end of the newest verification that passed: the backup was restored, and was what was backed up',
  },
  holdfast_recovery_seconds: {
    labels: ['database', 'runbook'],
    help: 'how long the last completed recovery or drill of this worker took, without the time that people took',
  },
  holdfast_missed_runs: {
    labels: ['database'],
    help: 'jobs that are overdue, or that nothing starts any more',
  },
  holdfast_problems: { labels: ['severity'], help: 'what the watchdog found at its last look' },
  holdfast_audit_findings: { labels: ['severity'], help: 'what the last audit of the repository found' },
  holdfast_audit_last_run_timestamp_seconds: { labels: [], help: 'end of the last audit of this worker' },
  holdfast_watchdog_last_run_timestamp_seconds: {
    labels: [],
    help: "the watchdog's last look by this worker: what else it says of databases is as old as this",
  },
} as const satisfies Record<string, { labels: readonly string[]; help: string }>;

export type MetricName = keyof typeof METRICS;
export type MetricLabels<N extends MetricName> = Record<(typeof METRICS)[N]['labels'][number], string>;

/** Where measurements go: a worker's Prometheus endpoint, or nowhere. */
export interface Metrics {
  set<N extends MetricName>(name: N, labels: MetricLabels<N>, value: number): void;
}
