import type { Candidate } from '../../engines/contract/read.ts';
import { countOf } from '../../model/plan.ts';
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
    ...['--reason', `transaction ${nameOf(candidate)} ${describeCandidate(candidate, table)}`, ...again],
  ];
  return words.map(shellQuote).join(' ');
}

/** By its place in the log, which tells what base to start from: where a transaction id lies only a replay finds. */
function targetOptions({ target }: Candidate): string[] {
  const place = 'gtid' in target ? ['--gtid', target.gtid] : ['--lsn', target.lsn];
  return [...place, '--exclusive'];
}

/** What people call the transaction: the server's number for it, or else its place in the log. */
const nameOf = ({ xid, gtid, lsn }: Candidate): string => xid ?? gtid ?? lsn;

function lostRows({ whole, deleted }: Candidate): boolean {
  return deleted > 0 || whole === 'dropped' || whole === 'truncated';
}

/** `deleted 9 rows of public.t`, `dropped 1 of 3 partitions of public.t`. */
function describeCandidate(candidate: Candidate, table: string): string {
  const { whole, deleted, updated, partitions } = candidate;
  if (whole === 'dropped' || whole === 'truncated') {
    return partitions === null ? `${whole} ${table}` : `${describeWhole(candidate)} of ${table}`;
  }
  const parts = [
    ...(deleted > 0 ? [`deleted ${formatCount(deleted)}`] : []),
    ...(updated > 0 ? [`updated ${formatCount(updated)}`] : []),
  ];
  return parts.length === 0 ? `rewrote ${table}` : `${parts.join(' and ')} rows of ${table}`;
}

function describeWhole({ whole, partitions }: Candidate): string {
  if (whole === null || partitions === null) return whole ?? '-';
  if (partitions.all === null) return `${whole} some partitions`;
  return `${whole} ${formatCount(partitions.touched)} of ${formatCount(partitions.all)} partitions`;
}

/** The candidates as a table, oldest first, with the target just before each; below it the command for the likeliest. */
export function formatFind(result: FindResult, again: readonly string[], width: number | null): string {
  const { searched, candidates, likeliest, notices, table } = result;
  const span = searched.from === null ? '' : `, ${searched.from} to ${searched.to}`;
  const parts = [
    `${style('bold', table)} of ${result.database}: ${countOf(searched.logs, 'log')} searched${span}`,
  ];
  if (candidates.length === 0) parts.push('no transaction in them deleted, changed, truncated or dropped it');
  else parts.push(formatCandidates(candidates));
  if (notices.length > 0) {
    parts.push(notices.map((notice) => formatParagraph(`note: ${notice}`, '', width)).join('\n'));
  }
  if (likeliest !== null) {
    const others = candidates.length > 1 ? ' (for another one, put its target there)' : '';
    parts.push(
      `to just before transaction ${nameOf(likeliest)}, which ${describeCandidate(likeliest, table)}${others}:\n${restoreCommandOf(result, likeliest, again)}`,
    );
  }
  return parts.join('\n\n');
}

function formatCandidates(candidates: readonly Candidate[]): string {
  const hasOwn = candidates.some(({ by }) => by !== undefined);
  const hasGtids = candidates.some(({ gtid }) => gtid !== undefined);
  return formatTable(
    [
      { head: 'committed at' },
      { head: hasGtids ? 'GTID' : 'xid', align: 'right' },
      { head: 'position' },
      { head: 'deleted', align: 'right' },
      { head: 'updated', align: 'right' },
      { head: 'whole' },
      { head: 'target just before it' },
      ...(hasOwn ? [{ head: 'done by' }] : []),
    ],
    candidates.map((candidate) => {
      const { at, xid, gtid, lsn, deleted, updated } = candidate;
      const counts = [formatCount(deleted), formatCount(updated)];
      const known = [
        at,
        xid ?? gtid ?? '-',
        lsn,
        ...counts,
        describeWhole(candidate),
        targetOptions(candidate).join(' '),
      ];
      return hasOwn ? [...known, candidate.by ?? '-'] : known;
    }),
  );
}
