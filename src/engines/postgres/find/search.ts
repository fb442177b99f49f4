import type { TableRelation } from '../../../model/relation.ts';
import type { Candidate } from '../../engine.ts';
import type { LogRecord, RowChange } from './record.ts';

export interface SearchOptions {
  /** every place where the table was known to lie */
  relations: readonly TableRelation[];
  serverMajor: number;
  /** milliseconds: only what committed between counts; files are followed all the same */
  since: number;
  until: number;
  /** fewer deleted and updated rows than this are no accident; what was truncated or dropped always counts */
  minRows: number;
  /** how many are kept: those with the most rows */
  limit: number;
}

/** What one transaction, or one subtransaction, has done so far. */
interface Open {
  rows: Record<RowChange, number>;
  /** files made, in order; `copied`: pages were written into them as they were */
  creates: { node: string; at: number; copied: boolean }[];
  /** oids locked exclusively, and when and where in the log */
  locks: Map<string, { at: number; lsn: string }>;
}

type Whole = NonNullable<Candidate['whole']>;

/**
 * Reads records in the order of the log and keeps the committed transactions that took rows from a table. The log
 * names a table by its file alone: where a transaction gives it another one, that is followed.
 */
export class Search {
  readonly #options: SearchOptions;
  /** by place: the oid of the table, or of the leaf, that lies or lay there */
  readonly #places = new Map<string, string>();
  readonly #dbs: Set<string>;
  readonly #open = new Map<string, Open>();
  #found: Candidate[] = [];
  #order = 0;
  /** what ran before the first record that tells: null until one has */
  #begunBefore: { oldestXid: bigint; nextXid: bigint } | null = null;
  /** candidates that began before the first log that was read */
  readonly cut = new Set<string>();
  firstCommitAt: string | null = null;
  lastCommitAt: string | null = null;

  constructor(options: SearchOptions) {
    this.#options = options;
    for (const { node, oid } of options.relations) this.#places.set(node, oid);
    this.#dbs = new Set(options.relations.map(({ node }) => dbOf(node)));
  }

  read(record: LogRecord, timeline: number): void {
    this.#order += 1;
    if (record.kind === 'row') {
      if (this.#places.has(record.node)) this.#of(record.xid).rows[record.change] += 1;
    } else if (record.kind === 'create') {
      if (!this.#dbs.has(dbOf(record.node))) return;
      this.#of(record.xid).creates.push({ node: record.node, at: this.#order, copied: false });
    } else if (record.kind === 'pages') {
      const made = this.#open.get(record.xid)?.creates.find(({ node }) => node === record.node);
      if (made !== undefined) made.copied = true;
    } else if (record.kind === 'lock') {
      for (const { xid, db, oid } of record.locks) if (this.#dbs.has(db)) this.#lock(xid, oid, record.lsn);
    } else if (record.kind === 'running') {
      const { oldestXid, nextXid } = record;
      this.#begunBefore ??= { oldestXid: BigInt(oldestXid), nextXid: BigInt(nextXid) };
    } else if (record.kind === 'abort') {
      for (const xid of record.ended) this.#open.delete(xid);
    } else {
      this.#commit(record, timeline);
    }
  }

  /** The candidates, oldest first. */
  candidates(): Candidate[] {
    this.#keepMost();
    return this.#found.sort((a, b) => (a.at < b.at ? -1 : 1));
  }

  #of(xid: string): Open {
    const known = this.#open.get(xid);
    if (known !== undefined) return known;
    const made: Open = {
      rows: { deleted: 0, updated: 0, inserted: 0 },
      creates: [],
      locks: new Map(),
    };
    this.#open.set(xid, made);
    return made;
  }

  /** Locks are told again at checkpoints: the first time counts. */
  #lock(xid: string, oid: string, lsn: string): void {
    const { locks } = this.#of(xid);
    if (!locks.has(oid)) locks.set(oid, { at: this.#order, lsn });
  }

  #commit(record: Extract<LogRecord, { kind: 'commit' }>, timeline: number): void {
    this.firstCommitAt ??= record.at;
    this.lastCommitAt = record.at;
    const parts = record.ended.flatMap((xid) => this.#open.get(xid) ?? []);
    for (const xid of record.ended) this.#open.delete(xid);
    const done = mergeParts(parts);
    const whole = this.#wholeOf(record, done);
    const { deleted, updated, inserted } = done.rows;
    const at = Date.parse(record.at);
    if (at < this.#options.since || at > this.#options.until) return;
    const loses = deleted + updated >= this.#options.minRows && deleted + updated > 0;
    if (!loses && whole === null) return;
    const { of: xid, lsn } = record;
    if (this.#beganBefore(xid)) this.cut.add(xid);
    this.#found.push({
      ...{ xid, at: record.at, lsn, timeline, deleted, updated, inserted, whole },
      target: this.#targetOf(xid, done),
    });
    if (this.#found.length >= this.#options.limit * 4 + 1_000) this.#keepMost();
  }

  /** What happened to the files of the table, and where it lies from now on. */
  #wholeOf(record: Extract<LogRecord, { kind: 'commit' }>, done: Open): Whole | null {
    let whole: Whole | null = null;
    for (const node of record.removed) {
      const oid = this.#places.get(node);
      if (oid === undefined) continue;
      // A second TRUNCATE in one transaction removes the file that the first has made.
      const next = this.#successorOf(node, oid, record, done);
      const kind = next === null ? 'dropped' : isRewrite(next, done) ? 'rewritten' : 'truncated';
      if (next !== null) this.#places.set(next.node, oid);
      if (whole === null || WEIGHT[kind] > WEIGHT[whole]) whole = kind;
    }
    return whole;
  }

  /** The file that a transaction gave the table in exchange for this one; null: none, it has dropped the table. */
  #successorOf(
    node: string,
    oid: string,
    record: Extract<LogRecord, { kind: 'commit' }>,
    done: Open,
  ): Open['creates'][number] | null {
    const { creates, locks } = done;
    const { removed, droppedOids } = record;
    if (droppedOids.includes(oid)) return null;
    const known = creates.find((made) => this.#places.get(made.node) === oid);
    if (known !== undefined) return known;
    // TRUNCATE makes a file for each that it removes; the commit lists the removed ones newest first.
    const rewrites = creates.some((made) => locks.has(fileOf(made.node)));
    if (!rewrites && creates.length === removed.length) {
      return creates[removed.length - 1 - removed.indexOf(node)] ?? null;
    }
    // Versions before 15 do not say which oids were dropped: nothing but a DROP removes more files than it makes.
    if (!rewrites && creates.length < removed.length && this.#options.serverMajor < 15) return null;
    const lockedAt = locks.get(oid)?.at ?? 0;
    const staying = creates.filter((made) => made.at > lockedAt && !removed.includes(made.node));
    // A copy has an oid of its own until it takes the table's place. The table comes before its toast and indexes.
    return staying.find((made) => locks.has(fileOf(made.node))) ?? staying[0] ?? null;
  }

  /**
   * Just before the commit, but for a transaction that locked the table exclusively: a copy that stops at its commit has
   * that lock replayed, and nobody could read the table there. While it was locked nobody else changed it: just
   * before the lock it was the same.
   */
  #targetOf(xid: string, { locks }: Open): Candidate['target'] {
    const own = new Set(this.#places.values());
    const first = [...locks].filter(([oid]) => own.has(oid)).sort(([, a], [, b]) => a.at - b.at)[0];
    return first === undefined ? { xid } : { lsn: first[1].lsn, exclusive: true };
  }

  #beganBefore(xid: string): boolean {
    if (this.#begunBefore === null) return false;
    const { oldestXid, nextXid } = this.#begunBefore;
    const own = BigInt(xid);
    return own >= oldestXid && own < nextXid;
  }

  #keepMost(): void {
    const { limit } = this.#options;
    if (this.#found.length <= limit) return;
    this.#found = this.#found.sort(byLoss).slice(0, limit);
  }
}

const WEIGHT: Record<Whole, number> = { rewritten: 1, truncated: 2, dropped: 3 };

/** How much a transaction took: what is gone as a whole before everything else. */
export function lossOf({ whole, deleted, updated }: Candidate): number {
  if (whole === 'dropped' || whole === 'truncated') return Number.POSITIVE_INFINITY;
  return deleted + updated;
}

function byLoss(a: Candidate, b: Candidate): number {
  const [one, other] = [lossOf(a), lossOf(b)];
  return one === other ? 0 : other > one ? 1 : -1;
}

/** The candidate that is most probably the accident; null where none has taken anything. */
export function likeliest(candidates: readonly Candidate[]): Candidate | null {
  const most = Math.max(0, ...candidates.map(lossOf));
  return most === 0 ? null : (candidates.findLast((one) => lossOf(one) === most) ?? null);
}

/** VACUUM FULL, CLUSTER and ALTER TABLE fill a copy that has an oid of its own; SET TABLESPACE copies pages. */
function isRewrite(made: Open['creates'][number], done: Open): boolean {
  return made.copied || done.locks.has(fileOf(made.node));
}

function mergeParts(parts: readonly Open[]): Open {
  const merged: Open = {
    rows: { deleted: 0, updated: 0, inserted: 0 },
    creates: [],
    locks: new Map(),
  };
  for (const { rows, creates, locks } of parts) {
    for (const change of ['deleted', 'updated', 'inserted'] as const) merged.rows[change] += rows[change];
    merged.creates.push(...creates);
    for (const [oid, lock] of locks) {
      if (lock.at < (merged.locks.get(oid)?.at ?? Number.POSITIVE_INFINITY)) merged.locks.set(oid, lock);
    }
  }
  merged.creates.sort((a, b) => a.at - b.at);
  return merged;
}

const dbOf = (node: string): string => node.split('/')[1] ?? '';
const fileOf = (node: string): string => node.split('/')[2] ?? '';
