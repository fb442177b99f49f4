import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ImportJournal, UndoInput } from '../../src/engines/contract/change.ts';
import { undo } from '../../src/engines/postgres/undo/undo.ts';
import { fileSink } from './postgres-file-sink.ts';
import { type Death, fileJournal } from './postgres-import-child.ts';

/** Undo data in a folder, which two processes share as two workers share the repository. */
export function folderStore(folder: string): Pick<UndoInput, 'undo' | 'read'> {
  return {
    undo: { folder, expiresAt: '2099-01-01T00:00:00Z', sink: fileSink(folder) },
    read: ({ key }) => createReadStream(join(folder, basename(key))),
  };
}

const die = () => process.kill(process.pid, 'SIGKILL');

async function main(): Promise<void> {
  const [inputFile, folder, journalFile, death] = process.argv.slice(2) as [string, string, string, Death];
  const input = JSON.parse(await readFile(inputFile, 'utf8')) as Omit<UndoInput, 'journal' | 'undo' | 'read'>;
  const journal = fileJournal(journalFile);
  const dying: ImportJournal = {
    read: journal.read,
    async write(record) {
      if (death === 'before-journal') die();
      await journal.write(record);
      if (death === 'after-journal') die();
    },
  };
  await undo(
    { ...input, ...folderStore(folder), journal: dying },
    {
      signal: new AbortController().signal,
      progress: ({ phase }) => {
        if (phase.startsWith(death)) die();
      },
    },
  );
  die();
}

if (process.argv[1]?.endsWith('postgres-undo-child.ts') === true) await main();
