import { HoldfastError } from '../../../model/failure.ts';
import { countOf } from '../../../model/plan.ts';
import { formatNameParts, parseNameParts } from '../../../model/table.ts';
import type { Candidate, FindShippedInput, OwnTransaction } from '../../contract/read.ts';
import { keepMost } from '../../rank.ts';
import { parseMicroseconds, type Transaction } from '../binlog/transaction.ts';
import { changeOf, type TableChange, type TableNames } from './table-change.ts';

/** How many transactions' notices are kept beside the candidates' own. */
const NOTICES_KEPT = 20;

interface Hit {
  candidate: Candidate;
  isUncounted: boolean;
  isFolded: boolean;
  notices: string[];
}

/** Reads transactions in the order of the log and keeps those that took rows from a table. */
export class Search {
  readonly #names: TableNames;
  readonly #span: { since: bigint; until: bigint };
  readonly #limit: number;
  readonly #minRows: number;
  readonly #own: readonly OwnTransaction[];
  /** what an XA PREPARE did: its commit is another transaction */
  readonly #prepared = new Map<string, TableChange>();
  #hits: Hit[] = [];
  #hasCapitals = false;
  readonly #notices: string[] = [];
  readonly #unnamed = { statements: 0, transactions: 0, first: '' };
  #isText = false;
  #insertStatements = 0;
  firstCommitAt: string | null = null;
  lastCommitAt: string | null = null;

  /** Throws InvalidInput. */
  constructor({ table, since, until, limit, minRows, own }: FindShippedInput) {
    const parts = parseNameParts(table);
    if (parts.length !== 2) {
      throw new HoldfastError('InvalidInput', `"${table}" names no db`, { hint: 'write db.table' });
    }
    this.#names = { table: formatNameParts(parts), db: parts[0] as string };
    this.#span = { since: microsecondsOf(since), until: microsecondsOf(until) };
    this.#limit = limit;
    this.#minRows = minRows;
    this.#own = own;
  }

  read(transaction: Transaction, log: string): void {
    if (!transaction.isComplete) return;
    this.firstCommitAt ??= transaction.committedAtText;
    this.lastCommitAt = transaction.committedAtText;
    this.#hasCapitals ||= transaction.tables.some(
      ({ table }) => isOfUsers(table) && table !== table.toLowerCase(),
    );
    const change = changeOf(transaction, this.#names);
    const { xa } = transaction;
    if (xa?.step === 'prepare') {
      if (change !== null) this.#prepared.set(xa.xid, change);
      return;
    }
    const isInSpan = this.#isInSpan(transaction);
    if (isInSpan) this.#note(transaction, log);
    const earlier = xa === null ? undefined : this.#prepared.get(xa.xid);
    if (xa !== null) this.#prepared.delete(xa.xid);
    if (xa?.step === 'rollback' || !isInSpan) return;
    const found = earlier ?? change;
    if (found === null) return;
    this.#insertStatements += found.insertStatements;
    if (transaction.isRolledBack) {
      this.#keepNotice(
        `${nameOf(transaction, log)} was rolled back: what it did to ${this.#names.table} stays only if that has no transactions`,
      );
      return;
    }
    const lost = found.deleted + found.updated;
    if (found.whole === null && !found.isUncounted && (lost === 0 || lost < this.#minRows)) return;
    this.#hits.push(this.#hitOf(transaction, log, found));
    if (this.#hits.length >= this.#limit * 4 + 1_000) this.#hits = this.#kept();
  }

  /** The candidates, oldest first. */
  candidates(): Candidate[] {
    // Where any name has capitals the server tells names apart by them.
    if (this.#hasCapitals) this.#hits = this.#hits.filter(({ isFolded }) => !isFolded);
    this.#hits = this.#kept();
    return this.#hits.map(({ candidate }) => candidate);
  }

  notices(candidates: readonly Candidate[]): string[] {
    const { table } = this.#names;
    const shown = this.#hits.filter(({ candidate }) => candidates.includes(candidate));
    const uncounted = shown.filter(({ isUncounted }) => isUncounted);
    const folded = shown.filter(({ isFolded }) => isFolded);
    const list = (hits: readonly Hit[]) =>
      hits.map(({ candidate }) => candidate.gtid ?? candidate.lsn).join(', ');
    const { statements, transactions, first } = this.#unnamed;
    return [
      ...shown.flatMap((hit) => hit.notices.map((notice) => `transaction ${list([hit])} ${notice}`)),
      ...(uncounted.length > 0
        ? [
            `the log has statements of these transactions, not rows; how many rows they changed is not known: ${list(uncounted)}`,
          ]
        : []),
      ...(folded.length > 0
        ? [
            `these name ${table} in other letter case, which is the same table only where the server folds names (lower_case_table_names): ${list(folded)}`,
          ]
        : []),
      ...(statements > 0
        ? [
            `${countOf(statements, 'statement')} that may change any table (CALL, a function in SELECT, beyond the first hundred of a transaction, or of a newer server) are in ${countOf(transactions, 'transaction')}, the first at ${first}`,
          ]
        : []),
      ...(this.#insertStatements > 0
        ? [
            `${countOf(this.#insertStatements, 'statement')} inserted rows into ${table}, and may have changed others (ON DUPLICATE KEY UPDATE): they are not shown`,
          ]
        : []),
      ...(this.#isText
        ? ['what triggers and foreign keys did when statements were executed is not in a log of statements']
        : []),
      ...this.#notices,
      `what a foreign key with ON DELETE CASCADE or SET NULL did to rows of ${table} is in no log of MariaDB, nor of MySQL before 9.6: if it has one, look for the deletes in the table to which it refers`,
    ];
  }

  #isInSpan({ committedAt, isExact }: Transaction): boolean {
    const { since, until } = this.#span;
    // Whole seconds: any moment of that second may be meant.
    return committedAt + (isExact ? 0n : 999_999n) >= since && committedAt <= until;
  }

  #note(transaction: Transaction, log: string): void {
    const { dataStatements, isCut, incident } = transaction;
    if (dataStatements.length > 0) this.#isText = true;
    const unnamed = dataStatements.filter(({ tables }) => tables.length === 0).length + (isCut ? 1 : 0);
    if (unnamed > 0) {
      this.#unnamed.statements += unnamed;
      this.#unnamed.transactions += 1;
      this.#unnamed.first ||= `${log}:${transaction.start}`;
    }
    if (incident !== null)
      this.#keepNotice(`the server says that something is missing in its log at ${log}:${transaction.start}`);
  }

  #keepNotice(notice: string): void {
    if (this.#notices.length < NOTICES_KEPT) this.#notices.push(notice);
  }

  #hitOf(transaction: Transaction, log: string, found: TableChange): Hit {
    const { gtid, start } = transaction;
    const { deleted, updated, inserted, whole, partitions, isUncounted, isFolded, notices } = found;
    const lsn = `${log}:${start}`;
    const candidate: Candidate = {
      ...{ xid: null, at: transaction.committedAtText, lsn, timeline: 1 },
      ...(gtid === null ? {} : { gtid }),
      ...{ deleted, updated, inserted, whole, partitions },
      ...this.#ownerOf(transaction),
      target: gtid === null ? { lsn, exclusive: true } : { gtid, exclusive: true },
    };
    return { candidate, isUncounted, isFolded, notices };
  }

  #ownerOf({ tables, dataStatements }: Transaction): Pick<Candidate, 'by'> {
    const names = [...tables.map(({ table }) => table), ...dataStatements.flatMap((one) => one.tables)];
    // Every import and undo writes into a table of its own in its transaction, which is called as the transaction is.
    const own = this.#own.find(({ transaction }) => names.includes(transaction));
    return own ? { by: own.by } : {};
  }

  /** Those whose rows nobody counted have room of their own: they may be the largest. */
  #kept(): Hit[] {
    const most = (hits: readonly Hit[]) =>
      new Set(
        keepMost(
          hits.map(({ candidate }) => candidate),
          this.#limit,
        ),
      );
    const counted = most(this.#hits.filter(({ isUncounted }) => !isUncounted));
    const uncounted = most(this.#hits.filter(({ isUncounted }) => isUncounted));
    const hits = this.#hits.filter(({ candidate }) => counted.has(candidate) || uncounted.has(candidate));
    return hits;
  }
}

const isOfUsers = (table: string): boolean => !/^(?:mysql|sys|performance_schema)\./.test(table);

const nameOf = ({ gtid, start }: Transaction, log: string): string =>
  `transaction ${gtid ?? `${log}:${start}`}`;

function microsecondsOf(time: string): bigint {
  const found = parseMicroseconds(time);
  if (found === null)
    throw new HoldfastError('InvalidInput', `${time} is not a time`, { hint: 'write 2026-01-31T14:05:00Z' });
  return found;
}
