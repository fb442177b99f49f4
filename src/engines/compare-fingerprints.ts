import type { Fingerprints, TableFingerprint } from '../model/backup.ts';
import type { Check } from '../model/evidence.ts';
import { countOf } from '../model/plan.ts';

/** What is said of differing tables at most. */
const NAMED = 10;

/**
 * Row counts and checksums of a copy beside those of the dump's own snapshot, table by table: they are equal, or the
 * copy is not what was backed up. `whole`: every table of the backup has to be there, save what this site cannot make,
 * which `notices` tell.
 */
export function compareFingerprints(
  { tables, precision }: Pick<Fingerprints, 'tables' | 'precision'>,
  found: readonly TableFingerprint[],
  options: { whole?: { notices: readonly string[] } } = {},
): Check {
  const check = compareTables(tables, found, options);
  if (precision === 'exact') return check;
  // Equal or not, it proves nothing.
  const detail = `the backup's rows were counted at another moment than they were dumped at: ${check.detail}`;
  return { ...check, verdict: 'inconclusive', detail };
}

function compareTables(
  expected: readonly TableFingerprint[],
  found: readonly TableFingerprint[],
  options: { whole?: { notices: readonly string[] } },
): Check {
  const known = new Map(expected.map((one) => [one.table, one]));
  const made = new Set(found.map(({ table }) => table));
  const missing = options.whole === undefined ? [] : expected.filter(({ table }) => !made.has(table));
  const differing = [
    ...missing.map(({ table }) => `${table} is not in the copy`),
    ...found.flatMap((one) => differenceOf(known.get(one.table), one) ?? []),
  ];
  if (differing.length === 0) {
    const rows = found.reduce((sum, one) => sum + one.rows, 0);
    return {
      name: 'rows',
      verdict: 'pass',
      detail: `${countOf(rows, 'row')} in ${countOf(found.length, 'table')}: counts and checksums as in the backup's own snapshot`,
    };
  }
  const more = differing.length > NAMED ? `; and ${differing.length - NAMED} more` : '';
  const excused = missing.length === differing.length && (options.whole?.notices.length ?? 0) > 0;
  return {
    name: 'rows',
    verdict: excused ? 'inconclusive' : 'fail',
    detail: [`${differing.slice(0, NAMED).join('; ')}${more}`, ...(options.whole?.notices ?? [])].join('; '),
  };
}

function differenceOf(expected: TableFingerprint | undefined, found: TableFingerprint): string | null {
  if (expected === undefined) return `${found.table} was not counted in the backup`;
  if (expected.rows !== found.rows) {
    return `${found.table} has ${countOf(found.rows, 'row')} where the backup had ${expected.rows}`;
  }
  return expected.checksum === found.checksum ? null : `${found.table} has other rows than the backup`;
}
