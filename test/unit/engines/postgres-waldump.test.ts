import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseRecord } from '../../../src/engines/postgres/find/record.ts';
import { Search, type SearchOptions } from '../../../src/engines/postgres/find/search.ts';
import { likeliest } from '../../../src/engines/rank.ts';

const line = (manager: string, xid: number, text: string, lsn = '0/0204BA78') =>
  `rmgr: ${manager.padEnd(11)} len (rec/tot):     54/    54, tx:        ${xid}, lsn: ${lsn}, prev 0/0204BA30, desc: ${text}`;

describe('a line of pg_waldump', () => {
  it('is a changed row, of which version ever', () => {
    const node = '1663/5/16384';
    const cases: [string, string, string | null][] = [
      ['Heap', `DELETE off 1 flags 0x00 KEYS_UPDATED , blkref #0: rel ${node} blk 0 FPW`, 'deleted'],
      [
        'Heap',
        `DELETE xmax: 745, off: 4, infobits: [KEYS_UPDATED], flags: 0x00, blkref #0: rel ${node} blk 0`,
        'deleted',
      ],
      ['Heap', `DELETE xmax: 745, off: 4, infobits: [], flags: 0x08, blkref #0: rel ${node} blk 0`, null],
      ['Heap', `DELETE off 1 flags 0x10 KEYS_UPDATED , blkref #0: rel ${node} blk 0`, 'updated'],
      [
        'Heap',
        `HOT_UPDATE off 20 xmax 732 flags 0x20 ; new off 137 xmax 0, blkref #0: rel ${node} blk 0`,
        'updated',
      ],
      [
        'Heap',
        `UPDATE+INIT off 1 xmax 7 flags 0x00 ; new off 1 xmax 0, blkref #0: rel ${node} blk 1, blkref #1: rel ${node} blk 0`,
        'updated',
      ],
      ['Heap', `INSERT+INIT off 1 flags 0x00, blkref #0: rel ${node} blk 0`, 'inserted'],
      ['Heap2', `MULTI_INSERT+INIT 60 tuples flags 0x02, blkref #0: rel ${node} blk 0`, 'inserted'],
      ['Heap', `LOCK off 4: xid 700: flags 0x00 LOCK_ONLY EXCL_LOCK , blkref #0: rel ${node} blk 0`, null],
      ['Heap2', `PRUNE latestRemovedXid 1 nredirected 0 ndead 1, blkref #0: rel ${node} blk 0`, null],
      ['Btree', `DELETE off 1, blkref #0: rel ${node} blk 0`, null],
    ];
    for (const [manager, text, change] of cases) {
      const expected = change === null ? null : { kind: 'row', xid: '731', lsn: '0/204BA78', change, node };
      expect(parseRecord(line(manager, 731, text)), text).toEqual(expected);
    }
  });

  it('is the end of a transaction, with its subtransactions and the files it removed', () => {
    const text =
      'COMMIT 2026-11-24 09:06:34.740926 UTC; rels: base/5/16388 pg_tblspc/16500/PG_15_202209061/5/16501; subxacts: 735 736; dropped stats: 2/5/16384 3/5/1; inval msgs: catcache 55 relcache 16384';
    expect(parseRecord(line('Transaction', 734, text))).toEqual({
      ...{ kind: 'commit', xid: '734', of: '734', lsn: '0/204BA78', at: '2026-11-24T09:06:34.740926Z' },
      ...{ ended: ['734', '735', '736'], removed: ['1663/5/16388', '16500/5/16501'], droppedOids: ['16384'] },
    });
    const prepared = 'COMMIT_PREPARED 739: 2026-11-24 09:06:34.745289 UTC; subxacts: 740';
    expect(parseRecord(line('Transaction', 0, prepared))).toMatchObject({ of: '739', ended: ['739', '740'] });
    expect(
      parseRecord(line('Transaction', 0, 'ABORT_PREPARED 740: 2026-11-24 09:06:34.7 UTC')),
    ).toMatchObject({
      ...{ kind: 'abort', of: '740' },
    });
    expect(
      parseRecord(line('Transaction', 739, 'PREPARE gid p1: 2026-11-24 09:06:34.744671 UTC')),
    ).toBeNull();
  });

  it('is nothing where it is no record', () => {
    expect(parseRecord('first record is after 0/2000000, at 0/2000028, skipping over 40 bytes')).toBeNull();
    expect(parseRecord('')).toBeNull();
  });
});

/** What `pg_waldump` 15 and 17 printed of one and the same session; each table is followed from its first file. */
describe.each([15, 17])('the log of PostgreSQL %i', (major) => {
  const lines = readFileSync(new URL(`waldump-${major}.txt`, import.meta.url), 'utf8').split('\n');
  const search = (file: number, options: { serverMajor?: number; limit?: number; minRows?: number } = {}) => {
    const found = new Search({
      relations: [
        {
          db: 'shop',
          table: 'public.t',
          node: `1663/5/${file}`,
          oid: String(file),
          at: '2026-01-01T00:00:00Z',
        },
      ],
      ...{ serverMajor: major, since: 0, until: Number.POSITIVE_INFINITY, minRows: 1, limit: 20, ...options },
    });
    for (const text of lines) {
      const record = parseRecord(text);
      if (record !== null) found.read(record, 1);
    }
    return found.candidates();
  };
  const rowsOf = (found: ReturnType<typeof search>) =>
    found.map(({ deleted, updated, whole }) => [deleted, updated, whole]);

  it('tells deletes and updates apart, without what was rolled back', () => {
    expect(rowsOf(search(16384)).slice(0, 5)).toEqual([
      [9, 0, null],
      [0, 6, null],
      [0, 1, null],
      // Two in the transaction and its subtransaction; a third was rolled back with its own.
      [2, 0, null],
      // Prepared and committed; another was prepared and rolled back.
      [1, 0, null],
    ]);
  });

  it.each([14, 15])(
    'follows truncated and rewritten files until the table is dropped (rules of %i)',
    (serverMajor) => {
      const wholeOf = (file: number) =>
        search(file, { serverMajor: serverMajor === 14 ? 14 : major }).flatMap(({ whole }) => whole ?? []);
      expect(wholeOf(16384)).toEqual(['truncated', 'rewritten', 'rewritten', 'dropped']);
      // Truncated together with the next, rewritten by an ALTER TABLE together with the one before.
      expect(wholeOf(16391)).toEqual(['truncated', 'rewritten', 'rewritten', 'dropped']);
      expect(wholeOf(16394)).toEqual(['truncated', 'rewritten', 'dropped']);
    },
  );

  it('keeps those that took the most, and names the last of what took everything', () => {
    const all = search(16384);
    const kept = search(16384, { limit: 3 });
    expect(rowsOf(kept)).toEqual([
      [9, 0, null],
      [0, 0, 'truncated'],
      [0, 0, 'dropped'],
    ]);
    expect(likeliest(all)).toEqual(all.at(-1));
    expect(likeliest(all.slice(0, 5))).toEqual(all[0]);
    expect(likeliest(all.filter(({ whole }) => whole === 'rewritten'))).toBeNull();
    expect(rowsOf(search(16384, { minRows: 6 })).slice(0, 3)).toEqual([
      [9, 0, null],
      [0, 6, null],
      [0, 0, 'truncated'],
    ]);
  });
});

it('a table that moves to another tablespace, or is unlogged for a while, is followed', () => {
  const found = new Search({
    relations: [
      { db: 'shop', table: 'public.t', node: '1663/5/16384', oid: '16384', at: '2026-01-01T00:00:00Z' },
    ],
    ...{ serverMajor: 15, since: 0, until: Number.POSITIVE_INFINITY, minRows: 1, limit: 20 },
  });
  const text = readFileSync(new URL('waldump-15-moved.txt', import.meta.url), 'utf8');
  for (const record of text.split('\n').map(parseRecord)) if (record !== null) found.read(record, 1);
  const seen = found.candidates().map(({ deleted, whole }) => [deleted, whole]);
  expect(seen).toEqual([
    [0, 'rewritten'],
    [3, null],
    [1, null],
    [0, 'rewritten'],
    [0, 'rewritten'],
    [1, null],
    [0, 'dropped'],
  ]);
});

describe('of a partitioned table', () => {
  const [first, later] = ['2026-01-31T00:00:00Z', '2026-01-31T12:00:00Z'];
  const leaf = (oid: string, at: string) => ({
    ...{ db: 'shop', table: 'public.events', node: `1663/5/${oid}`, oid, at },
  });
  /** An old leaf goes, and a new one comes, between the two moments at which the leaves are known. */
  const relations = [leaf('1', first), leaf('2', first), leaf('2', later), leaf('3', later)];
  const commit = (
    xid: string,
    hour: number,
    change: { removed?: string[]; droppedOids?: string[] } = {},
  ) => ({
    ...{ kind: 'commit' as const, xid, of: xid, lsn: `0/${xid}`, ended: [xid], removed: [], droppedOids: [] },
    ...{ at: `2026-01-31T0${hour}:00:00Z`, ...change },
  });
  const drop = (...oids: string[]) => ({
    ...{ removed: oids.map((oid) => `1663/5/${oid}`), droppedOids: oids },
  });
  const foundWith = (options: Partial<SearchOptions>, ...records: Parameters<Search['read']>[0][]) => {
    const search = new Search({
      ...{ relations, serverMajor: 15, minRows: 1, limit: 20 },
      ...{ since: 0, until: Number.POSITIVE_INFINITY, ...options },
    });
    for (const record of records) search.read(record, 1);
    return search.candidates();
  };
  const found = (...records: Parameters<Search['read']>[0][]) => foundWith({}, ...records);
  const deleted = {
    kind: 'row' as const,
    xid: '11',
    lsn: '0/11',
    change: 'deleted' as const,
    node: '1663/5/2',
  };

  it('the drop of one leaf stands behind a loss of rows, and that behind the drop of all leaves', () => {
    const some = found(commit('10', 1, drop('1')), deleted, commit('11', 2));
    expect(some.map(({ partitions }) => partitions)).toEqual([{ touched: 1, all: 2 }, null]);
    expect(likeliest(some)?.xid).toBe('11');
    expect(likeliest(some.slice(0, 1))?.xid).toBe('10');

    const all = found(commit('10', 1, drop('1')), deleted, commit('11', 2), commit('12', 3, drop('2', '3')));
    expect(all.at(-1)).toMatchObject({ whole: 'dropped', partitions: { touched: 2, all: 2 } });
    expect(likeliest(all)?.xid).toBe('12');
  });

  it('what Holdfast itself did comes last, and only where the transaction is of that time', () => {
    const own = (transaction: string, hour: number) => ({
      ...{ transaction, by: 'pitr/shop/1' },
      ...{ from: `2026-01-31T0${hour - 1}:59:00Z`, to: `2026-01-31T0${hour}:01:00Z` },
    });
    const all = [deleted, commit('11', 1), commit('12', 2, drop('1', '2', '3'))];
    const epoch = (2n ** 32n + 12n).toString();
    const some = foundWith({ own: [own(epoch, 2), own('11', 3)] }, ...all);
    expect(some.map(({ xid, by }) => [xid, by])).toEqual([
      ['11', undefined],
      ['12', 'pitr/shop/1'],
    ]);
    expect(likeliest(some)?.xid).toBe('11');
    expect(likeliest(some.slice(1))?.xid).toBe('12');
    const one = foundWith({ own: [own('12', 2)], limit: 1 }, ...all);
    expect(one.map(({ xid }) => xid)).toEqual(['11']);
  });

  it('a drop is kept whatever else took more rows', () => {
    const rows = Array.from({ length: 30 }, (_, index) => [
      { ...deleted, xid: `${20 + index}` },
      commit(`${20 + index}`, 2),
    ]).flat();
    expect(found(commit('10', 1, drop('1')), ...rows).map(({ xid }) => xid)).toContain('10');
  });
});
