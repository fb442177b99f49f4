import { expect, test } from 'vitest';
import type { Run } from '../../../../src/model/progress.ts';
import type { Target } from '../../../../src/model/target.ts';
import { chooseBackup, type Situation } from '../../../../src/repository/choice.ts';
import type { Repository } from '../../../../src/repository/repository.ts';
import { type ShippedLog, timelineOf } from '../../../../src/repository/shipped/name.ts';
import { logsOf, toItsTransaction } from '../../../../src/repository/shipped/transaction.ts';
import { dump, isoAt, logName, SERVER, shipped, tenSeconds } from './shop.ts';

const NOW = new Date(Date.parse(isoAt(1_000_000)));
const RUN: Run = { signal: new AbortController().signal, progress: () => {} };
const LOGS = tenSeconds([1, 2, 3, 4]);
const BASES = [dump('second', 32, 3, { position: 500 }), dump('first', 12, 1)];
const situation = (target: Target, changes: Partial<Situation> = {}): Situation => ({
  ...{ target, now: NOW, manifests: BASES, shipped: LOGS, segments: [], heartbeats: [] },
  ...changes,
});
const choose = (target: Target, changes: Partial<Situation> = {}) => chooseBackup(situation(target, changes));

test('a position is reached by the newest base from before it, and the logs up to the one that it names', () => {
  expect(choose({ lsn: 'binlog.000004:1234' })).toMatchObject({
    ...{ manifest: { id: 'second' }, firstLog: logName(3), lastLog: logName(4), segments: 2 },
    ...{ reachable: 'yes', lineage: `${SERVER}.1`, timeline: timelineOf(`${SERVER}.1`) },
  });
  expect(choose({ lsn: 'binlog.000003:500' })).toMatchObject({ manifest: { id: 'second' }, segments: 1 });
  expect(choose({ lsn: 'binlog.000003:499' })).toMatchObject({ manifest: { id: 'first' }, segments: 3 });
  expect(choose({ lsn: 'binlog.000005:4' })).toMatchObject({ reachable: 'needs-closing' });
  expect(() => choose({ lsn: 'binlog.000001:4' })).toThrow(/before the oldest moment/);
  expect(() => choose({ lsn: '0/3000148' })).toThrow(/is no position in MySQL's logs/);
});

test('positions at the seventh digit are in the order of numbers, not of text', () => {
  const logs = [999_998, 999_999, 1_000_000].map((n) => shipped(n, n, n + 1));
  const base = dump('first', 999_998.5, 999_998);
  const choice = choose({ lsn: 'binlog.1000000:99' }, { manifests: [base], shipped: logs });
  expect(choice).toMatchObject({ firstLog: 'binlog.999998', lastLog: 'binlog.1000000', segments: 3 });
});

test('what MySQL has no name for, and what is no place in time, is refused', () => {
  for (const target of [{ xid: '7' }, { name: 'before' }, { optime: '1:1' }])
    expect(() => choose(target)).toThrow(/is no target for MySQL/);
  expect(() => choose({ time: isoAt(1_000_001) })).toThrow(/is in the future/);
  expect(() => choose({ time: isoAt(11) })).toThrow(
    new RegExp(`before the oldest moment that can be recovered, ${isoAt(12)}`),
  );
  expect(() => choose({ latest: true }, { manifests: [] })).toThrow(/there is no logical backup/);
  const blind = dump('blind', 12, 1);
  const manifests = [{ ...blind, positions: { ...blind.positions, start: null, startLog: null } }];
  expect(() => choose({ latest: true }, { manifests })).toThrow(/no logical backup knows where it stands/);
});

test('a base that is restored already serves where it reaches the same place', () => {
  const target = { time: isoAt(38) };
  expect(choose(target, { preferred: 'first' })).toMatchObject({ manifest: { id: 'first' }, segments: 3 });
  expect(choose(target, { preferred: 'gone' })).toMatchObject({ manifest: { id: 'second' }, segments: 1 });
  const torn = { shipped: LOGS.filter(({ number }) => number !== 2), preferred: 'first' };
  expect(choose(target, torn)).toMatchObject({ manifest: { id: 'second' } });
});

test('a backup by its name is as of its own moment, also one that knows nothing of logs, and a snapshot', () => {
  expect(choose({ backup: 'second' })).toMatchObject({
    ...{ manifest: { id: 'second' }, segments: 0, firstLog: null, lastLog: null, notices: [] },
  });
  const { positions, ...first } = dump('first', 12, 1);
  const copy = { ...first, positions, id: 'month', tier: 'snapshot' as const };
  const manifests = [{ ...copy, copyOf: { tier: 'logical' as const, id: 'first' } }];
  expect(choose({ backup: 'month' }, { manifests })).toMatchObject({
    notices: ['it is a snapshot of a logical one, restored from its snapshot alone'],
  });
  // No logs are replayed onto a copy: the original is the base.
  expect(() => choose({ latest: true }, { manifests })).toThrow(/there is no logical backup/);
  expect(() => choose({ backup: 'third' })).toThrow(/there is no backup third/);
});

test('a moment behind a hole is refused with the last one before it; in a disaster latest takes what there is', () => {
  const torn = { shipped: LOGS.filter(({ number }) => number !== 2), manifests: BASES.slice(1) };
  expect(() => choose({ time: isoAt(35) }, torn)).toThrow(
    /1 log missing in the repository \(binlog\.000002\)/,
  );
  expect(() => choose({ latest: true }, torn)).toThrow(/1 log missing/);
  expect(choose({ latest: true }, { ...torn, beyondGap: 'leave' })).toMatchObject({
    lastLog: logName(1),
    beforeReplay: `1 log missing in the repository (binlog.000002): the recovery ends before, and what committed later than ${isoAt(19.999)} is lost`,
  });
  // Between two old bases whose logs have gone their way nothing has to be closed: it is refused at once.
  const old = { shipped: LOGS.slice(2), manifests: [BASES[0], dump('old', -500, 0)] as typeof BASES };
  expect(() => choose({ time: isoAt(-400) }, old)).toThrow(
    /3 logs missing in the repository \(binlog\.000000 to binlog\.000002\)/,
  );
});

const gtidAt = (last: number) => `${SERVER}:1-${last}`;
const byGtid = [1, 2, 3, 4].map((n) => shipped(n, n * 10, n * 10 + 10, { gtids: [n * 10 - 10, n * 10] }));
const withGtids = {
  shipped: byGtid,
  manifests: [dump('second', 32, 3, { gtid: gtidAt(25) }), dump('first', 12, 1, { gtid: gtidAt(3) })],
};
/** Holds the records of those logs, and counts how many are read. */
function recordsOf(logs: readonly ShippedLog[]) {
  const read: string[] = [];
  const recordIn = ({ key, name, number, lineage }: ShippedLog) => {
    read.push(name);
    const gtids = { before: gtidAt(number * 10 - 10), after: gtidAt(number * 10) };
    return JSON.stringify({ formatVersion: 1, database: 'shop', lineage, name, gtids, key });
  };
  const repository: Pick<Repository, 'versions' | 'getText'> = {
    async *versions(key) {
      const place = { key, versionId: 'v1', sizeBytes: 1, lastModified: isoAt(0), storageClass: null };
      yield { ...place, isLatest: true, isDeleteMarker: false };
    },
    getText: async (object) => {
      const key = typeof object === 'string' ? object : object.key;
      const log = logs.find((one) => one.key === key);
      return log === undefined ? null : recordIn(log);
    },
  };
  return { repository: repository as Repository, read };
}
async function byTransaction(number: number, changes: Partial<Situation> = {}) {
  const target = { gtid: `${SERVER}:${number}` };
  const known = situation(target, { ...withGtids, ...changes });
  const { repository, read } = recordsOf(known.shipped ?? []);
  const choice = await toItsTransaction(repository, chooseBackup(known), { known, target }, RUN);
  return { choice, read };
}

test('a transaction is reached by the newest base without it, and no more logs than lead to it', async () => {
  const { choice } = await byTransaction(31);
  expect(choice).toMatchObject({ manifest: { id: 'second' }, lastLog: logName(4), segments: 2 });
  expect((await byTransaction(26)).choice).toMatchObject({ lastLog: logName(3), segments: 1 });
  expect((await byTransaction(20)).choice).toMatchObject({
    ...{ manifest: { id: 'first' }, firstLog: logName(1), lastLog: logName(2), segments: 2 },
  });
  await expect(byTransaction(3)).rejects.toThrow(/before the oldest moment/);
});

test('a transaction that no log holds may be in the one that is open, or behind what is missing', async () => {
  expect((await byTransaction(99)).choice).toMatchObject({ reachable: 'needs-closing' });
  const torn = { shipped: byGtid.filter(({ number }) => number !== 2) };
  await expect(byTransaction(15, torn)).rejects.toThrow(/1 log missing in the repository \(binlog\.000002\)/);
});

test('among a thousand logs the one of a transaction is found in a few reads', async () => {
  const many = Array.from({ length: 1_000 }, (_, n) =>
    shipped(n + 1, n, n + 1, { gtids: [n * 10, n * 10 + 10] }),
  );
  const changes = { shipped: many, manifests: [dump('first', 0.5, 1, { gtid: gtidAt(1) })] };
  const { choice, read } = await byTransaction(4_321, changes);
  expect(choice).toMatchObject({ lastLog: logName(433), segments: 433 });
  expect(read.length).toBeLessThanOrEqual(10);
});

test('a GTID of the other flavour, and one of a server without any, is refused in words', () => {
  const target = { gtid: '0-1-23' };
  expect(() => choose(target, withGtids)).toThrow(/is no GTID of this server/);
  expect(() => choose(target)).toThrow(/the server has no GTIDs/);
  const base = { ...dump('maria', 12, 1, { gtid: '0-1-20' }), serverVersion: '10.11.19' };
  expect(choose(target, { manifests: [base] })).toMatchObject({ manifest: { id: 'maria' } });
  expect(() => choose({ gtid: '0-1-20' }, { manifests: [base] })).toThrow(/before the oldest moment/);
});

test('the logs of a choice are those of its lineage alone, each once', () => {
  const twice = [...LOGS, shipped(2, 20, 29), ...tenSeconds([2, 3], `${SERVER}.2`)];
  const choice = { lineage: `${SERVER}.1`, firstLog: logName(1), lastLog: logName(3) };
  expect(logsOf(choice, twice).map(({ name }) => name)).toEqual([1, 2, 3].map(logName));
  expect(logsOf({ ...choice, lastLog: logName(9) }, twice)).toEqual([]);
});
