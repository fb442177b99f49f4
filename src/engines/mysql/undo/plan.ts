import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { UNDO_RULES } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import type { RuleComparison, TableComparison, UndoPlanInput } from '../../contract/change.ts';
import { changedNotices, dropNotice, goneNotice, keysNotice, unknownNotices } from '../../undo-notices.ts';
import { leniently } from '../compare/scratch.ts';
import { type Connection, withConnection } from '../connection.ts';
import { requireDirect } from '../direct.ts';
import { logRows } from '../import/change.ts';
import { encodeLine } from '../import/undo-data.ts';
import { changedKeys } from './classify.ts';
import type { CreatedTable } from './created-table.ts';
import { type Judged, type Judgement, judge } from './judge.ts';
import { refusalOf, requireSomeRule } from './refusal.ts';
import { readUndone, type Undone } from './undone.ts';
import type { UndoneTable } from './undone-table.ts';

/**
 * Engine.planUndo: what taking an import back would do, under both rules, in the order of its tables. The keys of rows
 * that others have changed since are written beside the undo data, never into the plan. Throws InvalidInput for one
 * that changed nothing or whose undo data has expired, CheckFailed where production is not the server that it
 * changed, NotSupported, PermissionDenied, ChecksumMismatch.
 */
export async function planUndo(input: UndoPlanInput, run: Run): Promise<TableComparison[]> {
  return withUndone(input, 'plan undo', run, async (session, undone) => {
    const judgements: Judgement[] = [];
    // Where nobody has changed anything the rules do the same.
    const isAlike = undone.created.length === 0 && undone.tables.every(({ changed }) => changed === 0);
    for (const rule of UNDO_RULES) {
      const [same] = judgements;
      judgements.push(
        isAlike && same !== undefined ? { ...same, rule } : await judge(session, undone, rule, run),
      );
    }
    requireSomeRule(judgements);
    const comparisons: TableComparison[] = [];
    for (const [index, { table }] of undone.data.tables.entries()) {
      const notices = await noticesOf(session, undone, table, index, input);
      const rules = judgements.map((judgement) => ruleComparison(judgement, table));
      comparisons.push({ table, rules, keysFolder: '', notices });
    }
    return comparisons;
  });
}

/** Reads an import's rows in a session of its own, which changes temporary tables and nothing else. */
export function withUndone<T>(
  input: Pick<UndoPlanInput, 'production' | 'record' | 'read' | 'earlier'>,
  applicationName: string,
  run: Run,
  work: (session: Connection, undone: Undone) => Promise<T>,
): Promise<T> {
  const access = { ...input.production, database: '' };
  return withConnection(
    access,
    run,
    async (session) => {
      requireDirect(session, input.production);
      // Else temporary tables are in the log, and replicas have them.
      await logRows(session);
      return leniently(session, async () => work(session, await readUndone(session, input, run)));
    },
    { applicationName },
  );
}

/** What a rule does to a table. */
export function ruleComparison(judgement: Judgement, table: string): RuleComparison {
  const judged = judgement.tables.find((one) => one.table.data.table === table);
  if (judged !== undefined) return judgedComparison(judged, judgement.rule);
  const created = judgement.created.find((one) => one.table.data.table === table);
  const { drop = false, table: found } = created ?? {};
  // By the name of what is dropped: rows of the table beside it do not go.
  const name = found?.data.created ?? table;
  const state = `${found?.table?.qualified} ${drop} ${found?.rows} ${found?.isChanged}`;
  return {
    conflict: judgement.rule,
    change: {
      table: name,
      inserts: 0,
      updates: 0,
      deletes: drop ? (found?.rows ?? 0) : 0,
      orphans: 0,
      uniqueClashes: 0,
    },
    keysSha256: createHash('sha256').update(state).digest('hex'),
    refusal: null,
    notices: found === undefined || found.table === null ? [] : [noticeOf(found, drop)],
  };
}

function noticeOf({ data, isChanged, dependents }: CreatedTable, drop: boolean): string {
  return dropNotice(data.created, { drop, isChanged, dependents: dependents.map(({ name }) => name) });
}

function judgedComparison(judged: Judged, rule: Judgement['rule']): RuleComparison {
  const { table, counts, orphans, clashes, keysSha256 } = judged;
  const name = table.data.table;
  const refusal = refusalOf(judged, rule);
  return {
    conflict: rule,
    change: { table: name, ...counts, orphans, uniqueClashes: clashes },
    keysSha256,
    refusal: refusal === null ? null : [refusal.message, refusal.hint ?? ''].filter(Boolean).join('; '),
    notices: changedNotices(name, table.changed, rule),
  };
}

/** True under every rule. Where keys are is part of what people approve, and so the same whenever the same is planned. */
async function noticesOf(
  session: Connection,
  undone: Undone,
  name: string,
  index: number,
  { undo: store }: UndoPlanInput,
): Promise<string[]> {
  const created = undone.created.find(({ data }) => data.table === name);
  if (created !== undefined) {
    return created.table === null ? [goneNotice(created.data.created)] : [];
  }
  const table = undone.tables.find(({ data }) => data.table === name) as UndoneTable;
  if (table.data.key === null) return unknownNotices(name, table.unknown);
  if (table.changed === 0) return [];
  const file = `${index}.changed`;
  await store.sink.put(file, Readable.from(keyLines(session, table), { objectMode: false }), {
    expectedBytes: null,
  });
  return [keysNotice(name, table.changed, { folder: store.folder, file })];
}

async function* keyLines(session: Connection, table: UndoneTable): AsyncGenerator<Buffer> {
  for await (const key of changedKeys(session, table)) yield encodeLine(key);
}
