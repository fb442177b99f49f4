import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ImportJournal, UndoInput } from '../../src/engines/contract/change.ts';
import { undo } from '../../src/engines/mysql/undo/undo.ts';
import { type Death, fileJournal } from './mysql-import-child.ts';
import { fileSink } from './postgres-file-sink.ts';

/** The import's data and the undo's in two folders, which two processes share as two workers share the repository. */
export function folderStores(imported: string, own: string): Pick<UndoInput, 'undo' | 'read'> {
  return {
    undo: { folder: `${own}/data/`, expiresAt: '2099-01-01T00:00:00Z', sink: fileSink(own) },
    read: ({ key }) => createReadStream(join(imported, basename(key))),
  };
}

const die = () => process.kill(process.pid, 'SIGKILL');

async function main(): Promise<void> {
  const [inputFile, imported, own, journalFile, death] = process.argv.slice(2) as [
    string,
    string,
    string,
    string,
    string,
  ];
  const input = JSON.parse(await readFile(inputFile, 'utf8')) as Omit<UndoInput, 'journal' | 'undo' | 'read'>;
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
  await undo(
    { ...input, ...folderStores(imported, own), journal: dying },
    {
      signal: new AbortController().signal,
      progress: ({ phase }) => {
        if (phase.startsWith(death)) die();
      },
    },
  );
  die();
}

export type UndoDeath = Death | 'dropping';

if (process.argv[1]?.endsWith('mysql-undo-child.ts') === true) await main();
