import { formatDuration } from './duration.ts';
import { countOf, type Plan } from './plan.ts';

/** What is lost when a database is recovered to the end of what the repository holds. Times are ISO 8601. */
export interface Loss {
  /** when it was worked out */
  at: string;
  /** the newest moment that can be recovered, the end of a base at least; null: there is none */
  lastRecoverableAt: string | null;
  /** from that moment to `at`, whole; null: nothing can be recovered */
  seconds: number | null;
  /** commits known to be lost, as far as the watcher had seen production by `until`; null: it had not counted them */
  transactions: { lost: number; until: string } | null;
}

/** `34s of commits are lost, 12 transactions that were seen`. */
export function describeLoss({ seconds, transactions, lastRecoverableAt }: Loss): string {
  if (seconds === null || lastRecoverableAt === null) {
    return 'nothing can be recovered to its end: there is no base with its logs';
  }
  const span = `commits since ${lastRecoverableAt} are lost, ${formatDuration(Math.round(seconds) * 1_000)} of them`;
  if (transactions === null) return `${span}; how many is not known`;
  return `${span}; ${countOf(transactions.lost, 'transaction')} of these had been seen by ${transactions.until}`;
}

/** Who says that the old server cannot be written to any more. */
export interface Fenced {
  /** `command`: the configuration's; `word`: the people who approved */
  by: 'command' | 'word';
  /** what is known of the old server afterwards */
  detail: string;
}

/** What evidence keeps of a disaster recovery. */
export interface DisasterRecord {
  loss: Loss;
  /** what was approved before anything was done; null: nothing was. The other plan is the status's */
  plan: Plan | null;
  fenced: Fenced | null;
  /** the new server; null: it did not come so far */
  server: {
    address: { host: string; port: number };
    timeline: number;
    stanza: string;
    serviceFile: string;
  } | null;
  /** against the objectives; null: the database is not served by the new server */
  achieved: Achieved | null;
}

export interface Achieved {
  /** null: not known */
  rpoSeconds: number | null;
  rtoSeconds: number;
}

/** `4m30s of commits are lost, where the RPO is 1h; it took 12m, where the RTO is 30m`. */
export function describeAchieved(
  { rpoSeconds, rtoSeconds }: Achieved,
  objectives: { rpoSeconds: number; rtoSeconds: number },
): string {
  const lost =
    rpoSeconds === null ? 'how much is lost is not known' : `${span(rpoSeconds)} of commits are lost`;
  return `${lost}, where the RPO is ${span(objectives.rpoSeconds)}; it took ${span(rtoSeconds)}, where the RTO is ${span(objectives.rtoSeconds)}`;
}

const span = (seconds: number): string => (seconds < 1 ? '0s' : formatDuration(Math.round(seconds) * 1_000));
