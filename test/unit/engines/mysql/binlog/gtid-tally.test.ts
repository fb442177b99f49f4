import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GtidTally } from '../../../../../src/engines/mysql/binlog/gtid-tally.ts';
import { addGtid, formatGtids, parseGtid, parseGtids } from '../../../../../src/model/gtid.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

describe('GtidTally', () => {
  it('adds transactions in whatever order to what was there before', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 11, max: 60 }), { minLength: 1 }), (numbers) => {
        const tally = new GtidTally(`${UUID}:1-10`, 'mysql');
        for (const number of numbers) tally.add(`${UUID}:${number}`);
        const expected = numbers.reduce(
          (set, number) => addGtid(set, parseGtid(`${UUID}:${number}`)),
          parseGtids(`${UUID}:1-10`, 'mysql'),
        );
        expect(tally.text()).toBe(formatGtids(expected));
      }),
    );
  });

  it('stays quick and small where every second number is missing', () => {
    const tally = new GtidTally('', 'mysql');
    for (let number = 1; number <= 4001; number += 2) tally.add(`${UUID}:${number}`);
    for (let number = 2; number <= 4000; number += 2) tally.add(`${UUID}:${number}`);
    expect(tally.text()).toBe(`${UUID}:1-4001`);
  });

  it('follows MariaDB to the transaction that was written last', () => {
    const tally = new GtidTally('0-1-5,1-1-9', 'mariadb');
    for (const gtid of ['0-1-6', '0-2-8', '0-1-7']) tally.add(gtid);
    expect(tally.text()).toBe('0-1-7,1-1-9');
  });
});
