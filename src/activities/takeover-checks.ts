import { compareSchemas } from '../engines/compare-schemas.ts';
import type { Counts } from '../engines/contract/read.ts';
import type { Engine } from '../engines/engine.ts';
import type { ServerAccess } from '../model/access.ts';
import type { Manifest, TableFingerprint } from '../model/backup.ts';
import { type Bounds, DEFAULT_BOUNDS, describeBounds, isWithin } from '../model/bounds.ts';
import type { Check } from '../model/evidence.ts';
import { countOf } from '../model/plan.ts';
import type { Run } from '../model/progress.ts';
import type { Repository } from '../repository/repository.ts';

/** The largest ones are counted: each count holds up the recovery. */
const MOST_TABLES = 10;
const COUNT_PATIENCE_MS = 30_000;

/**
 * A server whose production is gone beside the newest dump of it: what differs may have changed since, so that it is
 * said and never a fault by itself.
 */
export async function besideDump(
  known: { engine: Engine; repository: Repository; manifest: Manifest | null; db: string },
  server: { access: ServerAccess; bounds: Bounds | null },
  run: Run,
): Promise<Check[]> {
  const { engine, repository, manifest, db } = known;
  const dumped = manifest?.databases.find(({ name }) => name === db);
  const fingerprints = dumped?.fingerprints ?? null;
  if (manifest === null || dumped === undefined || fingerprints === null) {
    const why =
      manifest === null ? 'there is no logical backup' : `backup ${manifest.id} has no fingerprints`;
    return ['definitions', 'counts'].map((name) => ({
      ...{ name, verdict: 'inconclusive', detail: `${why} to compare with` },
    }));
  }
  run.progress({ phase: `comparing with backup ${manifest.id}` });
  const since = `backup ${manifest.id} is of ${manifest.startedAt}: production may have changed since`;
  const found = await engine.fingerprint(server.access, { hash: fingerprints.hash, tables: [] }, run);
  const schema = (await repository.getText(dumped.schema, run.signal)) ?? '';
  const largest = fingerprints.tables.toSorted((a, b) => b.rows - a.rows).slice(0, MOST_TABLES);
  const counts = await engine.countRows(
    server.access,
    { tables: largest.map(({ table }) => table), recent: [], patienceMs: COUNT_PATIENCE_MS },
    run,
  );
  return [
    compareSchemas(schema, found.schema, [since]),
    countsBeside(largest, counts, { bounds: server.bounds ?? DEFAULT_BOUNDS, since }),
  ];
}

/** Rows of the server beside those of a dump, within bounds. */
function countsBeside(
  dumped: readonly TableFingerprint[],
  counts: Counts,
  { bounds, since }: { bounds: Bounds; since: string },
): Check {
  const found = new Map(counts.tables.map((one) => [one.table, one.rows]));
  const off = dumped.flatMap(({ table, rows }) => {
    const now = found.get(table) ?? null;
    if (now === null) return [`${table} is not there`];
    if (isWithin(now, [rows, rows], bounds)) return [];
    return [`${table} has ${countOf(now, 'row')}, and had ${rows}`];
  });
  const name = 'counts';
  if (off.length > 0) return { name, verdict: 'inconclusive', detail: `${off.join('; ')}; ${since}` };
  const detail = `${countOf(dumped.length, 'table')}, the largest, within ${describeBounds(bounds)} of the newest dump`;
  return { name, verdict: 'pass', detail };
}
