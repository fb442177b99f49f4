import { type ConflictRule, countOf } from '../../../model/plan.ts';
import type { LeftRows, TableDifferences } from './judged.ts';
import type { TablePair } from './table-pair.ts';

/** What a rule that writes into the table itself leaves alone, and what it does to those who write beside it. */
export function ruleNotices(
  { pair, counts }: TableDifferences,
  rule: ConflictRule,
  left: LeftRows,
): string[] {
  return [
    ...[...left.keptFor]
      .sort()
      .map((child) => `${pair.table}: rows to which ${child} still refers are left as they are`),
    ...[...left.heldBy]
      .sort()
      .map(
        (child) =>
          `${pair.table}: rows that exchange unique values would be deleted and inserted again, on which a foreign key of ${child} acts; they are left as they are, among the unique clashes`,
      ),
    ...[...left.broken].map(
      ([name, rows]) =>
        `${pair.table}: ${countOf(rows, 'row')} of the restored copy would break ${name}, which is new since, and ${rows === 1 ? 'is' : 'are'} left out`,
    ),
    ...(pair.gone ? [] : writingNotices(pair, rule, counts)),
  ];
}

function writingNotices(
  { table }: TablePair,
  rule: ConflictRule,
  { changed, extra, restoredRows }: TableDifferences['counts'],
): string[] {
  if (rule === 'insert-missing') return [];
  const notices: string[] = [];
  if (rule === 'replace') {
    notices.push(
      `${table}: who writes to it waits while the import reads the whole table again (${countOf(restoredRows, 'row')} of the restored copy are compared), keeps what it replaces and changes it; readers do not wait`,
    );
  } else if (changed > 0) {
    notices.push(
      `${table}: who writes to it waits while the import keeps what it replaces and changes it; readers do not wait`,
    );
  }
  if (changed > 0 || (rule === 'replace' && extra > 0)) {
    notices.push(
      `${table}: rows of this plan that are changed once more until the import are set back ${rule === 'replace' ? 'or deleted ' : ''}all the same; the undo keeps them as they were by then`,
    );
  }
  return notices;
}

/** Rows that an accident took along through ON DELETE CASCADE are easily forgotten. */
export function cascadeNotices(pair: TablePair, all: readonly TableDifferences[]): string[] {
  const included = new Set(all.map((table) => table.pair.production.oid));
  const changes: Record<string, string> = {
    c: 'deleted its rows with theirs (ON DELETE CASCADE)',
    n: 'lost its references to them (ON DELETE SET NULL)',
    d: 'lost its references to them (ON DELETE SET DEFAULT)',
  };
  return pair.production.referencedBy.flatMap(({ name, table, oid, onDelete }) => {
    const change = changes[onDelete];
    if (change === undefined || oid === pair.production.oid || (onDelete === 'c' && included.has(oid)))
      return [];
    return [
      `${pair.table}: ${table} may have ${change}, by constraint ${name}; this recovery does not bring that back`,
    ];
  });
}
