import type { DrillRecord } from '../../model/drill.ts';
import type { Evidence } from '../../model/evidence.ts';
import { median } from '../../model/median.ts';
import { secondsOf } from '../../model/runbook.ts';
import { mapBounded } from '../../repository/bounded.ts';
import { readDrills } from '../../repository/drills.ts';
import { evidenceFolder } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';

/** Runs that are read at the most: the newest tell best how long the next one takes. */
const NEWEST = 50;
const READS_AT_ONCE = 8;
/** Steps in which only people are waited for. */
const WAITING = new Set(['decide', 'decide switch', 'hand over']);

/** Production was changed; the copy was exported or handed over, which is another matter; or it was a drill. */
export type How = 'imported' | 'not imported' | 'drilled';

/** What the completed runs of one runbook took, in seconds, without the time that people took. */
export interface Measured {
  runbook: string;
  how: How;
  runs: number;
  medianSeconds: number;
  slowestSeconds: number;
  newestAt: string;
  /** medians by step, in the order of the newest run */
  steps: { name: string; seconds: number }[];
}

/** The times of a database's completed runs, read from its evidence, and of its drills. */
export async function readMeasured(repository: Repository, database: string): Promise<Measured[]> {
  const listed: { key: string; lastModified: string }[] = [];
  for await (const { key, lastModified } of repository.list(evidenceFolder(database))) {
    if (key.endsWith('.json')) listed.push({ key, lastModified });
  }
  listed.sort((a, b) => Date.parse(b.lastModified) - Date.parse(a.lastModified));
  const read = await mapBounded(listed.slice(0, NEWEST), READS_AT_ONCE, ({ key }) =>
    repository.getJson<Evidence>(key),
  );
  return measuredOf(
    read.filter((evidence) => evidence !== null),
    await readDrills(repository, database),
  );
}

/** By runbook, in the order of their names: first where production was changed, drills last. All newest first. */
export function measuredOf(all: readonly Evidence[], drills: readonly DrillRecord[] = []): Measured[] {
  const completed = all
    .filter(({ status }) => status.outcome === 'completed')
    .sort((a, b) => Date.parse(b.writtenAt) - Date.parse(a.writtenAt));
  const runbooks = new Set([
    ...completed.map(({ status }) => status.runbook),
    ...drills.flatMap(({ runbook }) => runbook ?? []),
  ]);
  return [...runbooks].sort().flatMap((runbook) => {
    const runs = completed.filter(({ status }) => status.runbook === runbook);
    const drilled = drills.filter((drill) => drill.runbook === runbook).flatMap(ofDrill);
    return [
      ...measure(runbook, 'imported', runs.filter(hasImported).map(ofRun)),
      ...measure(runbook, 'not imported', runs.filter((run) => !hasImported(run)).map(ofRun)),
      ...measure(runbook, 'drilled', drilled),
    ];
  });
}

const hasImported = ({ imported, disaster }: Evidence): boolean =>
  imported != null || disaster?.achieved != null;

/** What one run took. */
interface Taken {
  seconds: number;
  at: string;
  steps: { name: string; seconds: number }[];
}

function ofRun({ recoverySeconds, writtenAt, status }: Evidence): Taken {
  const steps = status.steps.flatMap((step) => {
    const seconds = secondsOf(step);
    const counts = step.state === 'done' && !WAITING.has(step.name) && seconds !== null;
    return counts ? [{ name: step.name, seconds }] : [];
  });
  return { seconds: recoverySeconds, at: writtenAt, steps };
}

/** None of a drill that did not come to its end. */
function ofDrill({ recoverySeconds, finishedAt, steps }: DrillRecord): Taken[] {
  return recoverySeconds === null ? [] : [{ seconds: recoverySeconds, at: finishedAt, steps }];
}

/** Newest run first; nothing where there is none. */
function measure(runbook: string, how: How, runs: readonly Taken[]): Measured[] {
  const [newest] = runs;
  if (newest === undefined) return [];
  const seconds = runs.map((run) => run.seconds);
  const steps = Map.groupBy(
    runs.flatMap((run) => run.steps),
    ({ name }) => name,
  );
  return [
    {
      ...{ runbook, how, runs: runs.length, medianSeconds: median(seconds) },
      slowestSeconds: Math.max(...seconds),
      newestAt: newest.at,
      steps: [...steps].map(([name, same]) => ({ name, seconds: median(same.map((step) => step.seconds)) })),
    },
  ];
}
