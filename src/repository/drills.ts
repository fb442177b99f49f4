import type { DrillRecord } from '../model/drill.ts';
import { mapBounded } from './bounded.ts';
import { drillFolder, drillKey } from './layout.ts';
import type { Repository } from './repository.ts';

/** Some years of monthly drills. */
const NEWEST = 100;
const READS_AT_ONCE = 16;

/** Leaves the scorecard of a drill; gives the key. */
export async function writeDrill(repository: Repository, record: DrillRecord): Promise<string> {
  const key = drillKey(record.database, record.workflowId);
  await repository.put(key, `${JSON.stringify(record, null, 2)}\n`, { contentType: 'application/json' });
  return key;
}

/** The newest drills of a database, newest first. */
export async function readDrills(repository: Repository, database: string): Promise<DrillRecord[]> {
  const listed: { key: string; lastModified: string }[] = [];
  for await (const object of repository.list(drillFolder(database))) {
    if (object.key.endsWith('.json')) listed.push(object);
  }
  listed.sort((a, b) => Date.parse(b.lastModified) - Date.parse(a.lastModified));
  const records = await mapBounded(listed.slice(0, NEWEST), READS_AT_ONCE, ({ key }) =>
    repository.getJson<DrillRecord>(key),
  );
  return records
    .filter((record): record is DrillRecord => record?.formatVersion === 1)
    .sort((a, b) => Date.parse(b.finishedAt) - Date.parse(a.finishedAt));
}
