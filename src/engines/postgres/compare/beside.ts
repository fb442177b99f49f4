import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import { countOf } from '../../../model/plan.ts';
import { formatNameParts } from '../../../model/table.ts';
import { quoteQualified } from '../identifier.ts';
import type { Differences } from './differences.ts';
import type { TablePair } from './table-pair.ts';

/** What PostgreSQL lets a name have, in bytes of UTF-8. */
const NAME_BYTES = 63;

/** The name of the table beside a table: `<table>_restored_<copyId>`, the table's own part cut to fit. */
export function besideName(name: string, copyId: string): string {
  const suffix = `_restored_${copyId}`;
  const room = NAME_BYTES - Buffer.byteLength(suffix);
  let cut = '';
  for (const character of name) {
    if (Buffer.byteLength(cut + character) > room) break;
    cut += character;
  }
  return `${cut}${suffix}`;
}

/** What a copy beside the table is called, and what room it takes. */
export function besideNotices(pair: TablePair, counts: Differences, copyId: string): string[] {
  const { schema, name, bytes, rowSecurity } = pair.restored;
  const copy = formatNameParts([schema, besideName(name, copyId)]);
  const size = `${Math.max(1, Math.ceil(bytes / 1e6)).toLocaleString('en-US')} MB`;
  return [
    `${pair.table}: all ${countOf(counts.restoredRows, 'row')} of the restored copy go into the new table ${copy}, which takes up to ${size} in production`,
    `${pair.table}: the copy beside it has none of its grants and policies: only the configured user and superusers may read it${
      rowSecurity || pair.production.rowSecurity ? ', and row security is on for it' : ''
    }`,
  ];
}

/** A copy beside a table cannot be had where something has its name. */
export async function refuseTaken(
  production: pg.Client,
  pairs: readonly TablePair[],
  copyId: string,
): Promise<void> {
  const names = pairs.map(({ restored }) => [restored.schema, besideName(restored.name, copyId)]);
  const { rows } = await production.query<{ taken: boolean }>(
    `SELECT pg_catalog.to_regclass(name) IS NOT NULL AS taken
     FROM unnest($1::pg_catalog.text[]) WITH ORDINALITY AS u(name, n) ORDER BY n`,
    [names.map(quoteQualified)],
  );
  for (const [index, pair] of pairs.entries()) {
    const name = formatNameParts(names[index] as string[]);
    const twin = names.findIndex((other) => other.join('\0') === names[index]?.join('\0')) !== index;
    if (rows[index]?.taken !== true && !twin) continue;
    pair.refusals['side-by-side'] = new HoldfastError('NotSupported', `there is a table ${name} already`, {
      hint: twin ? 'recover the tables one after the other' : 'rename or drop that',
    });
  }
}
