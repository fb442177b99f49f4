import type { Manifest } from '../../model/backup.ts';
import { numberOf } from '../../model/log-position.ts';
import type { LogBase } from '../bases.ts';
import { type LogRun, runsOf, stretchFrom } from '../shipped/chain.ts';
import { lineageOf } from '../shipped/name.ts';
import type { AuditedNode } from './facts.ts';
import { fateOf } from './log-runs.ts';
import type { AuditedLog } from './shipped-logs.ts';

/** The logs of a database that we ship, in nodes, and where each logical backup begins in them. */
export interface ShippedRuns {
  nodes: AuditedNode[];
  replayOf(base: Manifest): Pick<AuditedNode, 'replayFrom'>;
}

/** Each lineage is an archive; one whose logs do not go on from each other's GTIDs is several. */
const TIMELINE = 1;

export function shippedRunsOf(logs: readonly AuditedLog[]): ShippedRuns {
  const byKey = new Map(logs.map((log) => [log.key, log]));
  const runs = runsOf(logs);
  const archives = archivesOf(runs);
  const suffixOf = (archive: string) => (new Set(archives.values()).size === 1 ? '' : ` of ${archive}`);
  const nodes = runs.flatMap((run) => {
    const own = run.logs.map(({ key }) => byKey.get(key) as AuditedLog);
    const archive = archives.get(run) as string;
    return ofOneFate(own).map((part) => nodeOf(part, archive, suffixOf(archive)));
  });
  return { nodes, replayOf: (base) => replayOf(base, runs, archives) };
}

/** A hole by number keeps the archive, since numbers tell it. */
function archivesOf(runs: readonly LogRun[]): Map<LogRun, string> {
  const archives = new Map<LogRun, string>();
  const breaks = new Map<string, number>();
  for (const run of runs) {
    const count = breaks.get(run.lineage) ?? 0;
    archives.set(run, count === 0 ? run.lineage : `${run.lineage}#${count + 1}`);
    if (run.hole?.count === 0) breaks.set(run.lineage, count + 1);
  }
  return archives;
}

function ofOneFate(logs: readonly AuditedLog[]): AuditedLog[][] {
  const parts: AuditedLog[][] = [];
  let fate = '';
  for (const log of logs) {
    const own = [log.record, ...log.objects].map(fateOf).join(' ') + (log.missing.length > 0 ? log.name : '');
    if (parts.length > 0 && own === fate) parts.at(-1)?.push(log);
    else parts.push([log]);
    fate = own;
  }
  return parts;
}

function nodeOf(logs: readonly AuditedLog[], archive: string, suffix: string): AuditedNode {
  const [first, last] = [logs[0] as AuditedLog, logs.at(-1) as AuditedLog];
  return {
    id: `logs ${first.name}..${last.name}${suffix}`,
    kind: 'logs',
    startedAt: first.record.writtenAt,
    finishedAt: last.record.writtenAt,
    needs: [],
    readBy: 'version',
    // A sample of them has both kinds in it.
    versions: [...logs.map(({ record }) => record), ...logs.flatMap(({ objects }) => objects)],
    missing: logs.flatMap(({ missing }) => missing),
    segments: { archive, timeline: TIMELINE, first: first.number, last: last.number },
  };
}

/** By the catalog's own rule. */
function replayOf(
  base: Manifest,
  runs: readonly LogRun[],
  archives: ReadonlyMap<LogRun, string>,
): Pick<AuditedNode, 'replayFrom'> {
  const { start, startLog } = base.positions;
  if (start === null || startLog === null) return {};
  const { lineage, logs, isOpen } = stretchFrom(base as LogBase, runs);
  const number = numberOf(startLog) ?? 0;
  const [first] = logs;
  if (first !== undefined) {
    const run = runs.find((one) => one.logs.includes(first));
    const archive = run === undefined ? undefined : archives.get(run);
    return { replayFrom: { ...(archive === undefined ? {} : { archive }), ...at(number, number) } };
  }
  const own = lineage ?? lineageOf(base.systemIdentifier ?? '', 1);
  const last = runs.findLast((run) => run.lineage === own);
  const newest = last?.logs.at(-1)?.number;
  if (isOpen && last !== undefined && newest !== undefined) {
    return { replayFrom: { archive: archives.get(last) ?? own, ...at(newest + 1, newest) } };
  }
  return { replayFrom: { archive: isOpen ? own : `${own}/?`, ...at(number, number) } };
}

const at = (first: number, stop: number) => ({ timeline: TIMELINE, first, stop });
