import type { TableRelation } from '../../../model/relation.ts';
import type { Candidate, OwnTransaction } from '../../contract/read.ts';
import { keepMost } from '../../rank.ts';
import type { LogRecord } from './record.ts';
import {
  begin,
  countRow,
  dbOf,
  fileOf,
  isRewrite,
  type Made,
  merge,
  type Transaction,
} from './transaction.ts';

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
  own?: readonly OwnTransaction[];
}

type Commit = Extract<LogRecord, { kind: 'commit' }>;
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
  readonly #open = new Map<string, Transaction>();
  /** files that open transactions have made: which table they are for is known at the commit */
  readonly #made = new Set<string>();
  readonly #dropped = new Set<string>();
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
      const { xid, node, change } = record;
      if (this.#places.has(node) || this.#made.has(node)) countRow(this.#of(xid), node, change);
    } else if (record.kind === 'create') {
      if (!this.#dbs.has(dbOf(record.node))) return;
      this.#made.add(record.node);
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
      this.#end(record.ended);
    } else {
      this.#commit(record, timeline);
    }
  }

  /** The candidates, oldest first. */
  candidates(): Candidate[] {
    return keepMost(this.#found, this.#options.limit).sort((a, b) => (a.at < b.at ? -1 : 1));
  }

  #of(xid: string): Transaction {
    const known = this.#open.get(xid);
    if (known !== undefined) return known;
    const made = begin();
    this.#open.set(xid, made);
    return made;
  }

  /** Locks are told again at checkpoints: the first time counts. */
  #lock(xid: string, oid: string, lsn: string): void {
    const { locks } = this.#of(xid);
    if (!locks.has(oid)) locks.set(oid, { at: this.#order, lsn });
  }

  /** What these did together; they are over. */
  #end(xids: readonly string[]): Transaction {
    const done = merge(xids.flatMap((xid) => this.#open.get(xid) ?? []));
    for (const xid of xids) this.#open.delete(xid);
    for (const { node } of done.creates) this.#made.delete(node);
    return done;
  }

  #commit(record: Commit, timeline: number): void {
    this.firstCommitAt ??= record.at;
    this.lastCommitAt = record.at;
    const done = this.#end(record.ended);
    const change = this.#follow(record, done);
    const rows = this.#rowsOf(done);
    const at = Date.parse(record.at);
    if (at < this.#options.since || at > this.#options.until) return;
    const lost = rows.deleted + rows.updated;
    if ((lost === 0 || lost < this.#options.minRows) && change.whole === null) return;
    const { of: xid, lsn } = record;
    if (this.#beganBefore(xid)) this.cut.add(xid);
    this.#found.push({
      ...{ xid, at: record.at, lsn, timeline, ...rows, ...change },
      ...this.#ownerOf(xid, at),
      target: { lsn: this.#lockedAt(done) ?? lsn, exclusive: true },
    });
    const { limit } = this.#options;
    if (this.#found.length >= limit * 4 + 1_000) this.#found = keepMost(this.#found, limit);
  }

  /** Rows of the table, in the files it had and in those it got: what was written into a new one first is the copy. */
  #rowsOf({ rows, creates }: Transaction): Pick<Candidate, 'deleted' | 'updated' | 'inserted'> {
    const sum = { deleted: 0, updated: 0, inserted: 0 };
    for (const [node, { deleted, updated, inserted }] of rows) {
      if (!this.#places.has(node)) continue;
      sum.deleted += deleted;
      sum.updated += updated;
      if (!creates.some((made) => made.node === node)) sum.inserted += inserted;
    }
    return sum;
  }

  /** What happened to the files of the table, and where it lies from now on. */
  #follow(record: Commit, done: Transaction): Pick<Candidate, 'whole' | 'partitions'> {
    const changed = new Map<string, Whole>();
    const change = (oid: string, kind: Whole) => {
      const known = changed.get(oid);
      if (known === undefined || WEIGHT[kind] > WEIGHT[known]) changed.set(oid, kind);
    };
    for (const node of record.removed) {
      const oid = this.#places.get(node);
      if (oid === undefined) continue;
      // A second TRUNCATE in one transaction removes the file that the first has made.
      const next = this.#successorOf(node, oid, record, done);
      if (next !== null) this.#places.set(next.node, oid);
      change(oid, next === null ? 'dropped' : isRewrite(next, done) ? 'rewritten' : 'truncated');
    }
    for (const made of done.creates) {
      const oid = this.#places.get(made.node);
      if (oid === undefined || changed.has(oid) || isFirst(oid, done)) continue;
      // Nobody knew the file before: the table is newer than the backups.
      if (done.locks.has(oid)) change(oid, isRewrite(made, done) ? 'rewritten' : 'truncated');
    }
    const described = this.#describe(changed, Date.parse(record.at));
    for (const [oid, kind] of changed) if (kind === 'dropped') this.#dropped.add(oid);
    return described;
  }

  #describe(changed: ReadonlyMap<string, Whole>, at: number): Pick<Candidate, 'whole' | 'partitions'> {
    const kinds = [...changed.values()].sort((a, b) => WEIGHT[b] - WEIGHT[a]);
    const whole = kinds[0];
    if (whole === undefined) return { whole: null, partitions: null };
    const touched = kinds.filter((kind) => (kind === 'rewritten') === (whole === 'rewritten')).length;
    const all = new Set([...this.#leavesAt(at), ...changed.keys()]).size;
    return { whole, partitions: all === 1 ? null : { touched, all } };
  }

  /** The tables that hold rows at a moment, as it was last told before it, or first after it, less the dropped ones. */
  #leavesAt(at: number): string[] {
    const { relations } = this.#options;
    const moments = [...new Set(relations.map((one) => Date.parse(one.at)))].sort((a, b) => a - b);
    const told = moments.findLast((moment) => moment <= at) ?? moments[0];
    return relations
      .filter((one) => Date.parse(one.at) === told && !this.#dropped.has(one.oid))
      .map(({ oid }) => oid);
  }

  /** The file that a transaction gave the table in exchange for this one; null: none, it has dropped the table. */
  #successorOf(node: string, oid: string, record: Commit, done: Transaction): Made | null {
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
   * Where a transaction locked the table exclusively; null: it did not. A copy that stops at its commit has that lock
   * replayed, and nobody could read the table there. While it was locked nobody else changed it: just before the lock
   * it was the same.
   */
  #lockedAt({ locks }: Transaction): string | null {
    const own = new Set(this.#places.values());
    const first = [...locks].filter(([oid]) => own.has(oid)).sort(([, a], [, b]) => a.at - b.at)[0];
    return first?.[1].lsn ?? null;
  }

  #ownerOf(xid: string, at: number): Pick<Candidate, 'by'> {
    const own = this.#options.own?.find(
      ({ transaction, from, to }) =>
        BigInt.asUintN(32, BigInt(transaction)) === BigInt(xid) &&
        at >= Date.parse(from) - CLOCKS_DIFFER_MS &&
        at <= Date.parse(to) + CLOCKS_DIFFER_MS,
    );
    return own === undefined ? {} : { by: own.by };
  }

  #beganBefore(xid: string): boolean {
    if (this.#begunBefore === null) return false;
    const { oldestXid, nextXid } = this.#begunBefore;
    const own = BigInt(xid);
    return own >= oldestXid && own < nextXid;
  }
}

/** Commits are by production's clock, evidence by the worker's. */
const CLOCKS_DIFFER_MS = 5 * 60_000;

const WEIGHT: Record<Whole, number> = { rewritten: 1, truncated: 2, dropped: 3 };

/** CREATE TABLE: the first file of a table is called like its oid. */
const isFirst = (oid: string, { creates }: Transaction): boolean =>
  creates.some(({ node }) => fileOf(node) === oid);
