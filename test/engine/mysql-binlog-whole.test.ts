import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { locate } from '../../src/engines/mysql/binlog/locate.ts';
import { readEvents } from '../../src/engines/mysql/binlog/read-events.ts';
import { summarizeLog } from '../../src/engines/mysql/binlog/summarize-log.ts';
import { transactions } from '../../src/engines/mysql/binlog/transactions.ts';
import { equalGtids, isSubset, parseGtids } from '../../src/model/gtid.ts';
import { all, eventsOf, inPieces, logOf, logsOf, startShop, transactionsOf } from './mysql-binlog-fixture.ts';
import { type MysqlServer, SERIES } from './mysql-server.ts';

describe.each(SERIES)('the binary log of %s as a file', (series) => {
  const isMysql = series === '8.0';
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startShop(series);
  });
  afterAll(() => server?.end());

  it('sums a closed log up, and finds where a replay has to stop in it', async () => {
    await server.query('FLUSH BINARY LOGS');
    const statements = [
      'INSERT INTO t VALUES (201, "x")',
      'UPDATE t SET v = "y"',
      'DELETE FROM t WHERE id = 201',
    ];
    const file = await logOf(server, statements, 'shop');
    const bytes = await readFile(file);
    const next = (await logsOf(server)).at(-1) as string;
    const found = await transactionsOf(file);
    const summary = await summarizeLog(createReadStream(file));
    expect(summary).toMatchObject({
      ...{ flavour: isMysql ? 'mysql' : 'mariadb', serverId: server.port, hasChecksums: true },
      ...{ closed: 'rotate', isInUse: false, nextName: basename(next), startedAt: null },
      ...{ bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') },
      ...{ transactions: 3, textTransactions: 0, unfinished: null, incidents: 0 },
      ...{ firstAt: found[0]?.committedAtText, lastAt: found[2]?.committedAtText },
    });
    const flavour = summary.flavour;
    expect((await summarizeLog(createReadStream(next))).previousGtids).toBe(summary.gtids);
    const [before, after] = [parseGtids(summary.previousGtids, flavour), parseGtids(summary.gtids, flavour)];
    expect([isSubset(before, after), equalGtids(before, after)]).toEqual([true, false]);

    const files = (await logsOf(server)).map((name) => ({
      name: basename(name),
      open: () => createReadStream(name),
    }));
    const [first, second, third] = found as [(typeof found)[0], (typeof found)[0], (typeof found)[0]];
    const at = { file: basename(file) };
    expect(
      await locate(files, { kind: 'gtid', gtid: second.gtid as string, isInclusive: false }),
    ).toMatchObject({
      ...{ isReached: true, stop: { ...at, start: second.start }, last: { ...at, end: first.end } },
    });
    expect(
      await locate(files, { kind: 'gtid', gtid: second.gtid as string, isInclusive: true }),
    ).toMatchObject({
      ...{ isReached: true, stop: { ...at, start: third.start }, last: { ...at, end: second.end } },
    });
    const position = (value: number) => ({ kind: 'position' as const, file: at.file, position: value });
    expect(await locate(files, position(second.start))).toMatchObject({
      ...{ isReached: true, inside: null, stop: { start: second.start }, last: { end: first.end } },
    });
    expect(await locate(files, position(second.start + 1))).toMatchObject({
      ...{ isReached: true, inside: { start: second.start, end: second.end }, last: { end: first.end } },
    });
    expect(await locate(files, position(third.end))).toMatchObject({
      isReached: true,
      inside: null,
      stop: null,
    });
    expect(await locate(files, position(bytes.length + 1))).toMatchObject({ isReached: false });
    if (!isMysql) return;
    for (const isInclusive of [true, false]) {
      const located = await locate(files, { kind: 'time', at: second.committedAt, isInclusive });
      expect(located.stop?.gtid).toBe((isInclusive ? third : second).gtid);
      expect(located.last?.gtid).toBe((isInclusive ? second : first).gtid);
    }
  });

  it('takes no cut or changed file for a whole one', async () => {
    const file = await logOf(
      server,
      ['INSERT INTO t VALUES (301, "x")', 'BEGIN', 'UPDATE t SET v = "y"', 'DELETE FROM t', 'COMMIT'],
      'shop',
    );
    const bytes = await readFile(file);
    const whole = await eventsOf(file);
    const boundaries = new Set(whole.map(({ start }) => start));
    const complete = await transactionsOf(file);
    for (let length = 0; length < bytes.length; length += 1) {
      const summary = summarizeLog(inPieces(bytes.subarray(0, length)), { name: 'cut' });
      if (!boundaries.has(length) || length <= 4) {
        await expect(summary).rejects.toMatchObject({ type: 'BackupUnusable' });
        continue;
      }
      const kept = complete.filter(({ end }) => end <= length).length;
      const isWithin = complete.some(({ start, end }) => start < length && length < end);
      expect(await summary).toMatchObject({ closed: 'open', transactions: kept });
      expect((await summary).unfinished === null).toBe(!isWithin);
    }
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 0x10;
      await expect(all(transactions(readEvents(inPieces(changed)))), `byte ${at}`).rejects.toMatchObject({
        type: expect.stringMatching(/^(BackupUnusable|ChecksumMismatch|NotSupported)$/),
      });
    }
  });

  it('takes no cut or changed file for a whole one within its large events', async () => {
    const [on, off] = isMysql
      ? [['SET SESSION binlog_transaction_compression = ON'], []]
      : [['SET GLOBAL log_bin_compress = ON'], ['SET GLOBAL log_bin_compress = OFF']];
    const compressible = 'REPEAT(SHA2(UUID(), 512), 40)';
    const file = await logOf(
      server,
      [
        'CREATE TABLE large (v LONGTEXT)',
        'INSERT INTO large VALUES (REPEAT("x", 3000000))',
        ...on,
        `INSERT INTO large VALUES (CONCAT(${Array.from({ length: 500 }, () => compressible).join()}))`,
        'INSERT INTO large SELECT v FROM large',
        'SET SESSION binlog_format = STATEMENT',
        `INSERT INTO large VALUES ("${'a statement '.repeat(100_000)}")`,
        'DROP TABLE large',
        ...off,
      ],
      'shop',
    );
    const bytes = await readFile(file);
    const summary = await summarizeLog(inPieces(bytes, 10_000));
    expect(summary).toMatchObject({ closed: 'rotate', transactions: 6, textTransactions: 1 });
    for (let i = 0; i < 60; i += 1) {
      const at = Math.floor((bytes.length * (i + Math.random())) / 60);
      const cut = summarizeLog(inPieces(bytes.subarray(0, at), 10_000), { name: 'cut' });
      await expect(cut, `cut at ${at}`).rejects.toMatchObject({
        ...{
          type: 'BackupUnusable',
          message: expect.stringMatching(/^cut ends at \d+, in the middle of the event/),
        },
      });
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 0x55;
      await expect(summarizeLog(inPieces(changed, 10_000)), `byte ${at}`).rejects.toMatchObject({
        type: expect.stringMatching(/^(BackupUnusable|ChecksumMismatch)$/),
      });
    }
    const reported = await all(readEvents(inPieces(bytes.subarray(0, 3_000_000), 999), { cut: 'report' }));
    expect(reported.at(-1)).toMatchObject({ type: 'cut', end: 3_000_000 });
  });

  it('reads logs without checksums, and what a stopped and a killed server leave', async () => {
    await server.restart({ 'binlog-checksum': 'NONE' });
    await server.query('INSERT INTO shop.t VALUES (401, "x")');
    const stopped = (await logsOf(server)).at(-1) as string;
    await server.stop();
    expect(await summarizeLog(createReadStream(stopped))).toMatchObject({
      ...{ closed: 'stop', isInUse: false, hasChecksums: false, transactions: 1, nextName: null },
      startedAt: expect.any(String),
    });
    await server.restart({ 'binlog-checksum': 'CRC32' });
    await server.query('INSERT INTO shop.t VALUES (402, "x")');
    const killed = (await logsOf(server)).at(-1) as string;
    await server.kill();
    const open = await summarizeLog(createReadStream(killed));
    expect(open).toMatchObject({ closed: 'open', isInUse: true, transactions: 1, unfinished: null });
    await server.restart();
    const next = (await logsOf(server)).at(-1) as string;
    expect((await summarizeLog(createReadStream(next))).previousGtids).toBe(open.gtids);
  });
});
