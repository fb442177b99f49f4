import { describe, expect, it } from 'vitest';
import { followFrom } from '../../../src/client/find/archived.ts';
import { fullName } from '../../../src/client/find/shipped.ts';
import { shippedBetween } from '../../../src/client/find/shipped-range.ts';
import { readMoment } from '../../../src/client/find.ts';
import { formatFind, restoreCommandOf } from '../../../src/client/view/find.ts';
import type { Candidate } from '../../../src/engines/contract/read.ts';
import type { ShippedLog } from '../../../src/repository/shipped/name.ts';

const candidate = (change: Partial<Candidate> = {}): Candidate => ({
  ...{ xid: '4711', at: '2026-01-31T14:05:00.123456Z', lsn: '0/5000148', timeline: 1 },
  ...{ deleted: 0, updated: 0, inserted: 0, whole: null, partitions: null },
  target: { lsn: '0/5000148', exclusive: true },
  ...change,
});

describe('a moment of the command line', () => {
  const now = new Date('2026-01-31T14:00:00Z');
  it('is a time with an offset, or how long ago', () => {
    expect(readMoment('--since', '2h', now).toISOString()).toBe('2026-01-31T12:00:00.000Z');
    expect(readMoment('--since', '1h30m', now).toISOString()).toBe('2026-01-31T12:30:00.000Z');
    expect(readMoment('--since', '2026-01-31 14:00:00+01:00', now).toISOString()).toBe(
      '2026-01-31T13:00:00.000Z',
    );
  });

  it.each(['2026-01-31T14:00:00', 'yesterday', '2026-13-31T14:00:00Z', '', '2x'])('is not "%s"', (text) => {
    expect(() => readMoment('--since', text, now)).toThrow(/neither a time|not a duration/);
  });
});

describe('the command that is printed', () => {
  const found = { database: 'shop', table: 'public.orders' };
  it('brings back what is gone, and sets back what was only changed', () => {
    expect(restoreCommandOf(found, candidate({ deleted: 9 }), [])).toBe(
      "holdfast restore pitr shop --lsn 0/5000148 --exclusive --table public.orders --reason 'transaction 4711 deleted 9 rows of public.orders'",
    );
    expect(restoreCommandOf(found, candidate({ updated: 1_500 }), ['--config', 'a b.yaml'])).toBe(
      "holdfast restore pitr shop --lsn 0/5000148 --exclusive --table public.orders --conflict restore-changed --reason 'transaction 4711 updated 1,500 rows of public.orders' --config 'a b.yaml'",
    );
  });

  it('says whether all of a partitioned table went, or a part', () => {
    const dropped = candidate({ whole: 'dropped', partitions: { touched: 1, all: 12 } });
    expect(restoreCommandOf(found, dropped, [])).toContain(
      "--reason 'transaction 4711 dropped 1 of 12 partitions of public.orders'",
    );
  });

  it('can be pasted into a shell whatever the table is called', () => {
    const odd = { database: 'shop', table: `public."it's; ""x"""` };
    const command = restoreCommandOf(odd, candidate({ whole: 'dropped' }), []);
    expect(command).toContain(`--table 'public."it'\\''s; ""x"""'`);
    expect(command).toContain('--reason');
  });
});

it('what was found is a table with the command below it, and what could not be searched', () => {
  const deleted = candidate({ deleted: 12_345, updated: 2 });
  const text = formatFind(
    {
      ...{ database: 'shop', table: 'public.orders', likeliest: deleted, notices: ['a log is missing'] },
      searched: { from: '2026-01-31T13:00:00Z', to: '2026-01-31T15:00:00Z', logs: 12 },
      candidates: [
        deleted,
        candidate({ xid: '4712', whole: 'rewritten', target: { lsn: '0/5000170', exclusive: true } }),
      ],
    },
    [],
    null,
  );
  const lines = text.split('\n');
  expect(lines[0]).toContain('12 logs searched, 2026-01-31T13:00:00Z to 2026-01-31T15:00:00Z');
  expect(text).toMatch(/2026-01-31T14:05:00\.123456Z +4711 +0\/5000148 +12,345 +2 +-/);
  expect(text).toMatch(/4712 .* rewritten/);
  // Every one has its target, not the likeliest alone.
  expect(text).toMatch(/4711 .* - +--lsn 0\/5000148 --exclusive/);
  expect(text).toMatch(/4712 .* rewritten +--lsn 0\/5000170 --exclusive/);
  expect(text).toContain('for another one, put its target there');
  expect(text).toContain('note: a log is missing');
  expect(lines.at(-1)).toMatch(/^holdfast restore pitr shop --lsn 0\/5000148 --exclusive /);
  expect(text).not.toContain('done by');
  const own = { ...deleted, by: 'pitr/shop/1' };
  const withOwn = formatFind(
    {
      ...{
        database: 'shop',
        table: 'public.orders',
        likeliest: own,
        notices: [],
        candidates: [own, deleted],
      },
      searched: { from: null, to: null, logs: 1 },
    },
    [],
    null,
  );
  expect(withOwn).toMatch(/target just before it +done by/);
  expect(withOwn).toMatch(/--exclusive +pitr\/shop\/1\n.*--exclusive +-\n/);
  const none = formatFind(
    {
      ...{ database: 'shop', table: 'public.orders', likeliest: null, notices: [], candidates: [] },
      searched: { from: null, to: null, logs: 1 },
    },
    [],
    null,
  );
  expect(none).toContain('no transaction in them');
  expect(none).not.toContain('holdfast restore');
});

describe("the files of a table are followed from the last backup's on", () => {
  const place = (node: string, at: string) => ({
    db: 'shop',
    table: 'public.t',
    node: `1663/5/${node}`,
    oid: '1',
    at,
  });
  const since = Date.parse('2026-01-31T12:00:00Z');
  const before = '2026-01-31T02:00:00Z';
  const after = '2026-01-31T14:00:00Z';
  it.each([
    ['not where they are the same', [place('1', before), place('1', after)], null],
    ['not for a leaf that is new', [place('1', before), place('1', after), place('2', after)], null],
    ['where the table is gone', [place('1', before)], before],
    ['where they are others', [place('1', before), place('2', after)], before],
    ['not where nothing is known from before', [place('2', after)], null],
  ])('%s', (_name, places, from) => {
    expect(followFrom(places, since)).toBe(from === null ? null : Date.parse(from));
  });
});

describe('logs that were shipped', () => {
  const log = (
    number: number,
    createdAt: string,
    lastAt: string,
    change: Partial<ShippedLog> = {},
  ): ShippedLog => ({
    ...{ lineage: 'a.1', number, name: `binlog.${String(number).padStart(6, '0')}` },
    ...{ createdAt: `2026-01-31T${createdAt}Z`, lastAt: `2026-01-31T${lastAt}Z`, shippedAt: lastAt },
    ...{ before: null, after: null, key: `log/${number}` },
    ...change,
  });
  const span = (from: string, to: string) => ({
    ...{ from: Date.parse(`2026-01-31T${from}Z`), to: Date.parse(`2026-01-31T${to}Z`) },
  });
  const three = [
    log(3, '14:10:00', '14:15:00'),
    log(1, '14:00:00', '14:05:00'),
    log(2, '14:05:00', '14:10:00'),
  ];
  const numbersOf = ({ logs }: { logs: ShippedLog[] }) => logs.map(({ number }) => number);

  it('are those that may hold what committed then, in order; the second of a name is cut off', () => {
    expect(numbersOf(shippedBetween(three, span('14:06:00', '14:07:00')))).toEqual([2]);
    expect(numbersOf(shippedBetween(three, span('14:05:00.500', '14:12:00')))).toEqual([1, 2, 3]);
    expect(shippedBetween(three, span('14:06:00', '14:07:00')).notices).toEqual([]);
  });

  it('say what was before the oldest and after the newest of them', () => {
    expect(shippedBetween(three, span('13:00:00', '15:00:00'))).toEqual({
      logs: [three[1], three[2], three[0]],
      notices: [
        expect.stringContaining('the oldest shipped log is binlog.000001: what came before'),
        expect.stringContaining('the newest shipped log is binlog.000003: what is in a later log'),
      ],
    });
    expect(shippedBetween([], span('13:00:00', '15:00:00')).notices).toEqual(['no log was shipped']);
  });

  it('say what is missing among them', () => {
    const [three0, one] = three as [ShippedLog, ShippedLog];
    const { notices } = shippedBetween([one, three0], span('14:04:00', '14:11:00'));
    expect(notices).toEqual(['log binlog.000002 is missing: what it held is not searched']);
    expect(shippedBetween([one, three0], span('14:11:00', '14:12:00')).notices).toEqual([]);
  });
});

it('a table of MySQL has a db: of the connection, where none is named', () => {
  expect(fullName('orders', 'shop')).toBe('shop.orders');
  expect(fullName('other."my orders"', 'shop')).toBe('other."my orders"');
  expect(() => fullName('a.b.c', 'shop')).toThrow(/too many parts/);
});

it('a transaction of MySQL is named and aimed at by its GTID; by its position where it has none', () => {
  const gtid = '3e11fa47-71ca-11e1-9e33-c80aa9429562:23';
  const lsn = 'binlog.000004:1234';
  const found = { database: 'shop', table: 'shop.orders' };
  const named = candidate({ xid: null, gtid, lsn, deleted: 9, target: { gtid } });
  expect(restoreCommandOf(found, named, [])).toBe(
    `holdfast restore pitr shop --gtid ${gtid} --exclusive --table shop.orders --reason 'transaction ${gtid} deleted 9 rows of shop.orders'`,
  );
  const unnamed = candidate({ xid: null, lsn, deleted: 9, target: { lsn, exclusive: true } });
  expect(restoreCommandOf(found, unnamed, [])).toContain(
    `--lsn ${lsn} --exclusive --table shop.orders --reason 'transaction ${lsn} deleted`,
  );
  const result = {
    ...{ ...found, notices: [], searched: { from: null, to: null, logs: 1 } },
    ...{ candidates: [named], likeliest: named },
  };
  const text = formatFind(result, [], null);
  expect(text).toMatch(/GTID +position +deleted/);
  expect(text).not.toMatch(/xid|LSN/);
});
