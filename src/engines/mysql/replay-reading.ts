import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../model/failure.ts';
import { formatPosition, type LogPosition } from '../../model/log-position.ts';
import type { Run } from '../../model/progress.ts';
import type { InstancePlace } from '../contract/restore.ts';
import type { ShippedContent } from '../contract/ship.ts';
import { ownerOf } from '../owned-files.ts';
import type { BinlogEvent } from './binlog/event.ts';
import { GtidTally } from './binlog/gtid-tally.ts';
import { readEvents } from './binlog/read-events.ts';
import type { Transaction } from './binlog/transaction.ts';
import { Grouping } from './binlog/transactions.ts';
import { flavourOf } from './flavour.ts';
import { layoutOf } from './place.ts';
import type { Applied, Batch } from './replay-state.ts';
import type { Stop } from './replay-stop.ts';

/** The server's relay logs are called so, with a number. */
export const RELAY_BASE = 'relay';

export interface Base {
  place: InstancePlace;
  serverMajor: number;
  applied: Applied;
}

/** What becomes of logs as they are read one after the other. */
export class Reading {
  readonly files: Batch['files'] = [];
  /** of files that lie there */
  bytes = 0;
  isStopped = false;
  last = { name: '', sizeBytes: 0, endedAt: 0 };
  readonly #base: Base;
  readonly #from: LogPosition;
  readonly #stop: Stop;
  readonly #gtids: GtidTally | null;
  /** of MySQL, which gives no place to a transaction that is gone past */
  readonly #excused: GtidTally | null;
  /** what the logs that were read have brought the server to: the next one says what it begins with */
  #chain: GtidTally | null = null;
  #applied: Applied;

  constructor(base: Base, from: LogPosition, stop: Stop) {
    const { applied, serverMajor } = base;
    this.#base = base;
    this.#from = from;
    this.#stop = stop;
    this.#applied = applied;
    const flavour = flavourOf(serverMajor);
    this.#gtids = applied.gtid === null ? null : new GtidTally(applied.gtid, flavour);
    this.#excused = flavour === 'mysql' ? new GtidTally('', flavour) : null;
  }

  excused(): string {
    return this.#excused?.text() ?? '';
  }

  after(): Applied {
    return { ...this.#applied, gtid: this.#gtids?.text() ?? null };
  }

  /** Copies a log, and reads it on the way, up to where the replay stops in it. One without anything to apply goes again. */
  async add(log: ShippedContent, run: Run, onBytes: (bytes: number) => void): Promise<void> {
    const { place } = this.#base;
    const relay = `${RELAY_BASE}.${String(this.files.length + 1).padStart(6, '0')}`;
    const path = join(layoutOf(place).relay, relay);
    const file = await createFile(place, path);
    const from = log.name === this.#from.log ? this.#from.position : 0;
    let kept: { to: number; end: number } | null = null;
    try {
      kept = await this.#read(log, file, from, run, onBytes);
      if (kept !== null) await file.truncate(kept.end);
    } finally {
      await file.close();
    }
    if (kept === null) return rm(path);
    this.bytes += kept.end;
    this.files.push({ relay, log: log.name, from, to: kept.to });
  }

  /** `to`: behind the last transaction; `end`: where the file is cut. Null: nothing in it is to be applied. */
  async #read(
    log: ShippedContent,
    file: FileHandle,
    from: number,
    run: Run,
    onBytes: (bytes: number) => void,
  ): Promise<{ to: number; end: number } | null> {
    const grouping = new Grouping();
    let [to, seen, endedAt] = [0, 0, 0];
    const content = copying(log, file, run.signal, onBytes);
    for await (const event of readEvents(content, { signal: run.signal, name: log.name, sqlLimit: 256 })) {
      // Nested in a compressed transaction, all have the place of the whole.
      [seen, endedAt] = [event.end, Math.max(endedAt, event.timestamp)];
      this.#follow(log.name, event);
      const transaction = grouping.push(event);
      if (transaction === null || !transaction.isComplete) continue;
      if (transaction.gtid !== null) this.#chain?.add(transaction.gtid);
      if (transaction.end <= from) continue;
      this.#require(log.name, transaction, from);
      if (this.#stop.isAt(transaction, log.name)) {
        this.isStopped = true;
        return to === 0 ? null : { to, end: to };
      }
      to = transaction.end;
      this.#apply(log.name, transaction);
    }
    this.last = { name: log.name, sizeBytes: seen, endedAt };
    // The server crashed within it: what it had not committed is not applied either.
    const open = grouping.openSince;
    return to === 0 ? null : { to, end: open ?? seen };
  }

  /** Throws LogGap where transactions are missing before this log. */
  #follow(log: string, event: BinlogEvent): void {
    if (event.type !== 'previous-gtids') return;
    const before = this.#chain?.text() ?? null;
    if (before !== null && before !== event.gtids) {
      throw new HoldfastError(
        'LogGap',
        `transactions are missing between ${this.last.name} and ${log}: it begins after ${shortened(event.gtids) || 'none'}, and they end with ${shortened(before) || 'none'}`,
        {
          hint: 'choose a target before it, or a backup after it: holdfast catalog shows what is recoverable',
        },
      );
    }
    this.#chain = new GtidTally(event.gtids, flavourOf(this.#base.serverMajor));
  }

  #require(log: string, transaction: Transaction, from: number): void {
    if (transaction.start < from) {
      throw new HoldfastError(
        'BackupUnusable',
        `the base stands at ${log}:${from}, in the middle of a transaction: it is of other logs than these`,
        { hint: 'use another backup: holdfast catalog lists them' },
      );
    }
    if (transaction.incident === null) return;
    throw new HoldfastError(
      'LogGap',
      `the server that wrote ${log} says at ${transaction.start} that it could not log everything`,
      { hint: 'choose a target before it, or a backup after it' },
    );
  }

  #apply(log: string, transaction: Transaction): void {
    const { end, gtid, committedAt, committedAtText } = transaction;
    if (gtid !== null) this.#gtids?.add(gtid);
    if (gtid !== null && isDefinition(transaction)) this.#excused?.add(gtid);
    const latest = this.#applied.latestAt === null ? committedAt : BigInt(this.#applied.latestAt);
    this.#applied = {
      ...this.#applied,
      lsn: formatPosition({ log, position: end }),
      lastTransactionAt: committedAtText,
      latestAt: String(committedAt > latest ? committedAt : latest),
    };
  }
}

/** Whether it may be a statement on accounts or libraries; with rows or tables it is none. */
const isDefinition = ({ tables, dataStatements, ddl, isCut }: Transaction): boolean =>
  tables.length === 0 &&
  dataStatements.length === 0 &&
  !isCut &&
  ddl.every(({ kind }) => kind === 'definition');

/** The content of a log, which is in the file before it is handed on. */
async function* copying(
  log: ShippedContent,
  file: FileHandle,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Buffer, void> {
  const source = log.open(signal);
  let bytes = 0;
  try {
    for await (const piece of source as AsyncIterable<Buffer>) {
      await file.writeFile(piece);
      bytes += piece.length;
      onBytes(bytes);
      yield piece;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    throw new HoldfastError('NotEnoughSpace', `the disk of the instance ran full at log ${log.name}`, {
      hint: 'free space on the site and resume',
    });
  } finally {
    source.destroy();
  }
}

async function createFile(place: InstancePlace, path: string): Promise<FileHandle> {
  const { uid, gid } = ownerOf(place.user);
  const file = await open(path, 'wx', 0o600);
  await file.chown(uid, gid);
  return file;
}

const MOST_SHOWN = 200;

export function shortened(gtids: string): string {
  return gtids.length <= MOST_SHOWN ? gtids : `${gtids.slice(0, MOST_SHOWN)}…`;
}
