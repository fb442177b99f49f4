import { readFile } from 'node:fs/promises';
import type { UndoInput } from '../../src/engines/contract/change.ts';
import { undo } from '../../src/engines/postgres/undo/undo.ts';
import { type Death, dieAt } from './dying-worker.ts';
import { folderStore } from './folder-stores.ts';

/** The file of the input, the folder of the data, the file of the journal, and where to die. */
const [inputFile, folder, journalFile, death] = process.argv.slice(2) as [string, string, string, Death];
const input = JSON.parse(await readFile(inputFile, 'utf8')) as Omit<UndoInput, 'journal' | 'undo' | 'read'>;
await dieAt(death, journalFile, (journal, run) => undo({ ...input, ...folderStore(folder), journal }, run));
