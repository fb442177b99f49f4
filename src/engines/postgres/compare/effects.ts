import type { ConflictRule } from '../../../model/plan.ts';
import { quoteIdentifier } from '../identifier.ts';
import { columnOf } from './describe.ts';
import {
  DIFFERENCE_KINDS,
  type DifferenceKind,
  type Differences,
  hashOf,
  kindBatches,
  type Reason,
  ruleKinds,
  type Sides,
} from './differences.ts';
import { batchOf, type KeyBatch, keyLine } from './keys-file.ts';
import {
  absentParents,
  BATCH_ROWS,
  type Found,
  parentRows,
  referredPositions,
  referringRows,
  rowsByIndex,
  rowsByKey,
  transpose,
  type Values,
} from './lookup.ts';
import { type ForeignKey, isAlike, isKey, type Reference, type UniqueIndex } from './relation.ts';
import { keyNames, nameOf, type TablePair } from './table-pair.ts';

/** A table with what differs in it. */
export interface TableDifferences {
  pair: TablePair;
  /** the table's folder: its files are of this comparison alone */
  folder: string;
  counts: Differences;
}

/** The rows of a table that a rule leaves alone, as key lines, and the tables whose rows keep some of them. */
export class LeftRows {
  readonly missing = new Map<string, Reason>();
  readonly changed = new Map<string, Reason>();
  readonly extra = new Map<string, Reason>();
  readonly keptFor = new Set<string>();

  count(reason: Reason): number {
    return DIFFERENCE_KINDS.reduce(
      (sum, kind) => sum + [...this[kind].values()].filter((other) => other === reason).length,
      0,
    );
  }
}

/**
 * Finds what a rule leaves alone, judged by what the tables will hold in the end: a row whose unique values another
 * row holds (clash), whose parent will not be there, or, where it would go or give up a value, to which another
 * row will still refer (orphan). Tables in the order parents first. Each row that is left alone can take others
 * with it: those are looked up, so that nothing is read twice over. Memory grows with the rows left alone.
 */
export async function findEffects(
  sides: Sides,
  tables: readonly TableDifferences[],
  rule: ConflictRule,
  signal: AbortSignal,
): Promise<Map<TableDifferences, LeftRows>> {
  const effects = new Effects(sides, tables, rule, signal);
  await effects.judgeAll();
  return effects.left;
}

/** Foreign keys whose values come back with the row; another's column gets a default, which the import checks. */
export function checkedForeignKeys(pair: TablePair): ForeignKey[] {
  return pair.production.foreignKeys.filter((key) =>
    key.columns.every((column) => pair.restored.columns.some((other) => other.name === column)),
  );
}

/** Unique indexes and exclusion constraints in which a row that comes back could meet another one. */
export function checkedUniques(pair: TablePair): UniqueIndex[] {
  const common = new Set(pair.restored.columns.map((column) => column.name));
  return pair.production.uniques.filter(
    (index) =>
      index.reads.every((column) => common.has(column)) &&
      (index.name !== pair.key.name || !pair.keyIsExact || !isKey(pair.production, index)),
  );
}

/** Rows to judge, or rows that were just left alone. */
interface Rows {
  table: TableDifferences;
  kind: DifferenceKind;
  batch: KeyBatch;
}

class Effects {
  readonly left: Map<TableDifferences, LeftRows>;
  private readonly byName: Map<string, TableDifferences>;
  private readonly kinds: readonly DifferenceKind[];
  /** how many tables have been judged, at least in part */
  private reached = 0;
  /** values that rows coming back hold in a unique index that is new since: nothing kept them apart before */
  private readonly seen = new Map<UniqueIndex, Map<string, string>>();
  private readonly sides: Sides;
  private readonly tables: readonly TableDifferences[];
  private readonly signal: AbortSignal;

  constructor(sides: Sides, tables: readonly TableDifferences[], rule: ConflictRule, signal: AbortSignal) {
    this.sides = sides;
    this.tables = tables;
    this.signal = signal;
    this.kinds = ruleKinds(rule);
    this.left = new Map(tables.map((table) => [table, new LeftRows()]));
    this.byName = new Map(tables.map((table) => [nameOf(table.pair), table]));
  }

  async judgeAll(): Promise<void> {
    for (const table of this.tables) {
      this.reached += 1;
      for (const kind of this.kinds) {
        const width = table.pair.key.parts.length;
        for await (const batch of kindBatches(table.folder, kind, width, BATCH_ROWS)) {
          await this.judge({ table, kind, batch });
        }
      }
    }
  }

  /** Judges some rows, and then all whose judgement that changes. */
  private async judge(rows: Rows): Promise<void> {
    const waiting = [rows];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      this.signal.throwIfAborted();
      const newly = await this.leave(next);
      if (newly !== null) waiting.push(...(await this.dependents(newly)));
    }
  }

  /** Leaves alone those that have to be; null where there is none. */
  private async leave({ table, kind, batch }: Rows): Promise<Rows | null> {
    const left = this.leftOf(table);
    const before = left[kind].size;
    const rows = { table, kind, batch: this.open(table, kind, batch) };
    if (rows.batch.lines.length === 0) return null;
    const found: string[] = [];
    const add = (line: string, reason: Reason) => {
      if (left[kind].has(line)) return;
      left[kind].set(line, reason);
      found.push(line);
    };
    if (kind !== 'extra') {
      for (const line of await this.clashing(rows)) add(line, 'clash');
      for (const line of await this.withoutParent(rows)) add(line, 'orphan');
    }
    if (kind !== 'missing') for (const line of await this.referredTo(rows)) add(line, 'orphan');
    return left[kind].size === before
      ? null
      : { table, kind, batch: batchOf(found, table.pair.key.parts.length) };
  }

  /** Without the rows that are left alone already. */
  private open(table: TableDifferences, kind: DifferenceKind, batch: KeyBatch): KeyBatch {
    const left = this.leftOf(table)[kind];
    if (left.size === 0) return batch;
    return batchOf(
      batch.lines.filter((line) => !left.has(line)),
      table.pair.key.parts.length,
    );
  }

  private leftOf(table: TableDifferences): LeftRows {
    return this.left.get(table) as LeftRows;
  }

  /** Rows whose unique values another row will hold. */
  private async clashing({ table, kind, batch }: Rows): Promise<string[]> {
    const { pair } = table;
    const clashing: string[] = [];
    for (const index of checkedUniques(pair)) {
      const expressions = index.parts.map((part) => part.expression);
      const coming = (
        await rowsByKey(this.sides, pair, 'restored', batch.columns, expressions, index.predicate)
      ).filter((row) => !index.nullsDistinct || row.values.every((value) => value !== null));
      if (coming.length === 0) continue;
      clashing.push(...this.twins(table, index, coming));
      const values = transpose(
        coming.map((row) => row.values),
        expressions.length,
      );
      const holders = (await rowsByIndex(this.sides, pair, 'production', index, values)).filter(
        ({ position, line }) => kind === 'missing' || line !== coming[position]?.line,
      );
      const staying = await this.staying(table, holders);
      for (const [at, { position }] of holders.entries()) {
        if (staying[at] === true) clashing.push(coming[position]?.line as string);
      }
    }
    return clashing;
  }

  /** Of rows that come back with the same value in an index that is new since, all but the first. */
  private twins({ pair }: TableDifferences, index: UniqueIndex, coming: readonly Found[]): string[] {
    if (index.exclusion || pair.restored.uniques.some((other) => isAlike(other, index))) return [];
    const seen = this.seen.get(index) ?? new Map<string, string>();
    this.seen.set(index, seen);
    return coming.flatMap(({ line, values }) => {
      const value = JSON.stringify(values);
      const first = seen.get(value) ?? line;
      seen.set(value, first);
      return first === line ? [] : [line];
    });
  }

  /** Rows whose parent will not be there. */
  private async withoutParent({ table, batch }: Rows): Promise<string[]> {
    const orphans: string[] = [];
    for (const key of checkedForeignKeys(table.pair)) {
      const columns = key.columns.map((column) => `t.${quoteIdentifier(column)}`);
      // MATCH SIMPLE: a row with a null in its reference refers to nothing.
      const referring = columns.map((column) => `${column} IS NOT NULL`).join(' AND ');
      const children = await rowsByKey(this.sides, table.pair, 'restored', batch.columns, columns, referring);
      const groups = groupByValues(children);
      if (groups.length === 0) continue;
      const there = await this.provided(
        key,
        transpose(
          groups.map((group) => group.values),
          columns.length,
        ),
      );
      for (const [position, group] of groups.entries()) {
        if (there[position] !== true) orphans.push(...group.lines);
      }
    }
    return orphans;
  }

  /** Whether, in the end, there will be a parent with these values. */
  private async provided(key: ForeignKey, values: Values): Promise<boolean[]> {
    const parent = this.byName.get(key.parent);
    const size = values[0]?.length ?? 0;
    const absent =
      parent?.pair.gone === true
        ? new Set(Array.from({ length: size }, (_, position) => position))
        : await absentParents(this.sides.production, key, values);
    const there = Array.from({ length: size }, (_, position) => !absent.has(position));
    if (parent === undefined) return there;
    if (this.mayGiveUp(parent, key.parentColumns)) {
      const [some, holders] = await this.chosen(
        values,
        (position) => there[position] === true,
        (chosen) => parentRows(this.sides, parent.pair, 'production', key, chosen),
      );
      const staying = await this.staying(parent, holders);
      for (const position of some) there[position] = false;
      for (const [at, { position }] of holders.entries()) if (staying[at] === true) there[position] = true;
    }
    if (!key.parentColumns.every((column) => parent.pair.columns.includes(column))) return there;
    const [, coming] = await this.chosen(
      values,
      (position) => there[position] !== true,
      (chosen) => parentRows(this.sides, parent.pair, 'restored', key, chosen),
    );
    const arriving = await this.arriving(parent, coming);
    for (const [at, { position }] of coming.entries()) if (arriving[at] === true) there[position] = true;
    return there;
  }

  /** Looks up some of the values; what is found names positions among all. */
  private async chosen(
    values: Values,
    wanted: (position: number) => boolean,
    look: (chosen: Values) => Promise<Found[]>,
  ): Promise<[number[], Found[]]> {
    const chosen = Array.from({ length: values[0]?.length ?? 0 }, (_, position) => position).filter(wanted);
    if (chosen.length === 0) return [chosen, []];
    const found = await look(values.map((column) => chosen.map((position) => column[position] ?? null)));
    return [chosen, found.map((row) => ({ ...row, position: chosen[row.position] as number }))];
  }

  /** Whether a row of the table may lose values of these columns under this rule. */
  private mayGiveUp({ pair, counts }: TableDifferences, columns: readonly string[]): boolean {
    if (this.kinds.includes('extra') && counts.extra > 0) return true;
    return this.kinds.includes('changed') && counts.changed > 0 && !isWithinKey(pair, columns);
  }

  /** Rows that would go, or give up a value, and to which others will still refer. */
  private async referredTo({ table, kind, batch }: Rows): Promise<string[]> {
    const kept: string[] = [];
    for (const reference of table.pair.production.referencedBy) {
      if (kind === 'changed' && isWithinKey(table.pair, reference.parentColumns)) continue;
      const losing = await this.losing(table, kind, batch, reference);
      if (losing.length === 0) continue;
      const values = transpose(
        losing.map((row) => row.values),
        reference.columns.length,
      );
      const referred = await this.stillReferred(reference, values);
      if (referred.size === 0) continue;
      const action = kind === 'extra' ? reference.onDelete : reference.onUpdate;
      const taken = action === 'a' ? await this.takenOver(table, reference, values, referred) : new Set();
      for (const position of referred) {
        if (taken.has(position)) continue;
        kept.push(losing[position]?.line as string);
        this.leftOf(table).keptFor.add(reference.table);
      }
    }
    return kept;
  }

  /** The rows of the batch that lose the values to which this foreign key refers, with them. */
  private async losing(
    { pair }: TableDifferences,
    kind: DifferenceKind,
    batch: KeyBatch,
    reference: Reference,
  ): Promise<Found[]> {
    const columns = reference.parentColumns.map((column) => `t.${quoteIdentifier(column)}`);
    const filled = columns.map((column) => `${column} IS NOT NULL`).join(' AND ');
    const holding = await rowsByKey(this.sides, pair, 'production', batch.columns, columns, filled);
    if (kind === 'extra') return holding;
    if (!reference.parentColumns.every((column) => pair.columns.includes(column))) return [];
    const coming = await rowsByKey(this.sides, pair, 'restored', batch.columns, columns);
    const next = new Map(coming.map(({ line, values }) => [line, JSON.stringify(values)]));
    return holding.filter(({ line, values }) => next.get(line) !== JSON.stringify(values));
  }

  /** Positions of the values to which, in the end, a row of this table will refer. */
  private async stillReferred(reference: Reference, values: Values): Promise<Set<number>> {
    const child = this.byName.get(reference.table);
    if (child === undefined) return referredPositions(this.sides.production, reference, values);
    const referred = new Set<number>();
    for await (const rows of referringRows(this.sides, child.pair, 'production', reference, values)) {
      const open = rows.filter(({ position }) => !referred.has(position));
      const staying = await this.staying(child, open);
      const going = open.filter((row, at) => {
        if (staying[at] === true) referred.add(row.position);
        return staying[at] !== true;
      });
      for (const row of await this.keepingReference(child, reference, going)) referred.add(row.position);
    }
    return referred;
  }

  /** Of rows that go or change, those that come back with the same reference. */
  private async keepingReference(
    child: TableDifferences,
    reference: Reference,
    rows: readonly Found[],
  ): Promise<Found[]> {
    if (rows.length === 0) return [];
    // A column that does not come back stays as it is.
    const columns = reference.columns.filter((column) => child.pair.columns.includes(column));
    const batch = batchOf(
      rows.map(({ line }) => line),
      child.pair.key.parts.length,
    );
    const expressions = columns.map((column) => `t.${quoteIdentifier(column)}`);
    const coming = await rowsByKey(this.sides, child.pair, 'restored', batch.columns, expressions);
    const next = new Map(coming.map(({ line, values }) => [line, values]));
    return rows.filter(({ line, values }) => {
      const after = next.get(line);
      if (after === undefined) return false;
      return columns.every((column, at) => after[at] === values[reference.columns.indexOf(column)]);
    });
  }

  /** Positions of the values that a row which comes back takes over. */
  private async takenOver(
    table: TableDifferences,
    reference: Reference,
    values: Values,
    among: ReadonlySet<number>,
  ): Promise<Set<number>> {
    const taken = new Set<number>();
    const [, coming] = await this.chosen(
      values,
      (position) => among.has(position),
      (chosen) => parentRows(this.sides, table.pair, 'restored', asForeignKey(table.pair, reference), chosen),
    );
    const arriving = await this.arriving(table, coming);
    for (const [at, { position }] of coming.entries()) if (arriving[at] === true) taken.add(position);
    return taken;
  }

  /** Whether these rows of production stay as they are. */
  private async staying(table: TableDifferences, rows: readonly Found[]): Promise<boolean[]> {
    const { changed, extra } = table.counts;
    const mayGo =
      (this.kinds.includes('changed') && changed > 0) || (this.kinds.includes('extra') && extra > 0);
    if (!mayGo || rows.length === 0) return rows.map(() => true);
    const kinds = await this.kindsOf(table, rows);
    return rows.map(({ line }) => {
      const kind = kinds.get(line);
      return kind === undefined || !this.kinds.includes(kind) || this.leftOf(table)[kind].has(line);
    });
  }

  /** Whether these rows of the restored copy come, new or changed. */
  private async arriving(table: TableDifferences, rows: readonly Found[]): Promise<boolean[]> {
    if (rows.length === 0) return [];
    const kinds = await this.kindsOf(table, rows);
    return rows.map(({ line }) => {
      const kind = kinds.get(line);
      return kind !== undefined && this.kinds.includes(kind) && !this.leftOf(table)[kind].has(line);
    });
  }

  /** How rows differ, by their key lines; those that do not are not in it. */
  private async kindsOf(
    { pair }: TableDifferences,
    rows: readonly Found[],
  ): Promise<Map<string, DifferenceKind>> {
    const lines = [...new Set(rows.map(({ line }) => line))];
    const kinds = new Map<string, DifferenceKind>();
    for (let at = 0; at < lines.length; at += BATCH_ROWS) {
      const { columns } = batchOf(lines.slice(at, at + BATCH_ROWS), pair.key.parts.length);
      const hashes = (side: 'production' | 'restored') =>
        rowsByKey(this.sides, pair, side, columns, [hashOf(pair, side, 't') ?? "''"]);
      const [live, copy] = await Promise.all([hashes('production'), hashes('restored')]);
      const now = new Map(live.map(({ line, values }) => [line, values[0]]));
      const before = new Map(copy.map(({ line, values }) => [line, values[0]]));
      for (const line of lines.slice(at, at + BATCH_ROWS)) {
        const kind = kindOf(now.get(line), before.get(line));
        if (kind !== null) kinds.set(line, kind);
      }
    }
    return kinds;
  }

  /** Rows judged before whose judgement rested on these, which are left alone now. */
  private async dependents(rows: Rows): Promise<Rows[]> {
    const found: Rows[] = [];
    if (rows.kind !== 'extra') {
      for await (const some of this.childrenOf(rows)) found.push(...some);
      found.push(...(await this.formerHolders(rows)));
    }
    if (rows.kind !== 'missing') {
      found.push(...(await this.wantersOf(rows)), ...(await this.parentsOf(rows)));
    }
    return found;
  }

  /** Rows that come back and refer to what these would have brought. */
  private async *childrenOf({ table, kind, batch }: Rows): AsyncGenerator<Rows[]> {
    for (const child of this.tables.slice(0, this.reached)) {
      for (const key of checkedForeignKeys(child.pair)) {
        if (this.byName.get(key.parent) !== table) continue;
        if (kind === 'changed' && isWithinKey(table.pair, key.parentColumns)) continue;
        const values = await this.valuesOf(table, 'restored', batch, key.parentColumns);
        if (values === null) continue;
        const reference = asReference(child.pair, table.pair, key);
        for await (const rows of referringRows(this.sides, child.pair, 'restored', reference, values)) {
          yield await this.openRows(child, rows, ['missing', 'changed']);
        }
      }
    }
  }

  /** Rows that would go because these take over a value of theirs to which others refer. */
  private async formerHolders({ table, batch }: Rows): Promise<Rows[]> {
    const found: Rows[] = [];
    for (const reference of table.pair.production.referencedBy) {
      if (isWithinKey(table.pair, reference.parentColumns) && table.pair.keyIsExact) continue;
      const values = await this.valuesOf(table, 'restored', batch, reference.parentColumns);
      if (values === null) continue;
      const key = asForeignKey(table.pair, reference);
      const rows = await parentRows(this.sides, table.pair, 'production', key, values);
      found.push(...(await this.openRows(table, rows, ['changed', 'extra'])));
    }
    return found;
  }

  /** Rows that come back with unique values that these keep. */
  private async wantersOf({ table, batch }: Rows): Promise<Rows[]> {
    const { pair } = table;
    const found: Rows[] = [];
    for (const index of checkedUniques(pair)) {
      const expressions = index.parts.map((part) => part.expression);
      const held = (
        await rowsByKey(this.sides, pair, 'production', batch.columns, expressions, index.predicate)
      ).filter((row) => !index.nullsDistinct || row.values.every((value) => value !== null));
      if (held.length === 0) continue;
      const values = transpose(
        held.map((row) => row.values),
        expressions.length,
      );
      const rows = await rowsByIndex(this.sides, pair, 'restored', index, values);
      found.push(...(await this.openRows(table, rows, ['missing', 'changed'])));
    }
    return found;
  }

  /** Rows that would go, to which these still refer. */
  private async parentsOf({ table, batch }: Rows): Promise<Rows[]> {
    const found: Rows[] = [];
    for (const key of table.pair.production.foreignKeys) {
      const parent = this.byName.get(key.parent);
      if (parent === undefined || !this.mayGiveUp(parent, key.parentColumns)) continue;
      if (this.tables.indexOf(parent) >= this.reached) continue;
      const values = await this.valuesOf(table, 'production', batch, key.columns);
      if (values === null) continue;
      const rows = await parentRows(this.sides, parent.pair, 'production', key, values);
      found.push(...(await this.openRows(parent, rows, ['changed', 'extra'])));
    }
    return found;
  }

  /** Values of some columns in the rows of a batch, without those that have a null; null where there are none. */
  private async valuesOf(
    { pair }: TableDifferences,
    side: 'production' | 'restored',
    batch: KeyBatch,
    columns: readonly string[],
  ): Promise<Values | null> {
    if (!columns.every((name) => pair[side].columns.some((column) => column.name === name))) return null;
    const expressions = columns.map((column) => `t.${quoteIdentifier(column)}`);
    const filled = expressions.map((column) => `${column} IS NOT NULL`).join(' AND ');
    const rows = await rowsByKey(this.sides, pair, side, batch.columns, expressions, filled);
    const groups = groupByValues(rows);
    return groups.length === 0
      ? null
      : transpose(
          groups.map((group) => group.values),
          columns.length,
        );
  }

  /** These rows as far as the rule changes them in one of these ways and they are not left alone. */
  private async openRows(
    table: TableDifferences,
    rows: readonly Found[],
    wanted: readonly DifferenceKind[],
  ): Promise<Rows[]> {
    const kinds = await this.kindsOf(table, rows);
    return wanted.flatMap((kind) => {
      const lines = [...kinds].flatMap(([line, of]) => (of === kind ? [line] : []));
      if (lines.length === 0 || !this.kinds.includes(kind)) return [];
      const batch = this.open(table, kind, batchOf(lines, table.pair.key.parts.length));
      return batch.lines.length === 0 ? [] : [{ table, kind, batch }];
    });
  }
}

function kindOf(now: string | null | undefined, before: string | null | undefined): DifferenceKind | null {
  if (now === undefined) return before === undefined ? null : 'missing';
  if (before === undefined) return 'extra';
  return now === before ? null : 'changed';
}

/** Rows with the same key have the same values of these columns on both sides. */
function isWithinKey(pair: TablePair, columns: readonly string[]): boolean {
  const key = keyNames(pair);
  return columns.every((column) => key.includes(column));
}

function groupByValues(rows: readonly Found[]): { values: (string | null)[]; lines: string[] }[] {
  const groups = new Map<string, { values: (string | null)[]; lines: string[] }>();
  for (const { line, values } of rows) {
    const reference = keyLine(values as string[]);
    const group = groups.get(reference);
    if (group === undefined) groups.set(reference, { values, lines: [line] });
    else group.lines.push(line);
  }
  return [...groups.values()];
}

/** A reference to look up a parent's rows by the parent's own values. */
function asForeignKey(parent: TablePair, reference: Reference): ForeignKey {
  return {
    ...reference,
    parent: nameOf(parent),
    parentOid: parent.production.oid,
    parentSource: parent.production.source,
    deferrable: false,
    equals: equalsOf(parent, reference.parentColumns),
  };
}

/** A foreign key to look up a child's rows by the parent's own values. */
function asReference(child: TablePair, parent: TablePair, key: ForeignKey): Reference {
  return {
    name: key.name,
    table: nameOf(child),
    source: child.production.source,
    oid: child.production.oid,
    columns: key.columns,
    parentColumns: key.parentColumns,
    types: key.parentColumns.map((name) => columnOf(parent.production, name)?.type as string),
    equals: key.equals,
    onDelete: 'a',
    onUpdate: 'a',
    readable: true,
    definition: '',
  };
}

/** The operators by which a unique index over exactly these columns compares them. */
function equalsOf(pair: TablePair, columns: readonly string[]): string[] {
  const parts = pair.production.uniques
    .filter((index) => !index.exclusion && index.predicate === null)
    .find(
      (index) =>
        index.parts.length === columns.length &&
        index.parts.every((part) => columns.includes(part.column ?? '')),
    )?.parts;
  return columns.map(
    (column) => parts?.find((part) => part.column === column)?.equals ?? 'OPERATOR(pg_catalog.=)',
  );
}
