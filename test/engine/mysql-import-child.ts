import { appendFile, readFile } from 'node:fs/promises';
import type { ImportInput, ImportJournal, ImportRecord } from '../../src/engines/contract/change.ts';
import { importRows } from '../../src/engines/mysql/import/import.ts';
import { memoryUndo } from './mysql-sides-fixture.ts';

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

/** Where a worker dies: in a phase of the import, around the journal's record, or once all is done. */
export type Death =
  | 'staging'
  | 'copying'
  | 'changing'
  | 'before-journal'
  | 'after-journal'
  | 'commit'
  | 'done';

const die = () => process.kill(process.pid, 'SIGKILL');

async function main(): Promise<void> {
  const [inputFile, journalFile, death] = process.argv.slice(2) as [string, string, Death];
  const input = JSON.parse(await readFile(inputFile, 'utf8')) as Omit<ImportInput, 'journal' | 'undo'>;
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
  await importRows(
    { ...input, journal: dying, undo: memoryUndo() },
    {
      signal: new AbortController().signal,
      progress: ({ phase }) => {
        if (phase.startsWith(death)) die();
      },
    },
  );
  die();
}

if (process.argv[1]?.endsWith('mysql-import-child.ts') === true) await main();
