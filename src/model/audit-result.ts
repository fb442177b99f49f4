import type { Severity } from './alert.ts';
import type { AuditFinding, AuditReport } from './audit.ts';
import { developmentOf, type Problem, type WatchedProblem } from './problem.ts';

/** An audit without its calendars, which a run's history is no place for: those are the command's. */
export interface AuditSummary extends Pick<AuditReport, 'at' | 'repository' | 'looked'> {
  databases: number;
  counts: Record<Severity, number>;
  /** the worst first */
  findings: KeyedFinding[];
  /** findings beyond those that are listed */
  more: number;
}

/** What `repositoryAudit` returns: part of the contract. */
export interface AuditResult extends AuditSummary {
  findings: LastingFinding[];
}

export interface KeyedFinding extends AuditFinding {
  /** the same for as long as it lasts; only of critical ones, which people are told of */
  key?: string;
}

export interface LastingFinding extends KeyedFinding {
  /** ISO 8601: since when an audit has seen it */
  since?: string;
}

/** What a workflow's result can hold, by far. */
const MOST = 200;

export function summarize(report: AuditReport, databases: number): AuditSummary {
  const { at, repository, looked, findings } = report;
  const count = (severity: Severity) => findings.filter((one) => one.severity === severity).length;
  return {
    ...{ at, repository, looked, databases },
    counts: { critical: count('critical'), warning: count('warning'), info: count('info') },
    findings: findings
      .slice(0, MOST)
      .map((one) => (one.severity === 'critical' ? { ...one, key: keyOf(one) } : one)),
    more: Math.max(0, findings.length - MOST),
  };
}

export interface AuditDevelopment {
  result: AuditResult;
  /** critical ones to be told: each that is new, and each that lasts once a day (UTC) */
  due: WatchedProblem[];
  /** critical ones that are gone */
  over: WatchedProblem[];
}

/**
 * What became of the critical findings since the audit before. Of what could not be looked at, the findings of before
 * still stand.
 */
export function auditDevelopment(
  before: AuditResult | null,
  found: AuditSummary,
  now: string,
): AuditDevelopment {
  const critical = found.findings.filter(({ key }) => key !== undefined);
  // The first of those that differ in numbers and dates only stands for them.
  const problems = [...new Map(critical.flatMap(problemOf).reverse()).values()].reverse();
  const unread = critical.flatMap(({ code, database }) =>
    code === 'not-looked-at' && database !== null ? [database] : [],
  );
  const { report, due, over } = developmentOf(
    before === null ? null : { at: before.at, problems: before.findings.flatMap(watchedOf), more: 0 },
    { problems, unread, more: found.counts.critical - critical.length },
    now,
  );
  const since = new Map(report.problems.map((problem) => [problem.key, problem.since]));
  const keys = new Set(problems.map(({ key }) => key));
  const kept = (before?.findings ?? []).filter(
    ({ key }) => key !== undefined && since.has(key) && !keys.has(key),
  );
  return {
    result: {
      ...found,
      counts: { ...found.counts, critical: found.counts.critical + kept.length },
      findings: [
        ...kept,
        ...found.findings.map((finding): LastingFinding => {
          const { key } = finding;
          return key === undefined ? finding : { ...finding, since: since.get(key) ?? now };
        }),
      ],
    },
    due,
    over,
  };
}

/**
 * A finding by its cause: the rule to blame where one is named, else its first words. Numbers, dates and names of backups
 * change from one day to the next while the matter stays the same.
 */
function keyOf({ code, database, what }: AuditFinding): string {
  const cause = /\brule \S+/.exec(what)?.[0] ?? what.split(/[;:]/)[0] ?? '';
  return `${code}/${database ?? 'all'}/${cause.replaceAll(/\b\d\S*/g, '#').slice(0, 100)}`;
}

function problemOf({ key, database, what, hint }: KeyedFinding): [string, Problem][] {
  if (key === undefined) return [];
  return [[key, { key, database, what, hint, severity: 'critical', since: null, told: 'nothing' }]];
}

function watchedOf({ key, since, database, what, hint }: LastingFinding): WatchedProblem[] {
  if (key === undefined || since === undefined) return [];
  return [{ key, since, database, what, hint, severity: 'critical', told: 'nothing' }];
}
