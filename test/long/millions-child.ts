import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import type { CompareInput, ImportRecord } from '../../src/engines/contract/change.ts';
import { compare } from '../../src/engines/postgres/compare/compare.ts';
import { importRows } from '../../src/engines/postgres/import/import.ts';
import { verifyImport } from '../../src/engines/postgres/import/verify.ts';
import { planUndo } from '../../src/engines/postgres/undo/plan.ts';
import { undo } from '../../src/engines/postgres/undo/undo.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import type { ConflictRule, TableChange } from '../../src/model/plan.ts';
import { fileJournal } from '../engine/dying-worker.ts';
import { folderStore } from '../engine/folder-stores.ts';
import { quietly } from '../engine/postgres-sides-fixture.ts';

/** What a worker is to do, by itself, so that its memory is its own. */
export interface Work {
  input: CompareInput;
  /** null: take the import of the journal back */
  conflict: ConflictRule | null;
  /** for undo data; `undone` under it for what takes the undo back */
  folder: string;
  journal: string;
  /** the file for {@link Worked} */
  answer: string;
}

export interface Worked {
  planned: TableChange;
  done: { inserted: number; updated: number; deleted: number };
  verdicts: string[];
  /** the most resident memory of the process, in MiB */
  peak: number;
}

const CHANGE = { planDigest: randomUUID(), database: 'shop', lockTimeoutMs: 20_000 };

async function importAll(
  { input, folder, journal }: Work,
  conflict: ConflictRule,
): Promise<Omit<Worked, 'peak'>> {
  const comparisons = await compare(input, quietly);
  const plan = {
    ...{ ...input, ...CHANGE, comparisons, conflict, drift: 0 },
    journal: fileJournal(journal),
    undo: folderStore(folder).undo,
  };
  const { tables } = await importRows(plan, quietly);
  const verdicts = (await verifyImport(plan, quietly)).map(({ verdict }) => verdict);
  return { planned: changeOf(comparisons, conflict), done: tables[0] as Worked['done'], verdicts };
}

async function undoAll({ input, folder, journal }: Work): Promise<Omit<Worked, 'peak'>> {
  const record = (await fileJournal(journal).read()).at(-1) as ImportRecord;
  const { read } = folderStore(folder);
  const { undo: kept } = folderStore(`${folder}/undone`);
  const plan = { production: input.production, record, read, undo: kept };
  const comparisons = await planUndo(plan, quietly);
  const { tables } = await undo(
    { ...plan, ...CHANGE, comparisons, conflict: 'keep-changed', journal: fileJournal(`${journal}-undo`) },
    quietly,
  );
  return { planned: changeOf(comparisons, 'keep-changed'), done: tables[0] as Worked['done'], verdicts: [] };
}

function changeOf(
  comparisons: Parameters<typeof ruleOf>[0][],
  rule: Parameters<typeof ruleOf>[1],
): TableChange {
  return ruleOf(comparisons[0] as (typeof comparisons)[number], rule).change;
}

if (process.argv[1]?.endsWith('millions-child.ts') === true) {
  const work = JSON.parse(await readFile(process.argv[2] as string, 'utf8')) as Work;
  const worked = work.conflict === null ? await undoAll(work) : await importAll(work, work.conflict);
  const peak = Math.round(process.resourceUsage().maxRSS / 1024);
  await writeFile(work.answer, JSON.stringify({ ...worked, peak } satisfies Worked));
}
