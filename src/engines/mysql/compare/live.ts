import type { Run } from '../../../model/progress.ts';
import type { Connection } from '../connection.ts';
import type { Differences } from './differences.ts';
import { among, anyNull, checkedUniques, losingKinds, ownKeys } from './effects.ts';
import { addIndexes, loadLive, loadLiveOf } from './fill.ts';
import type { Lookup } from './lookup.ts';
import { type Compared, keyColumns, type Scratch, sameKey } from './scratch.ts';
import { type Column, columnsOf, type Table } from './table.ts';
import { readValue } from './values.ts';

type All = ReadonlyMap<Compared, Differences>;

/** Which of a table's rows in production the rules ask about. */
interface Question extends Lookup {
  of: Compared;
}

/**
 * Brings those of production's rows into the scratch db that decide what a rule leaves alone: who holds a unique value of a
 * row that comes, who is its parent, and who refers to a row that changes or goes. Production is asked by values: that costs
 * as much as there are differences, not as there are rows. Tables that were compared in the scratch db are there already.
 */
export async function takeLive(production: Connection, scratch: Scratch, all: All, run: Run): Promise<void> {
  const asked = new Set<Compared>();
  const whole = new Set([...all.keys()].filter((compared) => all.get(compared)?.hasLive));
  // Rows that go come first: the others are asked about by what these give up.
  for (const questions of [goingRows(all), relatedRows(all)]) {
    for (const question of questions) {
      const { of: compared } = question;
      asked.add(compared);
      if (whole.has(compared)) continue;
      if (all.get(compared)?.isComing && hasPrefix(compared)) {
        await loadLive(production, scratch, compared, run);
        whole.add(compared);
      } else {
        await loadLiveOf(production, scratch, compared, question, run);
      }
    }
  }
  for (const compared of asked) await addIndexes(scratch, compared);
}

/** Values are no way to find those that only begin like them. */
const hasPrefix = (compared: Compared): boolean =>
  checkedUniques(compared).some(({ parts }) => parts.some(({ length }) => length !== null));

function* goingRows(all: All): Generator<Question> {
  for (const [compared, { isGoing }] of all) {
    const { pair, diff } = compared;
    const references = pair.production.referencedBy;
    if (!isGoing || references.length === 0) continue;
    const kinds = references.some((key) => losingKinds(compared, key) !== '3') ? '2, 3' : '3';
    const by = keyColumns(pair);
    yield {
      ...{ of: compared, by },
      values: `SELECT ${selected(by, 'd')} FROM ${diff} AS d WHERE d.holdfast_kind IN (${kinds})`,
    };
  }
}

function* relatedRows(all: All): Generator<Question> {
  for (const [compared, { isComing, isGoing }] of all) {
    const { pair } = compared;
    if (isComing) {
      for (const { parts } of checkedUniques(compared)) {
        const names = parts.map(({ column }) => column as string);
        yield { of: compared, by: columnsOf(pair.production, names), values: comingValues(compared, names) };
      }
      for (const { columns, parent, parentColumns } of ownKeys(compared)) {
        const found = among([...all.keys()], parent);
        if (found === undefined) continue;
        const by = columnsOf(found.pair.production, parentColumns);
        yield { of: found, by, values: comingValues(compared, columns) };
      }
    }
    if (!isGoing) continue;
    for (const reference of pair.production.referencedBy) {
      const { child, columns, parentColumns } = reference;
      const values = goingValues(compared, parentColumns, losingKinds(compared, reference));
      // Where they are no unique key, another row may go on to serve the children.
      if (!isUnique(pair.production, parentColumns)) {
        yield { of: compared, by: columnsOf(pair.production, parentColumns), values };
      }
      const found = among([...all.keys()], child);
      if (found !== undefined) yield { of: found, by: columnsOf(found.pair.production, columns), values };
    }
  }
}

const isUnique = ({ uniques }: Table, names: readonly string[]): boolean =>
  uniques.some(({ parts }) =>
    parts.every(({ column, length }) => column !== null && length === null && names.includes(column)),
  );

/** What the copy's rows bring along that are missing or changed. */
function comingValues({ pair, diff, copy }: Compared, names: readonly string[]): string {
  return `SELECT DISTINCT ${selected(columnsOf(pair.production, names), 'c')} FROM ${diff} AS d
    JOIN ${copy} AS c ON ${sameKey(pair, 'd', 'c')} WHERE d.holdfast_kind IN (1, 2) AND NOT (${anyNull(names, 'c')})`;
}

/** What production's rows give up; they are in the scratch db. */
function goingValues({ pair, diff, live }: Compared, names: readonly string[], kinds: string): string {
  return `SELECT DISTINCT ${selected(columnsOf(pair.production, names), 'l')} FROM ${diff} AS d
    JOIN ${live} AS l ON ${sameKey(pair, 'd', 'l')} WHERE d.holdfast_kind IN (${kinds}) AND NOT (${anyNull(names, 'l')})`;
}

const selected = (columns: readonly Column[], alias: string): string =>
  columns.map((column) => readValue(column, alias)).join(', ');
