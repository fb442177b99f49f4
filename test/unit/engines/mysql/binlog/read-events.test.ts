import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { BinlogEvent } from '../../../../../src/engines/mysql/binlog/event.ts';
import { locate } from '../../../../../src/engines/mysql/binlog/locate.ts';
import { type ReadOptions, readEvents } from '../../../../../src/engines/mysql/binlog/read-events.ts';
import { summarizeLog } from '../../../../../src/engines/mysql/binlog/summarize-log.ts';
import {
  formatMicroseconds,
  parseMicroseconds,
} from '../../../../../src/engines/mysql/binlog/transaction.ts';
import { transactions } from '../../../../../src/engines/mysql/binlog/transactions.ts';
import { LogFile } from './log-file.ts';

async function read(source: AsyncIterable<Uint8Array>, options: ReadOptions = {}): Promise<BinlogEvent[]> {
  const events: BinlogEvent[] = [];
  for await (const event of readEvents(source, { name: 'binlog.1', ...options })) events.push(event);
  return events;
}

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const UUID_BYTES = Buffer.from(UUID.replaceAll('-', ''), 'hex');

/** A number of mysql::serialization that fits into two bytes. */
const variable = (value: number) => (value < 128 ? [value << 1] : [((value & 0x3f) << 2) | 1, value >> 6]);
const long = (value: bigint) => {
  const bytes = Buffer.alloc(9, 0xff);
  bytes.writeBigUInt64LE(value, 1);
  return [...bytes];
};

const ROW_TABLE = [...[9, 0, 0, 0, 0, 0, 1, 0], ...[4, ...Buffer.from('shop'), 0, 1, ...Buffer.from('t'), 0]];

describe('readEvents', () => {
  it('reads GTIDs with a tag (8.3 and later)', async () => {
    const at = 1_700_000_000_123_456n;
    const body = [
      ...[...variable(1), ...variable(60), ...variable(9)],
      ...[...variable(0), ...variable(1)],
      ...[...variable(1), ...[...UUID_BYTES].flatMap(variable)],
      ...[...variable(2), ...variable(300 * 2)],
      ...[...variable(3), ...variable(3), ...Buffer.from('tag')],
      ...[...variable(4), ...variable(7 * 2), ...variable(5), ...variable(8 * 2)],
      ...[...variable(6), ...long(at)],
      ...[...variable(8), ...variable(500), ...variable(9), ...variable(84)],
    ];
    const file = new LogFile('8.4.0').add(42, body).addXid();
    const [, gtid] = await read(file.open());
    expect(gtid).toMatchObject({
      ...{ type: 'gtid', gtid: `${UUID}:tag:300`, lastCommitted: 7, sequenceNumber: 8 },
      ...{ committedAt: at, originallyCommittedAt: at, transactionLength: 500 },
    });
    expect(await summarizeLog(file.open())).toMatchObject({ gtids: `${UUID}:tag:300`, transactions: 1 });
  });

  it('says that a transaction holds events which it does not know (rows in fragments, MariaDB 12.3)', async () => {
    const begin = [...Buffer.alloc(8), 0, ...Buffer.alloc(5), ...Buffer.from('BEGIN')];
    const file = new LogFile('12.3.1-MariaDB').add(172, []).add(2, begin).add(172, [1, 2, 3]).addXid();
    file.add(2, begin).add(160, [1]).addXid();
    const found = [];
    for await (const transaction of transactions(readEvents(file.open()))) found.push(transaction);
    expect(found.map(({ isCut, isComplete }) => [isCut, isComplete])).toEqual([
      [true, true],
      [false, true],
    ]);
  });

  it('reads sets of GTIDs with tags', async () => {
    const big = (value: number) => [...Buffer.from(BigUint64Array.of(BigInt(value)).buffer)];
    const body = [
      ...[1, 2, 0, 0, 0, 0, 0, 1],
      ...[...UUID_BYTES, ...variable(0), ...big(1), ...big(1), ...big(6)],
      ...[
        ...UUID_BYTES,
        ...variable(3),
        ...Buffer.from('tag'),
        ...big(2),
        ...big(1),
        ...big(2),
        ...big(5),
        ...big(8),
      ],
    ];
    const [, previous] = await read(new LogFile('8.4.0').add(35, body).open());
    expect(previous).toMatchObject({ type: 'previous-gtids', gtids: `${UUID}:1-5:tag:1:5-7` });
  });

  it('tells that the server could not log something', async () => {
    const file = new LogFile('8.0.31').add(26, [1, 0, 4, ...Buffer.from('lost')]);
    expect((await read(file.open()))[1]).toMatchObject({ type: 'incident', message: 'lost' });
    expect(await summarizeLog(file.open())).toMatchObject({ incidents: 1, transactions: 1, closed: 'open' });
  });

  it('does not count rows of a type that it does not know, and says so', async () => {
    const map = [...ROW_TABLE, 2, 3, 100, 0, 0];
    const rows = [9, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 0xff, 0, 1, 0, 0, 0, 55, 66];
    const events = await read(new LogFile('8.9.0').add(19, map).add(30, rows).open());
    expect(events[2]).toMatchObject({ type: 'rows', rows: null, table: { db: 'shop', table: 't' } });
  });

  it('refuses rows that do not fit their table where no checksum says that they are right', async () => {
    const map = [...ROW_TABLE, 1, 3, 0, 0];
    const rows = [9, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 0xff, 0, 1, 0, 0];
    const damaged = new LogFile('8.0.31', { hasChecksums: false }).add(19, map).add(30, rows);
    await expect(read(damaged.open())).rejects.toMatchObject({
      type: 'BackupUnusable',
      message: expect.stringMatching(
        /^binlog\.1 cannot be read: rows that do not fit their table in the event at \d+$/,
      ),
    });
    const unknown = new LogFile('8.9.0').add(19, map).add(30, rows);
    expect((await read(unknown.open()))[2]).toMatchObject({ rows: null });
  });

  it('refuses an encrypted file, one that is no binary log, and an empty one', async () => {
    const encrypted = new LogFile('8.0.31', { magic: 0xfd });
    await expect(read(encrypted.open())).rejects.toMatchObject({
      ...{ type: 'NotSupported', hint: expect.stringMatching(/binlog_encryption/) },
    });
    const other = new LogFile('8.0.31', { magic: 0x7f });
    await expect(read(other.open())).rejects.toMatchObject({ type: 'BackupUnusable' });
    await expect(read((async function* () {})())).rejects.toMatchObject({ type: 'BackupUnusable' });
  });

  it('sees a hole between events', async () => {
    const file = new LogFile('8.0.31').addXid().addXid();
    const [bytes] = [(await file.open().next()).value as Buffer];
    const eventLength = 19 + 8 + 4;
    const holed = Buffer.concat([
      bytes.subarray(0, bytes.length - 2 * eventLength),
      bytes.subarray(bytes.length - eventLength),
    ]);
    await expect(
      read(
        (async function* () {
          yield holed;
        })(),
      ),
    ).rejects.toMatchObject({ message: expect.stringMatching(/another position than its own/) });
  });

  it('lets the source go where nobody reads on, and stops when it shall', async () => {
    let isOpen = false;
    const source = async function* () {
      isOpen = true;
      try {
        yield* new LogFile('8.0.31').addXid().open();
        await sleep(60_000);
      } finally {
        isOpen = false;
      }
    };
    for await (const event of readEvents(source())) if (event.type === 'xid') break;
    expect(isOpen).toBe(false);
    const abort = new AbortController();
    const reading = (async () => {
      for await (const _ of readEvents(new LogFile('8.0.31').addXid().open(), { signal: abort.signal })) {
        abort.abort(new Error('enough'));
      }
    })();
    await expect(reading).rejects.toThrow('enough');
  });
});

describe('locate', () => {
  it('goes on over files, and tells logs that do not go far enough', async () => {
    const gtid = (sequence: number) => [sequence, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const one = new LogFile('10.11.19-MariaDB').add(162, gtid(1)).addXid().add(162, gtid(2)).addXid();
    const two = new LogFile('10.11.19-MariaDB').add(162, gtid(3)).addXid();
    const files = [
      { name: 'one', open: () => one.open() },
      { name: 'two', open: () => two.open() },
    ];
    const named = async (target: Parameters<typeof locate>[1]) => {
      const { isReached, last, stop } = await locate(files, target);
      return [isReached, last?.gtid, stop?.gtid, stop?.file];
    };
    const of = (text: string, isInclusive: boolean) => ({ kind: 'gtid', gtid: text, isInclusive }) as const;
    expect(await named(of('0-1-2', true))).toEqual([true, '0-1-2', '0-1-3', 'two']);
    expect(await named(of('0-1-3', false))).toEqual([true, '0-1-2', '0-1-3', 'two']);
    expect(await named(of('0-1-3', true))).toEqual([true, '0-1-3', undefined, undefined]);
    expect(await named(of('0-1-4', false))).toEqual([false, '0-1-3', undefined, undefined]);
    const at = 1_700_000_000_000_000n;
    expect(await named({ kind: 'time', at, isInclusive: false })).toEqual([true, undefined, '0-1-1', 'one']);
    expect(await named({ kind: 'time', at, isInclusive: true })).toEqual([
      false,
      '0-1-3',
      undefined,
      undefined,
    ]);
    await expect(locate(files, of('x', true))).rejects.toMatchObject({ type: 'InvalidInput' });
  });
});

describe('microseconds', () => {
  it('are read and written without loss', () => {
    expect(parseMicroseconds('2026-01-31T14:04:58.123456Z')).toBe(1_769_868_298_123_456n);
    expect(parseMicroseconds('2026-01-31T15:04:58.5+01:00')).toBe(1_769_868_298_500_000n);
    expect(parseMicroseconds('2026-01-31T14:04:58Z')).toBe(1_769_868_298_000_000n);
    expect(parseMicroseconds('yesterday')).toBeNull();
    expect(formatMicroseconds(1_769_868_298_000_001n, true)).toBe('2026-01-31T14:04:58.000001Z');
    expect(formatMicroseconds(1_769_868_298_000_000n, false)).toBe('2026-01-31T14:04:58Z');
  });
});
