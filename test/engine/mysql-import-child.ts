import { readFile } from 'node:fs/promises';
import type { ImportInput } from '../../src/engines/contract/change.ts';
import { importRows } from '../../src/engines/mysql/import/import.ts';
import { type Death, dieAt } from './dying-worker.ts';
import { memoryUndo } from './mysql-sides-fixture.ts';

/** The file of the input, that of the journal, and where to die. */
const [inputFile, journalFile, death] = process.argv.slice(2) as [string, string, Death];
const input = JSON.parse(await readFile(inputFile, 'utf8')) as Omit<ImportInput, 'journal' | 'undo'>;
await dieAt(death, journalFile, (journal, run) => importRows({ ...input, journal, undo: memoryUndo() }, run));
