import type { Run } from '../../../model/progress.ts';
import type { FindArchivedInput, Found } from '../../contract/read.ts';
import { likeliest } from '../../rank.ts';
import { readLogs } from './read.ts';
import { Search } from './search.ts';

/** Engine.find: reads archived logs with pg_waldump. Production is not asked; nothing but the directory is written. */
export async function find(input: FindArchivedInput, run: Run): Promise<Found> {
  const search = new Search({
    ...{ relations: input.relations, serverMajor: input.serverMajor },
    ...{ since: Date.parse(input.since), until: Date.parse(input.until) },
    ...{ minRows: input.minRows, limit: input.limit, own: input.own },
  });
  await readLogs(input, (record, timeline) => search.read(record, timeline), run);
  const candidates = search.candidates();
  const cut = candidates.flatMap(({ xid }) => (xid !== null && search.cut.has(xid) ? [xid] : []));
  return {
    candidates,
    likeliest: likeliest(candidates),
    firstCommitAt: search.firstCommitAt,
    lastCommitAt: search.lastCommitAt,
    notices:
      cut.length === 0
        ? []
        : [
            `transaction ${cut.join(', ')} began before the first log that was searched: rows that it changed earlier are not counted`,
          ],
  };
}
