import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { DesiredSchedule } from '../config/schedules.ts';
import type { LostLogs } from '../model/gap.ts';
import type { Problem } from '../model/problem.ts';
import type { Bases } from '../model/tier.ts';
import { mapBounded } from '../repository/bounded.ts';
import { describeSchedule } from './temporal.ts';

const AT_ONCE = 16;
/** Its schedule starts it again within 5 minutes, and each of its rounds takes less than two. */
const SILENT_MS = 10 * 60_000;
/** Only a worker answers a query: where there is none, other problems tell. */
const PATIENCE_MS = 3_000;

/** What a watcher says of one database. */
interface WatchReport {
  database: string;
  problem: string | null;
  /** of the look, ISO 8601 */
  at?: string;
  logs?: { inFlight: LostLogs[]; bases?: Bases };
}

export interface WatcherSeen {
  host: string;
  /** since when it is not running, in milliseconds; null: it is */
  endedAt: number | null;
  /** null: nobody answered for it */
  reports: WatchReport[] | null;
}

/** The watchers of log archives, one a host, whose schedules are there. */
export async function readWatchers(
  client: Client,
  desired: readonly DesiredSchedule[],
): Promise<WatcherSeen[]> {
  const wanted = desired.filter(({ workflowType }) => workflowType === 'logArchiveWatch');
  const seen = await mapBounded(wanted, AT_ONCE, async ({ id, input }): Promise<WatcherSeen[]> => {
    const schedule = await describeSchedule(client, id);
    if (schedule === null) return [];
    const { host } = input as { host: string };
    const last = schedule.info.recentActions.at(-1);
    if (last === undefined) return [{ host, endedAt: schedule.info.createdAt.getTime(), reports: null }];
    const { workflowId } = last.action.workflow;
    const endedAt = await endOf(client, workflowId, last.takenAt.getTime());
    return [{ host, endedAt, reports: endedAt === null ? await reportsOf(client, workflowId) : null }];
  });
  return seen.flat();
}

async function endOf(client: Client, workflowId: string, startedAt: number): Promise<number | null> {
  try {
    const { status, closeTime } = await client.workflow.getHandle(workflowId).describe();
    return status.name === 'RUNNING' ? null : (closeTime?.getTime() ?? startedAt);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return startedAt;
    throw error;
  }
}

async function reportsOf(client: Client, workflowId: string): Promise<WatchReport[] | null> {
  try {
    return await client.connection.withDeadline(Date.now() + PATIENCE_MS, () =>
      client.workflow.getHandle(workflowId).query<WatchReport[]>('reports'),
    );
  } catch {
    return null;
  }
}

/** What a database's watcher knows to be under way: on the server still, or not looked at twice. */
export function inFlightOf(watchers: readonly WatcherSeen[], database: string): LostLogs[] {
  return watchers
    .flatMap(({ reports }) => reports ?? [])
    .flatMap((report) => (report.database === database ? (report.logs?.inFlight ?? []) : []));
}

/** Watchers that are gone or see nothing, and what the others report. */
export function watcherProblems(watchers: readonly WatcherSeen[], now: Date): Problem[] {
  return watchers.flatMap(({ host, endedAt, reports }): Problem[] => {
    const looks = (reports ?? []).flatMap(({ at }) => (at === undefined ? [] : Date.parse(at)));
    const silentSince = endedAt ?? (looks.length === 0 ? null : Math.max(...looks));
    const isSilent = silentSince !== null && silentSince + SILENT_MS < now.getTime();
    const said = (reports ?? []).filter(({ problem }) => problem !== null);
    return [
      ...(isSilent ? [silent(host, silentSince, endedAt === null)] : []),
      ...(isSilent ? [] : said).map(({ database, problem, logs }) => ({
        key: `log/${database}`,
        database,
        severity: 'warning' as const,
        what: `the log archive of ${database}: ${problem}`,
        since: null,
        hint:
          logs?.bases === 'logical'
            ? `holdfast doctor looks at the server, its logs and the rights of its user; the worker of ${host} ships them`
            : "see archive_command in the server's log, and pg_stat_archiver",
        told: 'nothing' as const,
      })),
    ];
  });
}

function silent(host: string, since: number, isRunning: boolean): Problem {
  return {
    key: `watcher/${host}`,
    database: null,
    severity: 'critical',
    what: isRunning
      ? `the log archives of host ${host} are not looked at: its worker does not answer`
      : `nobody watches the log archives of host ${host}`,
    since: new Date(since).toISOString(),
    hint: isRunning ? `holdfast worker --roles host:${host}` : 'holdfast schedules list shows its schedule',
    told: 'nothing',
  };
}
