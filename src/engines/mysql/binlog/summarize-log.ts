import { createHash, type Hash } from 'node:crypto';
import type { BinlogEvent } from './event.ts';
import { GtidTally } from './gtid-tally.ts';
import { type ReadOptions, readEvents } from './read-events.ts';
import { formatMicroseconds, type Transaction } from './transaction.ts';
import { Grouping } from './transactions.ts';

/** What a binary log is, and what is in it. */
export interface LogSummary {
  flavour: 'mysql' | 'mariadb';
  serverVersion: string;
  serverId: number;
  hasChecksums: boolean;
  bytes: number;
  sha256: string;
  /** ISO 8601, whole seconds: when the file was begun */
  begunAt: string;
  /** ISO 8601: when the server was started, if this is its first file since; else null */
  startedAt: string | null;
  /** ISO 8601: of the first and of the latest commit in it; null: there is none. See {@link Transaction} for MariaDB's */
  firstAt: string | null;
  lastAt: string | null;
  /** ISO 8601, whole seconds: the time of the last event */
  endedAt: string;
  /** `open`: the server has neither gone on to another file nor ended; it still writes, or has crashed */
  closed: 'rotate' | 'stop' | 'open';
  /** the mark that the server takes away as it closes a file */
  isInUse: boolean;
  /** the file that follows; null: the log does not say */
  nextName: string | null;
  /** canonical: what was committed before the file, and what after it. Empty without GTIDs */
  previousGtids: string;
  gtids: string;
  /** complete ones */
  transactions: number;
  /** the transaction within which the file ends; whoever replays it leaves it away */
  unfinished: { start: number; gtid: string | null } | null;
  /** transactions that change rows by statements as text, whose rows cannot be counted */
  textTransactions: number;
  /** how often the server says that it could not log something */
  incidents: number;
}

/** Reads a whole log and throws as {@link readEvents} does. One that ends within an event is refused unless asked for. */
export async function summarizeLog(
  source: AsyncIterable<Uint8Array>,
  options: ReadOptions = {},
): Promise<LogSummary> {
  const hash = createHash('sha256');
  const counted = { bytes: 0 };
  const summary = new Summary();
  for await (const event of readEvents(tapped(source, hash, counted), { ...options, sqlLimit: 1024 })) {
    summary.push(event);
  }
  return { ...summary.end(), bytes: counted.bytes, sha256: hash.digest('hex') };
}

async function* tapped(
  source: AsyncIterable<Uint8Array>,
  hash: Hash,
  counted: { bytes: number },
): AsyncGenerator<Uint8Array, void> {
  for await (const piece of source) {
    hash.update(piece);
    counted.bytes += piece.length;
    yield piece;
  }
}

class Summary {
  readonly #grouping = new Grouping();
  #format: Extract<BinlogEvent, { type: 'format' }> | null = null;
  #last: BinlogEvent | null = null;
  #previous = '';
  #tally: GtidTally | null = null;
  #transactions = 0;
  #textTransactions = 0;
  #incidents = 0;
  #first: Transaction | null = null;
  #latest: Transaction | null = null;

  push(event: BinlogEvent): void {
    this.#last = event;
    if (event.type === 'format') this.#format ??= event;
    if (event.type === 'previous-gtids') {
      this.#previous = event.gtids;
      this.#tally = new GtidTally(event.gtids, this.#flavour);
    }
    if (event.type === 'incident') this.#incidents += 1;
    const transaction = this.#grouping.push(event);
    if (transaction?.isComplete) this.#count(transaction);
  }

  end(): Omit<LogSummary, 'bytes' | 'sha256'> {
    const format = this.#format;
    const last = this.#last;
    if (format === null || last === null) throw new RangeError('a log without its format');
    const unfinished = this.#grouping.end();
    const closed = last.type === 'rotate' || last.type === 'stop' ? last.type : 'open';
    return {
      ...{ flavour: format.flavour, serverVersion: format.serverVersion, serverId: format.serverId },
      ...{ hasChecksums: format.hasChecksums, begunAt: secondsText(format.timestamp) },
      startedAt: format.created === 0 ? null : secondsText(format.created),
      firstAt: this.#first?.committedAtText ?? null,
      lastAt: this.#latest?.committedAtText ?? null,
      endedAt: secondsText(last.timestamp),
      ...{ closed, isInUse: format.isInUse, nextName: last.type === 'rotate' ? last.next : null },
      ...{ previousGtids: this.#previous, gtids: this.#tally?.text() ?? this.#previous },
      ...{ transactions: this.#transactions, textTransactions: this.#textTransactions },
      unfinished: unfinished === null ? null : { start: unfinished.start, gtid: unfinished.gtid },
      incidents: this.#incidents,
    };
  }

  get #flavour(): 'mysql' | 'mariadb' {
    return this.#format?.flavour ?? 'mysql';
  }

  #count(transaction: Transaction): void {
    this.#transactions += 1;
    if (transaction.dataStatements.length > 0) this.#textTransactions += 1;
    this.#first ??= transaction;
    if (this.#latest === null || transaction.committedAt >= this.#latest.committedAt) {
      this.#latest = transaction;
    }
    if (transaction.gtid === null) return;
    this.#tally ??= new GtidTally('', this.#flavour);
    this.#tally.add(transaction.gtid);
  }
}

function secondsText(seconds: number): string {
  return formatMicroseconds(BigInt(seconds) * 1_000_000n, false);
}
