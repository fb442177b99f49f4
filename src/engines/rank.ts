import type { Candidate } from './contract/read.ts';

/**
 * The candidate that is most probably the accident; null where none has taken anything. A partition that goes alone is
 * mostly an old one whose time is over: it stands behind any loss of rows. What Holdfast itself did comes last.
 */
export function likeliest(candidates: readonly Candidate[]): Candidate | null {
  return mostOf(candidates.filter((one) => !isOwn(one))) ?? mostOf(candidates);
}

function mostOf(candidates: readonly Candidate[]): Candidate | null {
  const most = Math.max(0, ...candidates.map(lossOf));
  return most === 0 ? null : (candidates.findLast((one) => lossOf(one) === most) ?? null);
}

/** Those that took the most. Whatever went as a whole is among them, a single partition too. */
export function keepMost(candidates: readonly Candidate[], limit: number): Candidate[] {
  const size = (one: Candidate) => (isGone(one) ? Number.POSITIVE_INFINITY : rowsOf(one));
  return candidates
    .toSorted((a, b) => Number(isOwn(a)) - Number(isOwn(b)) || descending(size(a), size(b)))
    .slice(0, limit);
}

/** How much a transaction took: a table that is gone as a whole before everything else. */
function lossOf(candidate: Candidate): number {
  const { partitions } = candidate;
  if (!isGone(candidate)) return rowsOf(candidate);
  const isAll = partitions === null || (partitions.all !== null && partitions.touched === partitions.all);
  if (isAll) return Number.POSITIVE_INFINITY;
  return Math.max(rowsOf(candidate), LESS_THAN_A_ROW);
}

const LESS_THAN_A_ROW = 0.5;

const isOwn = ({ by }: Candidate): boolean => by !== undefined;
const isGone = ({ whole }: Candidate): boolean => whole === 'dropped' || whole === 'truncated';
const rowsOf = ({ deleted, updated }: Candidate): number => deleted + updated;
const descending = (a: number, b: number): number => (a === b ? 0 : b > a ? 1 : -1);
