import type { Candidate } from '../../engines/engine.ts';
import type { FindResult } from '../find.ts';
import { formatCount, formatParagraph, formatTable, shellQuote, style } from '../output.ts';

/** The command that brings back what a transaction took: the state just before it, compared with production. */
export function restoreCommandOf(
  { database, table }: Pick<FindResult, 'database' | 'table'>,
  candidate: Candidate,
  again: readonly string[],
): string {
  // Rows that are gone come back by the default rule; rows that were only changed have to be set back.
  const conflict = lostRows(candidate) ? [] : ['--conflict', 'restore-changed'];
  const words = [
    ...['holdfast', 'restore', 'pitr', database, ...targetOptions(candidate), '--table', table, ...conflict],
    ...['--reason', `transaction ${candidate.xid} ${describeCandidate(candidate, table)}`, ...again],
  ];
  return words.map(shellQuote).join(' ');
}

function targetOptions({ target, xid }: Candidate): string[] {
  return 'lsn' in target ? ['--lsn', target.lsn, '--exclusive'] : ['--xid', xid];
}

function lostRows({ whole, deleted }: Candidate): boolean {
  return deleted > 0 || whole === 'dropped' || whole === 'truncated';
}

/** `deleted 9 rows of public.t`. */
function describeCandidate({ whole, deleted, updated }: Candidate, table: string): string {
  if (whole === 'dropped' || whole === 'truncated') return `${whole} ${table}`;
  const parts = [
    ...(deleted > 0 ? [`deleted ${formatCount(deleted)}`] : []),
    ...(updated > 0 ? [`updated ${formatCount(updated)}`] : []),
  ];
  return `${parts.join(' and ')} rows of ${table}`;
}

/** The candidates as a table, oldest first; below it the command for the likeliest. */
export function formatFind(result: FindResult, again: readonly string[], width: number | null): string {
  const { searched, candidates, likeliest, notices, table } = result;
  const span = searched.from === null ? '' : `, ${searched.from} to ${searched.to}`;
  const parts = [
    `${style('bold', table)} of ${result.database}: ${formatCount(searched.logs)} logs searched${span}`,
  ];
  if (candidates.length === 0) parts.push('no transaction in them deleted, changed, truncated or dropped it');
  else parts.push(formatCandidates(candidates));
  if (notices.length > 0) {
    parts.push(notices.map((notice) => formatParagraph(`note: ${notice}`, '', width)).join('\n'));
  }
  if (likeliest !== null) {
    parts.push(
      `to just before transaction ${likeliest.xid}, which ${describeCandidate(likeliest, table)}:\n${restoreCommandOf(result, likeliest, again)}`,
    );
  }
  return parts.join('\n\n');
}

function formatCandidates(candidates: readonly Candidate[]): string {
  return formatTable(
    [
      { head: 'committed at' },
      { head: 'xid', align: 'right' },
      { head: 'LSN' },
      { head: 'deleted', align: 'right' },
      { head: 'updated', align: 'right' },
      { head: 'whole' },
    ],
    candidates.map(({ at, xid, lsn, deleted, updated, whole }) => [
      ...[at, xid, lsn, formatCount(deleted), formatCount(updated), whole ?? '-'],
    ]),
  );
}
