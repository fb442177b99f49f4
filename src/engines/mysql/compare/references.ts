import type { Connection } from '../connection.ts';
import { among, anyNull, losingKinds, ownKeys, type WritingRule } from './effects.ts';
import { lookUp, type TableLookup } from './lookup.ts';
import { type Compared, type Scratch, sameKey } from './scratch.ts';
import { columnsOf, describeTable, type ForeignKey, type Table } from './table.ts';
import { readValue } from './values.ts';

/** What production has of the values on the other side of a foreign key, where that table is not among these. */
export interface References {
  /** of each foreign key of these tables: its parents' values */
  parents: Map<ForeignKey, string | null>;
  /** of each foreign key that refers to these tables: its children's values */
  children: Map<ForeignKey, string>;
}

/** Asks production what stands on the other side of foreign keys. */
export async function readReferences(
  production: Connection,
  scratch: Scratch,
  all: readonly Compared[],
): Promise<References> {
  const found: References = { parents: new Map(), children: new Map() };
  let number = 0;
  const values = (table: Table, names: readonly string[], alias: string) =>
    columnsOf(table, names)
      .map((column) => readValue(column, alias))
      .join(', ');
  const ask = async (lookup: Omit<TableLookup, 'into'>) => {
    number += 1;
    return lookUp(production, scratch, { ...lookup, into: `found_values_${number}` });
  };
  for (const compared of all) {
    const { pair, diff, copy, live } = compared;
    const asks = (rules: readonly WritingRule[]) => rules.some((rule) => pair.refusals[rule] === undefined);
    for (const reference of ownKeys(compared)) {
      if (
        !asks(['insert-missing', 'restore-changed', 'replace']) ||
        among(all, reference.parent) !== undefined
      )
        continue;
      const parent = await describeTable(production, reference.parent as [string, string]);
      const from = `FROM ${diff} AS d JOIN ${copy} AS c ON ${sameKey(pair, 'd', 'c')}
         WHERE d.holdfast_kind IN (1, 2) AND NOT (${anyNull(reference.columns, 'c')})`;
      found.parents.set(
        reference,
        parent === null
          ? null
          : await ask({
              values: `SELECT DISTINCT ${values(pair.production, reference.columns, 'c')} ${from}`,
              table: reference.parent,
              by: columnsOf(parent, reference.parentColumns),
            }),
      );
    }
    for (const reference of pair.production.referencedBy) {
      if (!asks(['restore-changed', 'replace']) || among(all, reference.child) !== undefined) continue;
      const child = (await describeTable(production, reference.child as [string, string])) as Table;
      found.children.set(
        reference,
        await ask({
          values: `SELECT DISTINCT ${values(pair.production, reference.parentColumns, 'l')}
             FROM ${diff} AS d JOIN ${live} AS l ON ${sameKey(pair, 'd', 'l')}
             WHERE d.holdfast_kind IN (${losingKinds(compared, reference)}) AND NOT (${anyNull(reference.parentColumns, 'l')})`,
          table: reference.child,
          by: columnsOf(child, reference.columns),
        }),
      );
    }
  }
  return found;
}
