import { log, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { Alert } from '../model/alert.ts';
import { SEARCH_ATTRIBUTES } from '../model/attribute.ts';
import { parseInput } from '../model/input.ts';
import { dayOf, developmentOf, type WatchdogReport, type WatchedProblem } from '../model/problem.ts';
import { raise } from './alerts.ts';
import { answerGaps } from './gaps.ts';
import { control } from './proxies.ts';
import { failureOf, orEnd } from './runbook/failure.ts';

/** A storm says no more than its first drops. */
const MOST_ALERTS = 20;

/**
 * Looks for what should have run and did not, tells people of it once a day for as long as it lasts, and once when it is
 * over. Returns what it has found, which the next run compares with.
 */
export async function watchdog(given: unknown): Promise<WatchdogReport> {
  orEnd(() => parseInput('watchdog', given ?? {}));
  upsertSearchAttributes({ [SEARCH_ATTRIBUTES.runbook]: ['watchdog'] });
  const { found, before, tells, pings } = await control.lookForProblems({});
  const now = new Date().toISOString();
  const { report, due, over } = developmentOf(before, found, now);
  setCurrentDetails(detailsOf(report));
  if (tells) {
    const alerts = due.map((problem) => problemAlert(problem, now));
    for (const alert of alerts.slice(0, MOST_ALERTS)) await raise(alert);
    const more = alerts.length - MOST_ALERTS + found.more;
    if (alerts.length > MOST_ALERTS) await raise(moreAlert(more, now));
    for (const problem of over.slice(0, MOST_ALERTS)) await raise(overAlert(problem, now));
  }
  await answerGaps(found.gaps ?? [], tells);
  if (pings) {
    try {
      await control.pingDeadManSwitch({});
    } catch (error) {
      log.warn('nobody outside was told that the watchdog has run', { reason: failureOf(error).message });
    }
  }
  return report;
}

function problemAlert(problem: WatchedProblem, now: string): Alert {
  const { key, since, severity, database, what, hint } = problem;
  return {
    ...{ key: `watchdog/${key}/${since}/${dayOf(now)}`, severity, database, title: what },
    ...{ text: `since ${since}`, hint, workflowId: null, at: now },
  };
}

function overAlert({ key, since, database, what }: WatchedProblem, now: string): Alert {
  return {
    ...{ key: `watchdog/${key}/${since}/over`, severity: 'info', database, title: `over: ${what}` },
    ...{ text: `since ${since}, until ${now}`, hint: null, workflowId: null, at: now },
  };
}

function moreAlert(more: number, now: string): Alert {
  return {
    ...{ key: `watchdog/more/${now}`, severity: 'critical', database: null },
    ...{ title: `there are ${more} more problems`, text: '', hint: 'holdfast status --all' },
    ...{ workflowId: null, at: now },
  };
}

function detailsOf({ at, problems, more }: WatchdogReport): string {
  if (problems.length === 0) return `## everything that should have run has, as of ${at}`;
  const lines = problems.map(({ what, since }) => `- ${what} (since ${since})`);
  return [`## ${problems.length + more} problems`, '', ...lines].join('\n');
}
