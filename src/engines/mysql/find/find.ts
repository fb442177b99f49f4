import type { Run } from '../../../model/progress.ts';
import type { FindShippedInput, Found } from '../../contract/read.ts';
import { likeliest } from '../../rank.ts';
import { readEvents } from '../binlog/read-events.ts';
import { transactions } from '../binlog/transactions.ts';
import { Search } from './search.ts';

/**
 * Engine.find: reads shipped binary logs, in memory that does not grow with them. Production is not asked. Throws
 * InvalidInput, and for a log that is damaged, cut off or encrypted what readEvents throws: rows in it would be missed.
 */
export async function find(input: FindShippedInput, run: Run): Promise<Found> {
  const search = new Search(input);
  const total = input.logs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let done = 0;
  for (const log of input.logs) {
    run.progress({ phase: 'searching the log', done, total, unit: 'bytes', detail: log.name });
    const events = readEvents(log.open(run.signal), { signal: run.signal, name: log.name });
    for await (const transaction of transactions(events)) search.read(transaction, log.name);
    done += log.sizeBytes;
  }
  run.progress({ phase: 'searching the log', done, total, unit: 'bytes' });
  const candidates = search.candidates();
  return {
    candidates,
    likeliest: likeliest(candidates),
    firstCommitAt: search.firstCommitAt,
    lastCommitAt: search.lastCommitAt,
    notices: search.notices(candidates),
  };
}
