import type { LogGap } from '../model/backup.ts';
import type { LostLogs } from '../model/gap.ts';
import { mapBounded } from './bounded.ts';
import { acknowledgementFolder, acknowledgementKey } from './layout.ts';
import type { Repository } from './repository.ts';

/** `acknowledgement/<database>/<timeline>-<first>-<last>.json`: a person has taken note of a gap. */
export interface Acknowledgement extends LostLogs {
  formatVersion: 1;
  database: string;
  by: string;
  /** ISO 8601 */
  at: string;
  reason: string;
}

const READS_AT_ONCE = 16;

/** The newest word on a gap counts; earlier ones stay as versions. Gives the key. */
export async function writeAcknowledgement(repository: Repository, record: Acknowledgement): Promise<string> {
  const key = acknowledgementKey(record.database, record);
  await repository.put(key, `${JSON.stringify(record, null, 2)}\n`, { contentType: 'application/json' });
  return key;
}

export async function readAcknowledgements(
  repository: Repository,
  database: string,
  signal?: AbortSignal,
): Promise<Acknowledgement[]> {
  const keys: string[] = [];
  for await (const { key } of repository.list(acknowledgementFolder(database), signal)) {
    if (key.endsWith('.json')) keys.push(key);
  }
  const records = await mapBounded(keys, READS_AT_ONCE, (key) =>
    repository.getJson<Acknowledgement>(key, signal),
  );
  return records.filter((record): record is Acknowledgement => record?.formatVersion === 1);
}

/** Of logs of one timeline. The seventh digit of a binary log's number comes behind all six. */
const isBefore = (a: string, b: string): boolean => a.length < b.length || (a.length === b.length && a < b);

/** Gaps with what people have said of them. A gap that has grown since is another one; one that shrank is not. */
export function acknowledge(gaps: readonly LogGap[], known: readonly Acknowledgement[]): LogGap[] {
  return gaps.map((gap) => {
    const found = known.find(
      ({ timeline, firstMissing, lastMissing }) =>
        timeline === gap.timeline &&
        !isBefore(gap.firstMissing, firstMissing) &&
        !isBefore(lastMissing, gap.lastMissing),
    );
    if (found === undefined) return gap;
    const { by, at, reason } = found;
    return { ...gap, acknowledged: { by, at, reason } };
  });
}
