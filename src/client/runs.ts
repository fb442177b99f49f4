import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../model/attribute.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Outcome } from '../model/runbook.ts';
import { attributeOf, outcomeOf } from './observe.ts';

/** One row of `holdfast list`. */
export interface RunRow {
  workflowId: string;
  runId: string;
  runbook: string;
  database: string | null;
  outcome: Outcome;
  startedAt: string;
  finishedAt: string | null;
}

export interface RunFilter {
  database?: string | undefined;
  running?: boolean | undefined;
  limit: number;
}

/** Runbooks and backups, newest first, as the Temporal server's index has them: it lags by a second or so. */
export async function listRuns(client: Client, filter: RunFilter): Promise<RunRow[]> {
  const rows: RunRow[] = [];
  if (filter.limit === 0) return rows;
  for await (const info of client.workflow.list({ query: queryOf(filter) })) {
    rows.push(rowOf(info));
    if (rows.length >= filter.limit) break;
  }
  return rows;
}

/** The server's query language has no parameters, so that a name is checked instead of quoted. */
export function queryOf(filter: Omit<RunFilter, 'limit'>): string {
  // Housekeeping (the log watch, the reaper) is of no database: it would bury what people did.
  const parts = [`${SEARCH_ATTRIBUTES.runbook} IS NOT NULL`, `${SEARCH_ATTRIBUTES.database} IS NOT NULL`];
  if (filter.database !== undefined) {
    if (!/^[a-z0-9][a-z0-9-]*$/.test(filter.database)) {
      throw new HoldfastError('InvalidInput', `"${filter.database}" is not the name of a database`, {
        hint: 'names are lower case letters, digits and dashes, as in the configuration',
      });
    }
    parts.push(`${SEARCH_ATTRIBUTES.database} = '${filter.database}'`);
  }
  if (filter.running === true) parts.push("ExecutionStatus = 'Running'");
  return parts.join(' AND ');
}

function rowOf(info: WorkflowExecutionInfo): RunRow {
  return {
    workflowId: info.workflowId,
    runId: info.runId,
    runbook: attributeOf(info, SEARCH_ATTRIBUTES.runbook) ?? info.type,
    database: attributeOf(info, SEARCH_ATTRIBUTES.database),
    outcome: outcomeOf(info.status.name, attributeOf(info, SEARCH_ATTRIBUTES.outcome)),
    startedAt: info.startTime.toISOString(),
    finishedAt: info.closeTime?.toISOString() ?? null,
  };
}
