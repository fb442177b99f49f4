import { createHash } from 'node:crypto';
import type pg from 'pg';
import type { UndoRule } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import type { UndoPlanInput } from '../../engine.ts';
import { BATCH_ROWS, preferIndexes, transpose } from '../compare/lookup.ts';
import type { ForeignKey, UniqueIndex } from '../compare/relation.ts';
import { type Hit, holders, indexedValues, parents, referring } from './look-up.ts';
import { fieldsOf, type Kind, type UndoLine, undoLines } from './undo-lines.ts';
import { type CreatedTable, STATES, type UndoneTable } from './undo-table.ts';

/** What happens to a row; `replace`: deleted and inserted anew, so that a unique value is free in between. */
export const ACTIONS = { none: 0, delete: 1, update: 2, insert: 3, replace: 4 } as const;
/** Why nothing happens to it after all. */
export const LEFT = { no: 0, orphan: 1, clash: 2 } as const;

/** A table under one rule, by the ordinals of its rows. */
export interface Judged {
  table: UndoneTable;
  actions: number[];
  left: number[];
}

/** All of an undo under one rule. */
export interface Judgement {
  rule: UndoRule;
  tables: Judged[];
  created: { table: CreatedTable; drop: boolean }[];
}

export function isActive({ actions, left }: Judged, ordinal: number): boolean {
  return actions[ordinal] !== ACTIONS.none && left[ordinal] === LEFT.no;
}

/** Whether others have changed or removed it, so that keep-changed leaves it as it is. */
export function isChanged({ kinds, states }: UndoneTable, ordinal: number): boolean {
  const [kind, state] = [kinds[ordinal], states[ordinal]];
  if (state === STATES.same) return false;
  if (kind === 'u') return state !== STATES.ours;
  return kind === 'i' ? state === STATES.changed : state !== STATES.absent;
}

function actionOf(rule: UndoRule, kind: Kind | undefined, state: number | undefined, changed: boolean) {
  if (changed && rule === 'keep-changed') return ACTIONS.none;
  if (state === STATES.same) return ACTIONS.none;
  if (kind === 'i') return state === STATES.absent ? ACTIONS.none : ACTIONS.delete;
  return state === STATES.absent ? ACTIONS.insert : ACTIONS.update;
}

/**
 * What happens to each row under a rule. Rows whose going or coming back would break a foreign key or a unique key, or
 * take other rows along, are left alone, and then those that depend on them, until nothing changes any more.
 */
export async function judge(
  client: pg.Client,
  undone: { tables: readonly UndoneTable[]; created: readonly CreatedTable[] },
  rule: UndoRule,
  read: UndoPlanInput['read'],
  run: Run,
): Promise<Judgement> {
  const tables = undone.tables.map((table): Judged => {
    const actions = table.kinds.map((kind, ordinal) =>
      actionOf(rule, kind, table.states[ordinal], isChanged(table, ordinal)),
    );
    return { table, actions, left: actions.map(() => LEFT.no) };
  });
  const created = dropsOf(undone.created, rule);
  const judgement = { rule, tables, created };
  const judging = new Judging(client, judgement, read, run);
  while (await judging.pass());
  return judgement;
}

/** Tables that may refer to each other go together: one stays where a table refers to it that stays. */
function dropsOf(tables: readonly CreatedTable[], rule: UndoRule): Judgement['created'] {
  const going = new Set(
    tables.filter(
      ({ relation, isChanged: changed }) => relation && (rule === 'overwrite-changed' || !changed),
    ),
  );
  const isNeeded = ({ dependents }: CreatedTable) =>
    dependents.some(({ tableOid }) => ![...going].some(({ relation }) => relation?.oid === tableOid));
  for (let staying = [...going].find(isNeeded); staying !== undefined; staying = [...going].find(isNeeded)) {
    going.delete(staying);
  }
  return tables.map((table) => ({ table, drop: going.has(table) }));
}

/** Of everything that a rule does to a table: part of what an approval covers. */
export function digestOf(judged: Judged): string {
  const hash = createHash('sha256');
  const { data, kinds, writers } = judged.table;
  for (const object of [...(data.inserted ?? []), ...(data.replaced ?? [])]) hash.update(object.sha256);
  for (const [ordinal, kind] of kinds.entries()) {
    const writer = judged.actions[ordinal] === ACTIONS.none ? undefined : writers.get(ordinal);
    hash.update(`${kind}${judged.actions[ordinal]}${judged.left[ordinal]}${writer ?? ''}\n`);
  }
  return hash.digest('hex');
}

class Judging {
  private readonly client: pg.Client;
  private readonly judgement: Judgement;
  private readonly read: UndoPlanInput['read'];
  private readonly run: Run;
  private readonly byOid: Map<number, Judged>;
  private readonly dropped: Set<number>;
  /** by table and columns: the rows that will have these values */
  private readonly comings = new Map<string, Map<string, number>>();
  private hasChanged = false;

  constructor(client: pg.Client, judgement: Judgement, read: UndoPlanInput['read'], run: Run) {
    this.client = client;
    this.judgement = judgement;
    this.read = read;
    this.run = run;
    this.byOid = new Map(judgement.tables.map((judged) => [judged.table.relation.oid, judged]));
    this.dropped = new Set(
      judgement.created.flatMap(({ table, drop }) => (drop && table.relation ? [table.relation.oid] : [])),
    );
  }

  /** Looks at every row that something happens to; whether any was left alone that was not before. */
  async pass(): Promise<boolean> {
    this.hasChanged = false;
    for (const judged of this.judgement.tables) {
      const { relation, data, placed } = judged.table;
      this.run.progress({ phase: `checking references and unique keys of ${data.table}` });
      const uniques = relation.uniques.filter((index) => isJudgeable(judged, index));
      const foreignKeys = relation.foreignKeys.filter(({ columns }) =>
        columns.every((column) => data.columns.includes(column)),
      );
      if (uniques.length + foreignKeys.length + relation.referencedBy.length === 0) continue;
      const ids = idsOf(judged.table);
      for (let first = 0; first < placed; first += BATCH_ROWS) {
        const length = Math.min(BATCH_ROWS, placed - first);
        await this.checkGoing(
          judged,
          ids,
          Array.from({ length }, (_, index) => ({ ordinal: first + index, fields: null })),
        );
      }
      for await (const lines of undoLines(data, this.read, this.run.signal, BATCH_ROWS)) {
        const rows = lines.map((line) => rowOf(line, placed));
        await this.checkGoing(judged, ids, rows);
        const coming = rows.filter((row) => row.fields !== null) as ComingRow[];
        for (const key of foreignKeys) await this.checkParents(judged, key, coming);
        for (const index of uniques) await this.checkUnique(judged, index, coming);
      }
    }
    return this.hasChanged;
  }

  private leave(judged: Judged, ordinal: number, why: number): void {
    judged.left[ordinal] = why;
    this.hasChanged = true;
  }

  /** No row may go, or lose a value, to which rows refer that stay. */
  private async checkGoing(
    judged: Judged,
    ids: ReadonlyMap<number, string>,
    all: readonly Row[],
  ): Promise<void> {
    const { table, actions } = judged;
    const there = all.filter(
      ({ ordinal }) => isActive(judged, ordinal) && actions[ordinal] !== ACTIONS.insert,
    );
    for (const reference of table.relation.referencedBy) {
      if (this.dropped.has(reference.oid)) continue;
      const child = this.byOid.get(reference.oid);
      const going = there.filter(({ ordinal }) => actions[ordinal] === ACTIONS.delete);
      const isKeyed = reference.parentColumns.every((column) => table.data.key?.includes(column) === true);
      const isKnown = reference.parentColumns.every((column) => table.data.columns.includes(column));
      const becoming = there.filter(
        (row): row is ComingRow =>
          !isKeyed && isKnown && row.fields !== null && actions[row.ordinal] !== ACTIONS.delete,
      );
      for (const rows of [going, becoming]) {
        if (rows.length === 0) continue;
        const hits = await referring(this.client, table, reference, child?.table, {
          ids: rows.map(({ ordinal }) => fieldsOf(ids.get(ordinal) as string) as string[]),
          becoming:
            rows === going ? null : becoming.map((row) => valuesOf(table, row, reference.parentColumns)),
        });
        this.leaveReferred(judged, rows, hits, child);
      }
    }
  }

  private leaveReferred(
    judged: Judged,
    rows: readonly Row[],
    hits: readonly Hit[],
    child: Judged | undefined,
  ): void {
    for (const { position, id } of hits) {
      const ordinal = rows[position]?.ordinal as number;
      const other = id === null ? undefined : child?.table.ordinals.get(id);
      const goesToo = child !== undefined && other !== undefined && isActive(child, other);
      if (!goesToo && isActive(judged, ordinal)) this.leave(judged, ordinal, LEFT.orphan);
    }
  }

  /** What a row refers to when it is as it was has to be there in the end. */
  private async checkParents(judged: Judged, key: ForeignKey, all: readonly ComingRow[]): Promise<void> {
    const groups = new Map<string, { values: string[]; ordinals: number[] }>();
    for (const row of all) {
      if (!isActive(judged, row.ordinal)) continue;
      const values = valuesOf(judged.table, row, key.columns);
      // MATCH SIMPLE: a row with a null in its reference refers to nothing.
      if (values.includes(null)) continue;
      const line = JSON.stringify(values);
      const group = groups.get(line);
      if (group === undefined) groups.set(line, { values: values as string[], ordinals: [row.ordinal] });
      else group.ordinals.push(row.ordinal);
    }
    if (groups.size === 0) return;
    const references = [...groups.entries()];
    const parent = this.byOid.get(key.parentOid);
    await preferIndexes(this.client, true);
    const found = await parents(
      this.client,
      key,
      parent?.table,
      transpose(
        references.map(([, { values }]) => values),
        key.columns.length,
      ),
    );
    await preferIndexes(this.client, false);
    const satisfied = new Set<number>();
    for (const { position, id } of found) {
      const ordinal = id === null ? undefined : parent?.table.ordinals.get(id);
      if (parent === undefined || ordinal === undefined || !isActive(parent, ordinal))
        satisfied.add(position);
    }
    for (const [position, [line, { ordinals }]] of references.entries()) {
      if (satisfied.has(position)) continue;
      if (parent !== undefined && (await this.isComing(parent, key.parentColumns, line))) continue;
      for (const ordinal of ordinals) this.leave(judged, ordinal, LEFT.orphan);
    }
  }

  /** Whether a row that is put back, or put back as it was, will have these values. */
  private async isComing(judged: Judged, columns: readonly string[], line: string): Promise<boolean> {
    const { table } = judged;
    const name = JSON.stringify([table.relation.oid, columns]);
    let coming = this.comings.get(name);
    if (coming === undefined) {
      coming = new Map();
      this.comings.set(name, coming);
      const replaced = { ...table.data, inserted: null };
      const offset = table.kinds.findIndex((kind) => kind !== 'i');
      for await (const lines of undoLines(replaced, this.read, this.run.signal, BATCH_ROWS)) {
        for (const one of lines) {
          const row = rowOf(one, offset) as ComingRow;
          coming.set(JSON.stringify(valuesOf(table, row, columns)), row.ordinal);
        }
      }
    }
    const ordinal = coming.get(line);
    return ordinal !== undefined && isActive(judged, ordinal);
  }

  /** What a row holds when it is as it was must not be held by another row in the end. */
  private async checkUnique(judged: Judged, index: UniqueIndex, all: readonly ComingRow[]): Promise<void> {
    const { table } = judged;
    const rows = all.filter(({ ordinal }) => isActive(judged, ordinal));
    if (rows.length === 0) return;
    const values = rows.map((row) => valuesOf(table, row, index.reads));
    const wanted = await indexedValues(
      this.client,
      table.relation,
      index,
      transpose(values, index.reads.length),
    );
    if (wanted.length === 0) return;
    await preferIndexes(this.client, true);
    const held = await holders(
      this.client,
      table,
      index,
      transpose(
        wanted.map((row) => row.values),
        index.parts.length,
      ),
    );
    await preferIndexes(this.client, false);
    for (const { position, id } of held) {
      const ordinal = rows[wanted[position]?.position as number]?.ordinal as number;
      const holder = table.ordinals.get(id as string);
      if (holder === ordinal || !isActive(judged, ordinal)) continue;
      if (holder === undefined || !isActive(judged, holder) || !this.makeWay(judged, holder)) {
        this.leave(judged, ordinal, LEFT.clash);
      }
    }
  }

  /** A row that goes, or gets another value itself, holds a value no more; an update would be too late for that. */
  private makeWay({ table, actions }: Judged, holder: number): boolean {
    if (actions[holder] !== ACTIONS.update) return true;
    // Deleting it for a moment would act on the rows that refer to it.
    if (table.relation.referencedBy.some(({ onDelete }) => onDelete !== 'a')) return false;
    actions[holder] = ACTIONS.replace;
    this.hasChanged = true;
    return true;
  }
}

interface Row {
  ordinal: number;
  /** the values of `data.columns`; null for an inserted row, of which only the key is known */
  fields: (string | null)[] | null;
}
type ComingRow = Row & { fields: (string | null)[] };

function rowOf(line: UndoLine, offset: number): Row {
  return { ordinal: line.ordinal + offset, fields: line.kind === 'i' ? null : fieldsOf(line.text) };
}

function valuesOf(
  { data }: UndoneTable,
  { fields }: ComingRow,
  columns: readonly string[],
): (string | null)[] {
  return columns.map((column) => fields[data.columns.indexOf(column)] ?? null);
}

function isJudgeable({ table }: Judged, index: UniqueIndex): boolean {
  const isOwnKey = index.name === table.key?.name;
  return !isOwnKey && index.reads.every((column) => table.data.columns.includes(column));
}

function idsOf({ ordinals }: UndoneTable): Map<number, string> {
  return new Map([...ordinals].map(([id, ordinal]) => [ordinal, id]));
}
