import { HoldfastError } from '../../../model/failure.ts';
import { countOf } from '../../../model/plan.ts';
import { formatNameParts } from '../../../model/table.ts';
import type { Connection } from '../connection.ts';
import type { TablePair } from './pair.ts';
import { isSameTable } from './table.ts';

/** What MySQL lets a name have, in characters. */
const NAME_LENGTH = 64;

/** The name of the table beside a table: `<table>_restored_<copyId>`, the table's own part cut to fit. */
export function besideParts({ parts: [schema, name] }: TablePair, copyId: string): [string, string] {
  const suffix = `_restored_${copyId}`;
  return [schema, `${[...name].slice(0, NAME_LENGTH - suffix.length).join('')}${suffix}`];
}

/** What a copy beside the table is called, and what room it takes. */
export function besideNotices(pair: TablePair, rows: number, copyId: string): string[] {
  const copy = formatNameParts(besideParts(pair, copyId));
  const size = `${Math.max(1, Math.ceil(pair.restored.bytes / 1e6)).toLocaleString('en-US')} MB`;
  return [
    `${pair.table}: all ${countOf(rows, 'row')} of the restored copy go into the new table ${copy}, which takes about ${size} in production`,
    `${pair.table}: who may read the tables of ${pair.parts[0]} by rights on the db may read the copy beside it`,
  ];
}

/** A copy beside a table cannot be had where something has its name. */
export async function refuseTaken(
  production: Connection,
  pairs: readonly TablePair[],
  copyId: string,
): Promise<void> {
  for (const [index, pair] of pairs.entries()) {
    const parts = besideParts(pair, copyId);
    const twin = pairs.slice(0, index).some((other) => isSameTable(besideParts(other, copyId), parts));
    const there = await production.query(
      'SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?',
      parts,
    );
    if (there.length === 0 && !twin) continue;
    pair.refusals['side-by-side'] ??= new HoldfastError(
      'NotSupported',
      `there is a table ${formatNameParts(parts)} already`,
      { hint: twin ? 'recover the tables one after the other' : 'rename or drop that' },
    );
  }
}
