import { randomUUID } from 'node:crypto';
import type { ImportJournal, ImportRecord } from '../engines/contract/change.ts';
import { mapBounded } from './bounded.ts';
import { undoFolder } from './layout.ts';
import type { Repository } from './repository.ts';

/**
 * The journal of one runbook's imports, in the repository. Every record is an object of its own that is
 * written once, so that an attempt that was declared dead and still runs cannot overwrite another's.
 */
export function openJournal(repository: Repository, database: string, workflowId: string): ImportJournal {
  const folder = `${undoFolder(database, workflowId)}journal/`;
  return {
    async read() {
      const keys: string[] = [];
      for await (const { key } of repository.list(folder)) keys.push(key);
      const records = await mapBounded(keys.toSorted(), 8, (key) => repository.getJson<ImportRecord>(key));
      return records.filter((record) => record !== null);
    },
    async write(record) {
      const time = new Date().toISOString().replaceAll(/[-:.]/g, '');
      await repository.put(`${folder}${time}_${randomUUID()}.json`, `${JSON.stringify(record, null, 2)}\n`, {
        contentType: 'application/json',
      });
    },
  };
}
