import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../model/attribute.ts';
import type { WorkflowType } from '../model/input.ts';
import type { Problem } from '../model/problem.ts';
import { mapBounded } from '../repository/bounded.ts';

const AT_ONCE = 16;
const MOST = 1_000;
/** The longest time between two runs that anybody sets, about: a weekly full. */
const BACK_MS = 8 * 86_400_000;
/** Jobs that have to work again after they failed; of a recovery, people know. */
const JOBS: readonly WorkflowType[] = ['logicalBackup', 'physicalBackup', 'monthlySnapshot', 'dailyVerify'];

const { database: DATABASE, runbook: RUNBOOK } = SEARCH_ATTRIBUTES;

interface FailedRun {
  workflowId: string;
  database: string;
  type: string;
  closedAt: Date;
  status: string;
}

/**
 * Jobs whose last run failed. Temporal forgets runs (after three days, by default): one that was known `before` is mended
 * only by a good one.
 */
export async function failedRuns(
  client: Client,
  databases: readonly string[],
  { before, now }: { before: readonly Problem[]; now: Date },
): Promise<Problem[]> {
  const from = new Date(now.getTime() - BACK_MS).toISOString();
  const types = JOBS.map((type) => `'${type}'`).join(', ');
  const query = `${RUNBOOK} IN (${types}) AND ExecutionStatus IN ('Failed', 'TimedOut', 'Terminated') AND CloseTime > '${from}'`;
  const newest = new Map<string, FailedRun>();
  let read = 0;
  for await (const info of client.workflow.list({ query })) {
    read += 1;
    if (read > MOST) break;
    const run = runOf(info);
    if (run === null || !databases.includes(run.database)) continue;
    const key = `${run.type}/${run.database}`;
    const known = newest.get(key);
    if (known === undefined || known.closedAt < run.closedAt) newest.set(key, run);
  }
  const found = new Map([...newest].map(([key, run]) => [`failed/${key}`, problemOf(key, run)]));
  for (const problem of before) {
    const { key, database } = problem;
    if (key.startsWith('failed/') && database !== null && databases.includes(database) && !found.has(key)) {
      found.set(key, problem);
    }
  }
  const problems = await mapBounded([...found.values()], AT_ONCE, async (problem) =>
    (await isMended(client, problem)) ? [] : [problem],
  );
  return problems.flat();
}

function runOf(info: WorkflowExecutionInfo): FailedRun | null {
  const attribute = (name: string) => {
    const value = info.searchAttributes[name]?.[0];
    return typeof value === 'string' ? value : null;
  };
  const [database, type] = [attribute(DATABASE), attribute(RUNBOOK)];
  if (database === null || type === null || info.closeTime === undefined) return null;
  return { workflowId: info.workflowId, database, type, closedAt: info.closeTime, status: info.status.name };
}

/** One of its kind came to a good end after it. */
async function isMended(client: Client, { key, since }: Problem): Promise<boolean> {
  const [, type, database] = key.split('/');
  const query = `${RUNBOOK} = '${type}' AND ${DATABASE} = '${database}' AND ExecutionStatus = 'Completed' AND CloseTime > '${since}'`;
  for await (const _ of client.workflow.list({ query, pageSize: 1 })) return true;
  return false;
}

function problemOf(key: string, { workflowId, database, type, closedAt, status }: FailedRun): Problem {
  return {
    key: `failed/${key}`,
    database,
    severity: 'critical',
    what: `the last ${type} of ${database} failed: ${workflowId}`,
    since: closedAt.toISOString(),
    hint: `holdfast status ${workflowId}`,
    // A run that was ended from outside tells nobody.
    told: status === 'FAILED' ? 'beginning' : 'nothing',
  };
}
