import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type pg from 'pg';
import { UNDO_RULES, type UndoRule } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import type { RuleComparison, TableComparison, UndoPlanInput } from '../../contract/change.ts';
import { isChanged } from '../../undo-actions.ts';
import { changedNotices, dropNotice, goneNotice, keysNotice, unknownNotices } from '../../undo-notices.ts';
import { copyOut } from '../compare/copy-out.ts';
import { keyLine } from '../compare/keys-file.ts';
import { withConnection } from '../connection.ts';
import { requireDirect } from '../direct.ts';
import { quoteIdentifier } from '../identifier.ts';
import type { CreatedTable } from './created-table.ts';
import { type Judged, type Judgement, judge } from './judge.ts';
import { dropRefusalOf, refusalOf, requireSomeRule } from './refusal.ts';
import type { UndoneTable } from './undo-table.ts';
import { readUndone, type Undone } from './undone.ts';

/**
 * Engine.planUndo: what taking an import back would do, under both rules, in the order of its tables. The keys of rows
 * that others have changed since are written beside the undo data, never into the plan. Throws InvalidInput for one
 * that changed nothing or whose undo data has expired, CheckFailed where production is not the server that it
 * changed, NotSupported, PermissionDenied, ChecksumMismatch.
 */
export async function planUndo(input: UndoPlanInput, run: Run): Promise<TableComparison[]> {
  const options = { applicationName: 'plan undo', readOnly: true, signal: run.signal };
  return withConnection(input.production, options, async (client) => {
    await requireDirect(client, input.production);
    const undone = await readUndone(client, input, run);
    const hasChanges = undone.tables.some(({ changed }) => changed > 0);
    const judgements: Judgement[] = [];
    for (const rule of UNDO_RULES) {
      // Where nobody has changed anything the rules do the same.
      const same = hasChanges ? undefined : judgements[0];
      judgements.push(
        same === undefined || undone.created.length > 0
          ? await judge(client, undone, rule, run)
          : { ...same, rule },
      );
    }
    requireSomeRule(judgements);
    const comparisons: TableComparison[] = [];
    for (const [index, data] of undone.data.tables.entries()) {
      const table = undone.tables.find((one) => one.data === data);
      const rules = judgements.map((judgement) => ruleComparison(judgement, data.table));
      const notices =
        table === undefined
          ? createdNotices(undone, data.table)
          : await rowNotices(client, table, index, input);
      comparisons.push({ table: data.table, rules, keysFolder: '', notices });
    }
    return comparisons;
  });
}

/** What a rule does to a table. */
export function ruleComparison(judgement: Judgement, table: string): RuleComparison {
  const judged = judgement.tables.find((one) => one.table.data.table === table);
  if (judged !== undefined) return judgedComparison(judged, judgement.rule);
  const created = judgement.created.find((one) => one.table.data.table === table);
  const { drop = false, table: found } = created ?? {};
  const rows = drop ? (found?.rows ?? 0) : 0;
  // By the name of what is dropped: rows of the table beside it do not go.
  const name = found?.data.created ?? table;
  return {
    conflict: judgement.rule,
    change: { table: name, inserts: 0, updates: 0, deletes: rows, orphans: 0, uniqueClashes: 0 },
    keysSha256: createHash('sha256').update(`${found?.relation?.oid} ${drop} ${found?.rows}`).digest('hex'),
    refusal: (found && dropRefusalOf(found, drop)?.message) ?? null,
    notices: found === undefined ? [] : noticesOf(found, drop),
  };
}

function noticesOf(
  { data, relation, isChanged: changed, dependents }: CreatedTable,
  drop: boolean,
): string[] {
  if (relation === null) return [];
  const names = dependents.map(({ name }) => name);
  return [dropNotice(data.created, { drop, isChanged: changed, dependents: names })];
}

function judgedComparison(judged: Judged, rule: UndoRule): RuleComparison {
  const { table, counts } = judged;
  const name = table.data.table;
  return {
    conflict: rule,
    change: {
      table: name,
      inserts: counts.inserts,
      updates: counts.updates + counts.replaces,
      deletes: counts.deletes,
      orphans: judged.orphans,
      uniqueClashes: judged.clashes,
    },
    keysSha256: judged.keysSha256,
    refusal: refusalOf(judged, rule)?.message ?? null,
    notices: changedNotices(name, table.changed, rule),
  };
}

function createdNotices({ created }: Undone, table: string): string[] {
  const found = created.find(({ data }) => data.table === table);
  return found !== undefined && found.relation === null ? [goneNotice(found.data.created)] : [];
}

/**
 * Says how many rows others have changed, and where their keys are: by a name that is the same whenever the same is
 * planned, since it is part of what people approve.
 */
async function rowNotices(
  client: pg.Client,
  table: UndoneTable,
  index: number,
  { undo: store }: UndoPlanInput,
): Promise<string[]> {
  const { data, unknown, changed, rows } = table;
  if (data.key === null) return unknownNotices(data.table, unknown);
  if (changed === 0) return [];
  const name = `${index}.changed`;
  const keys = data.key.map((column) => `s.${quoteIdentifier(column)}`);
  const lines = copyOut(
    client,
    `COPY (SELECT ${keys.join(', ')} FROM ${rows} AS s WHERE ${isChanged('s')} ORDER BY s.holdfast_n) TO STDOUT`,
  );
  await store.sink.put(name, Readable.from(withHeading(data.key, lines), { objectMode: false }), {
    expectedBytes: null,
  });
  return [keysNotice(data.table, changed, { folder: store.folder, file: name })];
}

async function* withHeading(key: readonly string[], lines: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield Buffer.from(`${keyLine([...key])}\n`);
  yield* lines;
}
