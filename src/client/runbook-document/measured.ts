import type { Evidence } from '../../model/evidence.ts';
import { median } from '../../model/median.ts';
import { secondsOf } from '../../model/runbook.ts';
import { mapBounded } from '../../repository/bounded.ts';
import { evidenceFolder } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';

/** Runs that are read at the most: the newest tell best how long the next one takes. */
const NEWEST = 50;
const READS_AT_ONCE = 8;
/** Steps in which only people are waited for. */
const WAITING = new Set(['decide', 'hand over']);

/** What the completed runs of one runbook took, in seconds, without the time that people took. */
export interface Measured {
  runbook: string;
  /** production was changed; else the copy was exported or handed over, which is another matter */
  imported: boolean;
  runs: number;
  medianSeconds: number;
  slowestSeconds: number;
  newestAt: string;
  /** medians by step, in the order of the newest run */
  steps: { name: string; seconds: number }[];
}

/** The times of a database's completed runs, read from its evidence. */
export async function readMeasured(repository: Repository, database: string): Promise<Measured[]> {
  const listed: { key: string; lastModified: string }[] = [];
  for await (const { key, lastModified } of repository.list(evidenceFolder(database))) {
    if (key.endsWith('.json')) listed.push({ key, lastModified });
  }
  listed.sort((a, b) => Date.parse(b.lastModified) - Date.parse(a.lastModified));
  const read = await mapBounded(listed.slice(0, NEWEST), READS_AT_ONCE, ({ key }) =>
    repository.getJson<Evidence>(key),
  );
  return measuredOf(read.filter((evidence) => evidence !== null));
}

/** By runbook, in the order of their names, and whether production was changed: first where it was. */
export function measuredOf(all: readonly Evidence[]): Measured[] {
  const completed = all
    .filter(({ status }) => status.outcome === 'completed')
    .sort((a, b) => Date.parse(b.writtenAt) - Date.parse(a.writtenAt));
  return [...Map.groupBy(completed, ({ status }) => status.runbook)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([runbook, runs]) => {
      const [imports, others] = [runs.filter(hasImported), runs.filter((run) => !hasImported(run))];
      return [
        ...(imports.length === 0 ? [] : [measure(runbook, true, imports)]),
        ...(others.length === 0 ? [] : [measure(runbook, false, others)]),
      ];
    });
}

const hasImported = ({ imported }: Evidence): boolean => imported != null;

/** Newest run first. */
function measure(runbook: string, imported: boolean, runs: readonly Evidence[]): Measured {
  const seconds = runs.map(({ recoverySeconds }) => recoverySeconds);
  return {
    ...{ runbook, imported, runs: runs.length, medianSeconds: median(seconds) },
    slowestSeconds: Math.max(...seconds),
    newestAt: runs[0]?.writtenAt ?? '',
    steps: stepsOf(runs),
  };
}

function stepsOf(runs: readonly Evidence[]): Measured['steps'] {
  const taken = new Map<string, number[]>();
  for (const step of runs.flatMap(({ status }) => status.steps)) {
    const { name, state } = step;
    const seconds = secondsOf(step);
    if (state !== 'done' || WAITING.has(name) || seconds === null) continue;
    taken.set(name, [...(taken.get(name) ?? []), seconds]);
  }
  return [...taken].map(([name, seconds]) => ({ name, seconds: median(seconds) }));
}
