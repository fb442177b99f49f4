import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addGtid,
  containsGtid,
  emptyGtids,
  equalGtids,
  formatGtid,
  formatGtids,
  type Gtid,
  type GtidSet,
  isEmpty,
  isSubset,
  mariadbPosition,
  mysqlSet,
  parseGtid,
  parseGtids,
  subtractGtids,
  uniteGtids,
} from '../../../src/model/gtid.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '4f11fa47-71ca-11e1-9e33-c80aa9429562';
const SOURCES = [A, B, `${A}:tag`, `${A}:a`, `${B}:tag`];

const mysqlGtid: fc.Arbitrary<Gtid> = fc
  .record({ source: fc.constantFrom(...SOURCES), number: fc.bigInt(1n, 30n) })
  .map((parts) => ({ flavour: 'mysql', ...parts }));
const mysqlGtids: fc.Arbitrary<GtidSet> = fc
  .array(
    fc.tuple(
      fc.constantFrom(...SOURCES),
      fc.array(
        fc
          .tuple(fc.bigInt(1n, 30n), fc.bigInt(0n, 8n))
          .map(([first, more]) => ({ first, last: first + more })),
        { maxLength: 6 },
      ),
    ),
    { maxLength: 5 },
  )
  .map((entries) => mysqlSet([...new Map(entries)]));
const mariadbGtid: fc.Arbitrary<Gtid> = fc
  .record({ domain: fc.nat(3), server: fc.integer({ min: 1, max: 3 }), sequence: fc.bigInt(1n, 30n) })
  .map((parts) => ({ flavour: 'mariadb', ...parts }));
const mariadbGtids: fc.Arbitrary<GtidSet> = fc
  .array(
    fc.tuple(fc.nat(3), fc.record({ server: fc.integer({ min: 1, max: 3 }), sequence: fc.bigInt(1n, 30n) })),
  )
  .map((entries) => mariadbPosition(new Map(entries)));

const FLAVOURS = [
  { flavour: 'mysql' as const, sets: mysqlGtids, one: mysqlGtid },
  { flavour: 'mariadb' as const, sets: mariadbGtids, one: mariadbGtid },
];

describe.each(FLAVOURS)('GTIDs of $flavour', ({ flavour, sets, one }) => {
  it('are read as they are written', () => {
    fc.assert(
      fc.property(sets, one, (set, gtid) => {
        const text = formatGtids(set);
        expect(parseGtids(text, flavour)).toEqual(set);
        expect(formatGtids(parseGtids(text, flavour))).toBe(text);
        expect(parseGtid(formatGtid(gtid))).toEqual(gtid);
      }),
    );
  });

  it('are united whatever the order, and nothing is lost', () => {
    fc.assert(
      fc.property(sets, sets, sets, one, (a, b, c, gtid) => {
        const both = uniteGtids(a, b);
        expect(both).toEqual(uniteGtids(b, a));
        expect(uniteGtids(both, c)).toEqual(uniteGtids(a, uniteGtids(b, c)));
        expect(uniteGtids(a, a)).toEqual(a);
        expect(uniteGtids(a, emptyGtids(flavour))).toEqual(a);
        expect(containsGtid(both, gtid)).toBe(containsGtid(a, gtid) || containsGtid(b, gtid));
        expect([isSubset(a, both), isSubset(b, both)]).toEqual([true, true]);
      }),
    );
  });

  it('are subtracted so that what is left and what was taken make the whole', () => {
    fc.assert(
      fc.property(sets, sets, one, (a, b, gtid) => {
        const left = subtractGtids(a, b);
        // Equal numbers of two servers are no difference for MariaDB; else the union is the same.
        expect(isSubset(uniteGtids(left, b), uniteGtids(a, b))).toBe(true);
        expect(isSubset(uniteGtids(a, b), uniteGtids(left, b))).toBe(true);
        expect(isSubset(left, a)).toBe(true);
        expect(isEmpty(left)).toBe(isSubset(a, b));
        if (flavour === 'mysql') {
          expect(containsGtid(left, gtid)).toBe(containsGtid(a, gtid) && !containsGtid(b, gtid));
        }
      }),
    );
  });

  it('are added one by one', () => {
    fc.assert(
      fc.property(sets, one, (set, gtid) => {
        const more = addGtid(set, gtid);
        expect(containsGtid(more, gtid)).toBe(true);
        expect(isSubset(set, more)).toBe(true);
        expect(addGtid(more, gtid)).toEqual(more);
      }),
    );
  });

  it('are equal where their texts are', () => {
    fc.assert(
      fc.property(sets, sets, (a, b) => {
        expect(equalGtids(a, b)).toBe(formatGtids(a) === formatGtids(b));
        if (flavour === 'mysql') expect(equalGtids(a, b)).toBe(isSubset(a, b) && isSubset(b, a));
      }),
    );
  });
});

describe('texts of GTIDs', () => {
  it('are read as people and servers write them', () => {
    const text = `${B}:7 , \n${A.toUpperCase()}:1-3:4:9-11:11-12:tag:5:1,${A}:20`;
    expect(formatGtids(parseGtids(text, 'mysql'))).toBe(`${A}:1-4:9-12:20:tag:1:5,${B}:7`);
    expect(formatGtids(parseGtids('2-3-9, 0-1-100', 'mariadb'))).toBe('0-1-100,2-3-9');
    expect(isEmpty(parseGtids('', 'mysql'))).toBe(true);
    expect(isEmpty(parseGtids('', 'mariadb'))).toBe(true);
    expect(containsGtid(parseGtids('0-1-100', 'mariadb'), parseGtid('0-9-99'))).toBe(true);
    expect(containsGtid(parseGtids('0-1-100', 'mariadb'), parseGtid('1-1-1'))).toBe(false);
  });

  it.each([`${A}`, `${A}:0`, `${A}:5-3`, `${A}:x-1`, 'x:1', `${A}:tag`, `${A}:9223372036854775807`, '0-1-1'])(
    'of MySQL are not %s',
    (text) => {
      expect(() => parseGtids(text, 'mysql')).toThrow(/is no set of GTIDs/);
    },
  );

  it.each(['0-1', '0-1-0', '0-1-1,0-2-2', `${A}:1`, '4294967296-1-1'])('of MariaDB are not %s', (text) => {
    expect(() => parseGtids(text, 'mariadb')).toThrow(/is no (set of )?GTIDs?/);
  });

  it('of both flavours are never mixed', () => {
    expect(() => uniteGtids(emptyGtids('mysql'), emptyGtids('mariadb'))).toThrow(RangeError);
  });
});
