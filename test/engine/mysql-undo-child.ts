import { readFile } from 'node:fs/promises';
import type { UndoInput } from '../../src/engines/contract/change.ts';
import { undo } from '../../src/engines/mysql/undo/undo.ts';
import { type Death, dieAt } from './dying-worker.ts';
import { folderStores } from './folder-stores.ts';

/** The file of the input, the folders of the import's and of the undo's data, the file of the journal, and where to die. */
const [inputFile, imported, own, journalFile, death] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  Death,
];
const input = JSON.parse(await readFile(inputFile, 'utf8')) as Omit<UndoInput, 'journal' | 'undo' | 'read'>;
await dieAt(death, journalFile, (journal, run) =>
  undo({ ...input, ...folderStores(imported, own), journal }, run),
);
