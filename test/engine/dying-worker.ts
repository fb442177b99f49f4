import { appendFile, readFile } from 'node:fs/promises';
import type { ImportJournal, ImportRecord } from '../../src/engines/contract/change.ts';
import type { Run } from '../../src/model/progress.ts';

/** A journal in a file, one record a line: two processes share it as two workers share the repository. */
export function fileJournal(path: string): ImportJournal {
  return {
    async read() {
      const text = await readFile(path, 'utf8').catch(() => '');
      return text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as ImportRecord);
    },
    write: (record) => appendFile(path, `${JSON.stringify(record)}\n`),
  };
}

/** Where a worker dies: in a phase of the import or undo, around the journal's record, in the commit, or once all is done. */
export type Death =
  | 'staging'
  | 'copying'
  | 'changing'
  | 'dropping'
  | 'before-journal'
  | 'after-journal'
  | 'commit'
  | 'done';

const die = () => process.kill(process.pid, 'SIGKILL');

/** Does work with a journal and a run in which this process dies, at the latest when the work is done. */
export async function dieAt(
  death: Death,
  journalFile: string,
  work: (journal: ImportJournal, run: Run) => Promise<unknown>,
): Promise<void> {
  const journal = fileJournal(journalFile);
  const dying: ImportJournal = {
    read: journal.read,
    async write(record) {
      if (death === 'before-journal') die();
      await journal.write(record);
      if (death === 'after-journal') die();
      // The statement is on its way when the process goes.
      if (death === 'commit') setTimeout(die, 1);
    },
  };
  const progress: Run['progress'] = ({ phase }) => {
    if (phase.startsWith(death)) die();
  };
  await work(dying, { signal: new AbortController().signal, progress });
  die();
}
