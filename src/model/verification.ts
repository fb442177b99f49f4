import type { Check } from './evidence.ts';

export type Verdict = Check['verdict'];

/** What `dailyVerify` returns: part of the contract. Times are ISO 8601 with an offset. */
export interface Verification {
  verdict: Verdict;
  /** why it is not `pass`; empty where it is */
  reasons: string[];
  checks: Check[];
  /** ids of the backups that were restored, joined by a comma and a space; empty where there was none to restore */
  backup: string;
  startedAt: string;
  finishedAt: string;
}

const ORDER: readonly Verdict[] = ['pass', 'inconclusive', 'fail'];

/** The worst of these: what could not be looked at never hides what is broken. */
export function worstOf(verdicts: readonly Verdict[]): Verdict {
  return verdicts.reduce((worst, one) => (ORDER.indexOf(one) > ORDER.indexOf(worst) ? one : worst), 'pass');
}
