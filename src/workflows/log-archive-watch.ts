import {
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  isCancellation,
  log,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { WatchReport } from '../activities/watch-report.ts';
import { SEARCH_ATTRIBUTES } from '../model/attribute.ts';
import { describeLost, gapKey } from '../model/gap.ts';
import { parseInput } from '../model/input.ts';
import { answerGaps, type FoundGap } from './gaps.ts';
import { control, onHost } from './proxies.ts';
import { failureOf, orEnd, textOf } from './runbook/failure.ts';

const ROUNDS_PER_RUN = 500;

type Cursors = Record<string, NonNullable<WatchReport['cursor']>>;

/**
 * Watches the log archives of all databases of a host, for as long as the host has any: archiver failures, the
 * age of the last archived log, a heartbeat commit and a forced switch when idle; logs that no server archives are
 * shipped; what of it can be recovered, and what is lost. Continued as new, with where each database's round has left off.
 */
export async function logArchiveWatch(given: unknown, left: Cursors = {}): Promise<void> {
  const { host } = orEnd(() => parseInput('logArchiveWatch', given));
  let reports: WatchReport[] = [];
  let cursors = left;
  const answered = new Set<string>();
  let wanted = false;
  setHandler(defineQuery<WatchReport[]>('reports'), () => reports);
  // A recovery waits for a log that only this watch ships.
  setHandler(defineSignal('look'), () => {
    wanted = true;
  });
  upsertSearchAttributes({ [SEARCH_ATTRIBUTES.runbook]: ['logArchiveWatch'] });

  for (let round = 0; round < ROUNDS_PER_RUN && !workflowInfo().continueAsNewSuggested; round += 1) {
    // Read anew each round, so that a changed configuration counts without a restart.
    const settings = await control.describeWatch({ host });
    if (settings.databases === 0) return;
    try {
      const seen = await onHost(host, settings).watchHost({ host, cursors });
      // A database that could not be looked at goes on from where it was.
      cursors = Object.fromEntries(
        seen.flatMap(({ database, cursor = cursors[database] }) =>
          cursor === undefined ? [] : [[database, cursor]],
        ),
      );
      reports = seen.map(({ cursor: _, ...report }) => report);
      setCurrentDetails(detailsOf(host, reports));
      await answerGaps(newGaps(reports, answered), settings.tells);
    } catch (error) {
      if (isCancellation(error)) throw error;
      const failure = failureOf(error);
      log.error('log watch round failed', { host, type: failure.type, reason: failure.message });
      setCurrentDetails(`## log archives of ${host}: the last round failed\n\n${textOf(failure)}`);
    }
    await condition(() => wanted, settings.intervalMs);
    wanted = false;
  }
  await continueAsNew<typeof logArchiveWatch>({ host }, cursors);
}

/** Those of this round that no earlier round of this run has answered. */
function newGaps(reports: readonly WatchReport[], answered: Set<string>): FoundGap[] {
  return reports.flatMap(({ database, logs }) =>
    (logs?.lost ?? []).flatMap((gap) => {
      const key = gapKey(database, gap);
      if (answered.has(key)) return [];
      answered.add(key);
      return [{ database, gap, ...(logs?.bases === undefined ? {} : { bases: logs.bases }) }];
    }),
  );
}

/** Of a large host, those with a problem first. */
const MOST_ROWS = 100;

function detailsOf(host: string, reports: readonly WatchReport[]): string {
  const rank = ({ problem, logs }: WatchReport) => (problem === null && !logs?.lost.length ? 1 : 0);
  const rows = reports.toSorted((a, b) => rank(a) - rank(b)).slice(0, MOST_ROWS);
  const more = reports.length - rows.length;
  return [
    `## log archives of ${host}`,
    '',
    '| database | recoverable to | would lose | last archived or shipped | waiting | |',
    '|---|---|--:|---|--:|---|',
    ...rows.map(rowOf),
    ...(more > 0 ? ['', `and ${more} more databases, without a problem or with one of the same kind`] : []),
  ].join('\n');
}

function rowOf(report: WatchReport): string {
  const { database, recoverableAt, rpoSeconds, lastArchivedAt, waiting, shipping, logs, problem } = report;
  const lost = (logs?.lost ?? []).map((gap) => `**lost: ${describeLost(gap)}**`);
  const waits =
    logs === undefined || logs.anchored || lost.length > 0
      ? []
      : [recoverableAt == null ? 'there is no base yet' : 'a base has to begin behind the lost log'];
  const comes = shipping === undefined ? [] : [`${shipping} is on its way`];
  const said = [...lost, ...waits, ...comes, ...(problem === null ? [] : [problem])].join('; ') || 'ok';
  const cells = [
    ...[database, recoverableAt ?? 'nothing', rpoSeconds == null ? '' : `${rpoSeconds} s`],
    ...[lastArchivedAt ?? 'never', waiting ?? '', said.replaceAll('|', '\\|')],
  ];
  return `| ${cells.join(' | ')} |`;
}
