import type { ConflictRule } from '../../../model/plan.ts';
import { quoteIdentifier } from '../identifier.ts';
import {
  DIFFERENCE_KINDS,
  type DifferenceKind,
  type Differences,
  hashOf,
  type Reason,
  ruleKinds,
  type Sides,
} from './differences.ts';
import { batchOf, type KeyBatch, keyLine } from './keys-file.ts';
import { BATCH_ROWS, type Found, rowsByKey, transpose, type Values } from './lookup.ts';
import type { UniqueIndex } from './relation.ts';
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
  /** tables because of whose rows this table's cannot exchange unique values, with what their foreign keys do */
  readonly heldBy = new Set<string>();
  /** how many rows break a constraint that is new since, by its name */
  readonly broken = new Map<string, number>();

  count(reason: Reason): number {
    return DIFFERENCE_KINDS.reduce(
      (sum, kind) => sum + [...this[kind].values()].filter((other) => other === reason).length,
      0,
    );
  }
}

/** Rows to judge, or rows that were just left alone. */
export interface Rows {
  table: TableDifferences;
  kind: DifferenceKind;
  batch: KeyBatch;
}

/** How far a rule's rows have been judged, and what will become of a row by that. */
export class Judged {
  readonly left: Map<TableDifferences, LeftRows>;
  readonly byName: Map<string, TableDifferences>;
  readonly kinds: readonly DifferenceKind[];
  readonly sides: Sides;
  readonly tables: readonly TableDifferences[];
  /** how many tables have been judged, at least in part */
  reached = 0;
  /** values that rows coming back hold in a unique index that is new since: nothing kept them apart before */
  readonly seen = new Map<UniqueIndex, Map<string, string>>();

  constructor(sides: Sides, tables: readonly TableDifferences[], rule: ConflictRule) {
    this.sides = sides;
    this.tables = tables;
    this.kinds = ruleKinds(rule);
    this.left = new Map(tables.map((table) => [table, new LeftRows()]));
    this.byName = new Map(tables.map((table) => [nameOf(table.pair), table]));
  }

  leftOf(table: TableDifferences): LeftRows {
    return this.left.get(table) as LeftRows;
  }

  /** Leaves rows alone; which of them were not before. */
  leave({ table, kind }: Rows, lines: readonly string[], reason: Reason): string[] {
    const left = this.leftOf(table)[kind];
    return lines.filter((line) => {
      if (left.has(line)) return false;
      left.set(line, reason);
      return true;
    });
  }

  /** Without the rows that are left alone already. */
  open(table: TableDifferences, kind: DifferenceKind, batch: KeyBatch): KeyBatch {
    const left = this.leftOf(table)[kind];
    if (left.size === 0) return batch;
    return batchOf(
      batch.lines.filter((line) => !left.has(line)),
      table.pair.key.parts.length,
    );
  }

  /** Whether a row of the table may lose values of these columns under this rule. */
  mayGiveUp({ pair, counts }: TableDifferences, columns: readonly string[]): boolean {
    if (this.kinds.includes('extra') && counts.extra > 0) return true;
    return this.kinds.includes('changed') && counts.changed > 0 && !isFixed(pair, columns);
  }

  /** Whether these rows of production stay as they are. */
  async staying(table: TableDifferences, rows: readonly Found[]): Promise<boolean[]> {
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
  async arriving(table: TableDifferences, rows: readonly Found[]): Promise<boolean[]> {
    if (rows.length === 0) return [];
    const kinds = await this.kindsOf(table, rows);
    return rows.map(({ line }) => {
      const kind = kinds.get(line);
      return kind !== undefined && this.kinds.includes(kind) && !this.leftOf(table)[kind].has(line);
    });
  }

  /** How rows differ, by their key lines; those that do not are not in it. */
  async kindsOf({ pair }: TableDifferences, rows: readonly Found[]): Promise<Map<string, DifferenceKind>> {
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

  /** Values of some columns in the rows of a batch, without those that have a null; null where there are none. */
  async valuesOf(
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
  async openRows(
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
export function isWithinKey(pair: TablePair, columns: readonly string[]): boolean {
  const key = keyNames(pair);
  return columns.every((column) => key.includes(column));
}

/** The same, and not even their texts change: nothing of a key's text is lost like the scale of a number. */
export function isFixed(pair: TablePair, columns: readonly string[]): boolean {
  return isWithinKey(pair, columns) && !columns.some((column) => pair.hashed.includes(column));
}

export function groupByValues(rows: readonly Found[]): { values: (string | null)[]; lines: string[] }[] {
  const groups = new Map<string, { values: (string | null)[]; lines: string[] }>();
  for (const { line, values } of rows) {
    const reference = keyLine(values as string[]);
    const group = groups.get(reference);
    if (group === undefined) groups.set(reference, { values, lines: [line] });
    else group.lines.push(line);
  }
  return [...groups.values()];
}
