import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import { countOf, UNDO_RULES, type UndoRule } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import type { RuleComparison, TableComparison, UndoData, UndoPlanInput } from '../../engine.ts';
import { openSnapshot } from '../compare/compare.ts';
import { keyLine } from '../compare/keys-file.ts';
import { BATCH_ROWS } from '../compare/lookup.ts';
import { withConnection } from '../connection.ts';
import { requireDirect } from '../direct.ts';
import { ACTIONS, digestOf, isActive, isChanged, type Judged, type Judgement, judge, LEFT } from './judge.ts';
import { classify } from './look-up.ts';
import { requireCommitted, requireSameHistory, shortTransaction } from './server-mark.ts';
import { undoLines } from './undo-lines.ts';
import {
  type CreatedTable,
  describeCreated,
  describeUndone,
  keyValues,
  STATES,
  type UndoneTable,
} from './undo-table.ts';

/** The import as production has it now. */
export interface Undone {
  data: UndoData;
  tables: UndoneTable[];
  created: CreatedTable[];
}

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
    await openSnapshot(client);
    const undone = await readUndone(client, input, run);
    const hasChanges = undone.tables.some((table) =>
      table.kinds.some((_, ordinal) => isChanged(table, ordinal)),
    );
    const judgements: Judgement[] = [];
    for (const rule of UNDO_RULES) {
      // Where nobody has changed anything the rules do the same.
      const same = hasChanges ? undefined : judgements[0];
      const tables = { tables: undone.tables, created: undone.created };
      judgements.push(
        same === undefined || undone.created.length > 0
          ? await judge(client, tables, rule, input.read, run)
          : { ...same, rule },
      );
    }
    const comparisons: TableComparison[] = [];
    for (const [index, data] of undone.data.tables.entries()) {
      const table = undone.tables.find((one) => one.data === data);
      const rules = judgements.map((judgement) => ruleComparison(judgement, data.table));
      const notices =
        table === undefined
          ? createdNotices(undone, data.table)
          : await changedNotices(table, index, input, run);
      comparisons.push({ table: data.table, rules, keysFolder: '', notices });
    }
    return comparisons;
  });
}

/** Looks at every row of the import. Expects a session that may only read, in one snapshot. */
export async function readUndone(client: pg.Client, input: UndoPlanInput, run: Run): Promise<Undone> {
  const { transaction, undo: data } = input.record;
  if (data === null) {
    throw new HoldfastError('InvalidInput', 'the import changed nothing: there is nothing to take back');
  }
  if (Date.parse(data.expiresAt) <= Date.now()) {
    throw new HoldfastError('InvalidInput', `the undo data of the import expired at ${data.expiresAt}`, {
      hint: 'recover to the moment before the import instead: holdfast restore pitr',
    });
  }
  await requireSameHistory(client, data.server);
  const committed = await requireCommitted(client, transaction);
  const short = shortTransaction(transaction);
  const tables: UndoneTable[] = [];
  const created: CreatedTable[] = [];
  for (const one of data.tables) {
    if (one.created !== null) created.push(await describeCreated(client, one, short));
    else {
      const table = await describeUndone(client, one);
      await classify(client, table, short, input.read, run);
      tables.push(table);
    }
  }
  const isProved =
    committed !== null ||
    tables.some(({ states }) => states.includes(STATES.ours)) ||
    created.some(({ relation, isChanged: changed }) => relation !== null && !changed);
  if (!isProved) {
    throw new HoldfastError('CheckFailed', 'production no longer knows whether the import committed', {
      hint: 'none of its rows is there as it left them: look at the tables themselves',
    });
  }
  return { data, tables, created };
}

/** What a rule does to a table. */
export function ruleComparison(judgement: Judgement, table: string): RuleComparison {
  const judged = judgement.tables.find((one) => one.table.data.table === table);
  if (judged !== undefined) return judgedComparison(judged, judgement.rule);
  const created = judgement.created.find((one) => one.table.data.table === table);
  const { drop = false, table: found } = created ?? {};
  const rows = drop ? (found?.rows ?? 0) : 0;
  return {
    conflict: judgement.rule,
    change: { table, inserts: 0, updates: 0, deletes: rows, orphans: 0, uniqueClashes: 0 },
    keysSha256: createHash('sha256').update(`${found?.relation?.oid} ${drop} ${found?.rows}`).digest('hex'),
    refusal:
      drop && found?.relation?.rights.owner === false
        ? `only the owner may drop ${found.data.created}`
        : null,
    notices: found === undefined ? [] : dropNotices(found, drop),
  };
}

function dropNotices(
  { data, relation, isChanged: changed, dependents }: CreatedTable,
  drop: boolean,
): string[] {
  if (relation === null) return [];
  if (drop) {
    return [
      `${data.created}, which the import made, is dropped; that cannot be taken back${changed ? ', and what others have changed in it since is lost' : ''}`,
    ];
  }
  const why =
    dependents.length > 0
      ? `${dependents
          .slice(0, 5)
          .map(({ name }) => name)
          .join(', ')} depends on it`
      : 'it has been changed since';
  return [`${data.created}, which the import made, stays: ${why}`];
}

function judgedComparison(judged: Judged, rule: UndoRule): RuleComparison {
  const { table, actions, left } = judged;
  const count = (of: number) =>
    actions.filter((action, ordinal) => action === of && isActive(judged, ordinal)).length;
  const changed = table.kinds.filter((_, ordinal) => isChanged(table, ordinal)).length;
  const notices: string[] = [];
  const name = table.data.table;
  if (changed > 0) {
    notices.push(
      rule === 'keep-changed'
        ? `${name}: ${countOf(changed, 'row')} that others have changed or deleted since stay as they are`
        : `${name}: what others have changed since in ${countOf(changed, 'row')} is lost`,
    );
  }
  return {
    conflict: rule,
    change: {
      table: name,
      inserts: count(ACTIONS.insert),
      updates: count(ACTIONS.update) + count(ACTIONS.replace),
      deletes: count(ACTIONS.delete),
      orphans: left.filter((why) => why === LEFT.orphan).length,
      uniqueClashes: left.filter((why) => why === LEFT.clash).length,
    },
    keysSha256: digestOf(judged),
    refusal: refusalOf(judged, rule),
    notices,
  };
}

function refusalOf(judged: Judged, rule: UndoRule): string | null {
  const { table } = judged;
  const { rights, rewrites, enabledTriggers } = table.relation;
  const name = table.data.table;
  const acts = (...which: number[]) => judged.actions.some((action) => which.includes(action));
  const needed = {
    insert: acts(ACTIONS.insert, ACTIONS.replace),
    update: acts(ACTIONS.update),
    delete: acts(ACTIONS.delete, ACTIONS.replace),
  };
  const commands = (['insert', 'update', 'delete'] as const).filter((command) => needed[command]);
  if (commands.length === 0) return null;
  if (table.unknown > 0 && rule === 'overwrite-changed') {
    return `${name} has no key: of the rows that the import inserted, ${table.unknown.toLocaleString('en-US')} that others have changed or deleted since cannot be told from others`;
  }
  const rewritten = commands.find((command) => rewrites[command]);
  if (rewritten !== undefined) return `${name} has a rule that rewrites ${rewritten}s`;
  const lacking = commands.find((command) => !rights[command]);
  if (lacking !== undefined || !rights.lock)
    return `the configured user may not ${lacking ?? 'lock'} in ${name}`;
  const unfillable = table.relation.columns.find(
    ({ name: column, notNull, generated, hasDefault }) =>
      notNull && !generated && !hasDefault && !table.data.columns.includes(column),
  );
  if (needed.insert && unfillable !== undefined) {
    return `column ${unfillable.name} of ${name} is new since, NOT NULL and without a default: a deleted row has no value for it`;
  }
  return enabledTriggers > 0 && !rights.owner
    ? `the configured user may not disable the triggers of ${name}: only its owner may`
    : null;
}

function createdNotices({ created }: Undone, table: string): string[] {
  const found = created.find(({ data }) => data.table === table);
  return found !== undefined && found.relation === null
    ? [`${found.data.created}, which the import made, is gone already`]
    : [];
}

/** Says how many rows others have changed, and where their keys are. */
async function changedNotices(
  table: UndoneTable,
  index: number,
  input: UndoPlanInput,
  run: Run,
): Promise<string[]> {
  const { data, unknown } = table;
  if (table.key === null) {
    return unknown === 0
      ? []
      : [
          `${data.table} has no key: ${countOf(unknown, 'row')} that the import inserted and others have changed or deleted since cannot be told from others, and stay`,
        ];
  }
  const changed = table.kinds.filter((_, ordinal) => isChanged(table, ordinal)).length;
  if (changed === 0) return [];
  const content = Readable.from(changedKeys(table, input, run), { objectMode: false });
  const [stored] = await input.undo.sink.put(`${index}.changed`, content, { expectedBytes: null });
  return [
    `${data.table}: others have changed or deleted ${countOf(changed, 'row')} of the import since; their keys are in ${stored?.key} of the repository`,
  ];
}

async function* changedKeys(table: UndoneTable, input: UndoPlanInput, run: Run): AsyncGenerator<Buffer> {
  yield Buffer.from(`${keyLine((table.key?.parts ?? []).map(({ column }) => column as string))}\n`);
  for await (const lines of undoLines(table.data, input.read, run.signal, BATCH_ROWS)) {
    const keys = lines.flatMap((line) =>
      isChanged(table, line.ordinal + table.placed) ? `${keyLine(keyValues(table, line))}\n` : [],
    );
    if (keys.length > 0) yield Buffer.from(keys.join(''));
  }
}
