import { type FileHandle, open, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { describeTarget, type Target } from '../../model/target.ts';
import type { InstancePlace } from '../contract/restore.ts';
import type { ShippedContent } from '../contract/ship.ts';
import { ownerOf } from '../owned-files.ts';
import type { BinlogEvent } from './binlog/event.ts';
import { GtidTally } from './binlog/gtid-tally.ts';
import { readEvents } from './binlog/read-events.ts';
import type { Transaction } from './binlog/transaction.ts';
import { Grouping } from './binlog/transactions.ts';
import { flavourOf } from './flavour.ts';
import { layoutOf, prepareLayout, writeOwned } from './place.ts';
import type { Applied, Batch } from './replay-state.ts';
import {
  formatPosition,
  type LogPosition,
  numberOf,
  parsePosition,
  type Stop,
  stopOf,
} from './replay-stop.ts';

export interface Placing {
  place: InstancePlace;
  serverMajor: number;
  target: Target;
  logs: readonly ShippedContent[];
  applied: Applied;
  /** bytes of logs that may lie in the instance at a time; null: half of what is free */
  batchBytes: number | null;
}

/** Of what is free a replay needs something for itself. */
const SHARE = 0.5;
const RELAY_BASE = 'relay';

/**
 * Brings logs into the instance, as relay logs of a server that is stopped: from what is applied on up to the target, or
 * as many as may lie there. The last is cut off behind the last transaction that is wanted, so that the server applies
 * what it has and knows nothing of a target. Null: there is nothing more to apply. Throws LogGap, TargetNotReached,
 * NotEnoughSpace, BackupUnusable, ChecksumMismatch.
 */
export async function placeLogs(placing: Placing, run: Run): Promise<Batch | null> {
  const { place, logs, applied, target } = placing;
  await emptyRelayFolder(place);
  if ('backup' in target || logs.length === 0) return null;
  requireSequence(logs);
  const from = parsePosition(applied.lsn);
  const wanted = logsFrom(logs, from);
  const budget = placing.batchBytes ?? Math.floor((await freeBytes(place)) * SHARE);
  const stop = stopOf(target);
  const reading = new Reading(placing, from, stop);
  const total = wanted.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let done = 0;
  for (const log of wanted) {
    if (reading.bytes > 0 && reading.bytes + log.sizeBytes > budget) return finish(place, reading, false);
    if (log.sizeBytes > budget && placing.batchBytes === null) throw tooLarge(place, log, budget);
    await reading.add(log, run, (bytes) =>
      run.progress({
        ...{ phase: 'fetching logs', done: done + bytes, total, unit: 'bytes' as const },
        detail: `${log.name}, ${wanted.indexOf(log) + 1} of ${wanted.length}`,
      }),
    );
    done += log.sizeBytes;
    if (reading.isStopped) break;
  }
  if (!reading.isStopped && !stop.isReachedBy(reading.last)) throw notReached(target, reading.last);
  return finish(place, reading, true);
}

async function finish(place: InstancePlace, reading: Reading, isLast: boolean): Promise<Batch | null> {
  const { relay } = layoutOf(place);
  if (reading.files.length === 0) return null;
  const paths = reading.files.map((file) => `${join(relay, file.relay)}\n`);
  await writeOwned(place, join(relay, `${RELAY_BASE}.index`), paths.join(''));
  return { files: reading.files, after: reading.after(), excused: reading.excused(), isLast };
}

/** What becomes of logs as they are read one after the other. */
class Reading {
  readonly files: Batch['files'] = [];
  /** of files that lie there */
  bytes = 0;
  isStopped = false;
  last = { name: '', sizeBytes: 0, endedAt: 0 };
  readonly #placing: Placing;
  readonly #from: LogPosition;
  readonly #stop: Stop;
  readonly #gtids: GtidTally | null;
  /** of MySQL, which gives no place to a transaction that is gone past */
  readonly #excused: GtidTally | null;
  /** what the logs that were read have brought the server to: the next one says what it begins with */
  #chain: GtidTally | null = null;
  #applied: Applied;

  constructor(placing: Placing, from: LogPosition, stop: Stop) {
    const { applied, serverMajor } = placing;
    this.#placing = placing;
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
    const { place } = this.#placing;
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
    this.#chain = new GtidTally(event.gtids, flavourOf(this.#placing.serverMajor));
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

async function emptyRelayFolder(place: InstancePlace): Promise<void> {
  const { relay } = await prepareLayout(place);
  for (const name of await readdir(relay)) await rm(join(relay, name), { recursive: true, force: true });
}

async function freeBytes(place: InstancePlace): Promise<number> {
  const { bavail, bsize } = await statfs(place.directory);
  return bavail * bsize;
}

/** Throws LogGap where a log between two is missing. */
function requireSequence(logs: readonly ShippedContent[]): void {
  for (const [index, { name }] of logs.entries()) {
    const before = logs[index - 1]?.name;
    if (before === undefined) continue;
    const [last, number] = [numberOf(before), numberOf(name)];
    if (last !== null && number === last + 1) continue;
    throw new HoldfastError('LogGap', `a log is missing between ${before} and ${name}`, {
      hint: 'choose a target before it, or a backup after it: holdfast catalog shows what is recoverable',
    });
  }
}

function logsFrom(logs: readonly ShippedContent[], from: LogPosition): readonly ShippedContent[] {
  const first = logs.findIndex(({ name }) => name === from.log);
  if (first >= 0) return logs.slice(first);
  // All that is in the log of the base may be in the base: then the next one is enough.
  throw new HoldfastError(
    'LogGap',
    `log ${from.log}, in which the base stands, is not among those to replay, which begin with ${logs[0]?.name}`,
    { hint: 'choose another backup: holdfast catalog shows what is recoverable' },
  );
}

function tooLarge(place: InstancePlace, log: ShippedContent, budget: number): HoldfastError {
  return new HoldfastError(
    'NotEnoughSpace',
    `log ${log.name} of ${log.sizeBytes} bytes does not fit on the disk of ${place.directory}, which has ${budget} bytes for it`,
    { hint: 'free space on the site and resume: what is replayed already is kept' },
  );
}

function notReached(target: Target, last: { name: string; endedAt: number }): HoldfastError {
  const ended =
    last.endedAt === 0 ? '' : `, which was closed at ${new Date(last.endedAt * 1000).toISOString()}`;
  return new HoldfastError(
    'TargetNotReached',
    `the logs end before ${describeTarget(target)}: the last is ${last.name}${ended}`,
    { hint: 'choose an earlier target, or --latest' },
  );
}

const MOST_SHOWN = 200;

export function shortened(gtids: string): string {
  return gtids.length <= MOST_SHOWN ? gtids : `${gtids.slice(0, MOST_SHOWN)}…`;
}
