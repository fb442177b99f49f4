import {
  isCancellation,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Alert } from '../model/alert.ts';
import { SEARCH_ATTRIBUTES } from '../model/attribute.ts';
import { type AuditResult, auditDevelopment } from '../model/audit-result.ts';
import { parseInput } from '../model/input.ts';
import { dayOf, type WatchedProblem } from '../model/problem.ts';
import type { Outcome } from '../model/runbook.ts';
import { raise } from './alerts.ts';
import { detailsOfAudit } from './audit-details.ts';
import { auditing } from './proxies.ts';
import { endWith, type Failure, failureOf, orEnd, textOf } from './runbook/failure.ts';

/** A storm says no more than its first drops. */
const MOST_ALERTS = 20;

/**
 * Audits the repository: what is there, and what will become of it in a year. Tells people of each critical finding when
 * it is new, once a day for as long as it lasts, and once when it is over. Returns what it has found, which the next run
 * compares with.
 */
export async function repositoryAudit(given: unknown): Promise<AuditResult> {
  orEnd(() => parseInput('repositoryAudit', given ?? {}));
  upsertSearchAttributes({ [SEARCH_ATTRIBUTES.runbook]: ['repositoryAudit'] });
  show('running', '## the repository is being read');
  const { found, before, tells } = await auditing.auditRepository({}).catch(async (error: unknown) => {
    if (isCancellation(error)) throw error;
    const failure = failureOf(error);
    show('failed', `## the repository could not be audited\n\n${textOf(failure)}`);
    await raise(failedAlert(failure, new Date().toISOString()));
    throw endWith(failure);
  });
  const now = new Date().toISOString();
  const { result, due, over } = auditDevelopment(before, found, now);
  show('completed', detailsOfAudit(result));
  if (tells) {
    for (const problem of due.slice(0, MOST_ALERTS)) await raise(findingAlert(problem, now));
    const more = due.length - MOST_ALERTS + found.more;
    if (due.length > MOST_ALERTS) await raise(moreAlert(more, now));
    for (const problem of over.slice(0, MOST_ALERTS)) await raise(overAlert(problem, now));
  }
  return result;
}

function show(outcome: Outcome, details: string): void {
  upsertSearchAttributes({ [SEARCH_ATTRIBUTES.outcome]: [outcome] });
  setCurrentDetails(details);
}

function findingAlert({ key, since, database, what, hint }: WatchedProblem, now: string): Alert {
  return {
    ...{ key: `audit/${key}/${since}/${dayOf(now)}`, severity: 'critical', database, title: what },
    ...{ text: `found by the audit of the repository since ${since}`, hint },
    ...{ workflowId: workflowInfo().workflowId, at: now },
  };
}

function overAlert({ key, since, database, what }: WatchedProblem, now: string): Alert {
  return {
    ...{ key: `audit/${key}/${since}/over`, severity: 'info', database, title: `over: ${what}` },
    ...{ text: `since ${since}, until ${now}`, hint: null, workflowId: null, at: now },
  };
}

function moreAlert(more: number, now: string): Alert {
  return {
    ...{ key: `audit/more/${now}`, severity: 'critical', database: null },
    ...{ title: `the audit of the repository has ${more} more critical findings`, text: '' },
    ...{ hint: 'holdfast repository audit', workflowId: workflowInfo().workflowId, at: now },
  };
}

function failedAlert({ message, hint }: Failure, now: string): Alert {
  return {
    ...{ key: `audit/failed/${dayOf(now)}`, severity: 'critical', database: null },
    ...{ title: 'the repository could not be audited', text: message, hint: hint ?? null },
    ...{ workflowId: workflowInfo().workflowId, at: now },
  };
}
