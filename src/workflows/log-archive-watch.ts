import {
  continueAsNew,
  defineQuery,
  isCancellation,
  log,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { WatchReport } from '../activities/watch.ts';
import { SEARCH_ATTRIBUTES } from '../model/attribute.ts';
import { parseInput } from '../model/input.ts';
import { control, onHost } from './proxies.ts';
import { failureOf, orEnd, textOf } from './runbook/failure.ts';

const ROUNDS_PER_RUN = 500;

/**
 * Watches the log archives of all databases of a host, for as long as the host has any: archiver failures, the
 * age of the last archived log, a heartbeat commit and a forced switch when idle. Continued as new.
 */
export async function logArchiveWatch(given: unknown): Promise<void> {
  const { host } = orEnd(() => parseInput('logArchiveWatch', given));
  let reports: WatchReport[] = [];
  setHandler(defineQuery<WatchReport[]>('reports'), () => reports);
  upsertSearchAttributes({ [SEARCH_ATTRIBUTES.runbook]: ['logArchiveWatch'] });

  for (let round = 0; round < ROUNDS_PER_RUN && !workflowInfo().continueAsNewSuggested; round += 1) {
    // Read anew each round, so that a changed configuration counts without a restart.
    const settings = await control.describeWatch({ host });
    if (settings.databases === 0) return;
    try {
      reports = await onHost(host, settings).watchHost({ host });
      setCurrentDetails(detailsOf(host, reports));
    } catch (error) {
      if (isCancellation(error)) throw error;
      const failure = failureOf(error);
      log.error('log watch round failed', { host, type: failure.type, reason: failure.message });
      setCurrentDetails(`## log archives of ${host}: the last round failed\n\n${textOf(failure)}`);
    }
    await sleep(settings.intervalMs);
  }
  await continueAsNew<typeof logArchiveWatch>({ host });
}

function detailsOf(host: string, reports: readonly WatchReport[]): string {
  const lines = [
    `## log archives of ${host}`,
    '',
    '| database | last archived | waiting | |',
    '|---|---|--:|---|',
  ];
  for (const report of reports) {
    lines.push(
      `| ${report.database} | ${report.lastArchivedAt ?? 'never'} | ${report.waiting ?? ''} | ${report.problem ?? 'ok'} |`,
    );
  }
  return lines.join('\n');
}
