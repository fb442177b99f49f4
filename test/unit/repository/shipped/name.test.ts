import fc from 'fast-check';
import { expect, test } from 'vitest';
import { numberOf } from '../../../../src/model/log-position.ts';
import { heartbeatFolder, logFolder, shippedFolder } from '../../../../src/repository/layout.ts';
import {
  generationOf,
  lineageOf,
  parseRecordKey,
  recordKey,
  serverOf,
  siblingOf,
  timelineOf,
} from '../../../../src/repository/shipped/name.ts';
import { SERVER } from './shop.ts';

const LINEAGE = `${SERVER}.1`;
const FACTS = {
  ...{ createdAt: '2026-01-31T14:05:00Z', lastAt: '2026-01-31T14:07:30.999Z' },
  gtids: { before: '', after: `${SERVER}:1-7` },
};

test('a record’s name tells all of the log that a listing has to tell', () => {
  const key = recordKey({ database: 'shop', lineage: LINEAGE, log: 'binlog.000004' }, FACTS);
  expect(key).toMatch(
    /^log\/shop\/3e11fa47-71ca-11e1-9e33-c80aa9429562\.1\/binlog\.000004\/20260131T140500Z_20260131T140730Z_[0-9a-f]{12}_[0-9a-f]{12}\.json$/,
  );
  expect(parseRecordKey(logFolder('shop'), key)).toMatchObject({
    ...{ lineage: LINEAGE, name: 'binlog.000004', number: 4, key },
    // Cut off, never rounded up: what commits later in that second may be in the next log.
    ...{ createdAt: '2026-01-31T14:05:00.000Z', lastAt: '2026-01-31T14:07:30.000Z' },
  });
});

const ids = fc.oneof(
  fc.uuid(),
  fc.tuple(fc.nat(), fc.nat()).map(([server, at]) => `${server}-${at}`),
  fc.string({ minLength: 1, maxLength: 20 }),
);
const seconds = fc
  .integer({ min: 0, max: 4_000_000_000 })
  .map((second) => new Date(second * 1_000).toISOString());

test('names of any server and any log round trip, and no two are the same', () => {
  fc.assert(
    fc.property(
      ...[ids, fc.integer({ min: 1, max: 99 }), fc.integer({ min: 1, max: 2_147_483_647 })],
      fc.stringMatching(/^[\w%+äé -]{1,20}$/),
      ...[seconds, seconds, fc.option(fc.tuple(fc.string(), fc.string()))],
      (id, generation, number, stem, createdAt, lastAt, sets) => {
        const lineage = lineageOf(id, generation);
        const log = siblingOf(`${stem}.000001`, number);
        const gtids = sets === null ? null : { before: sets[0], after: sets[1] };
        const key = recordKey({ database: 'shop', lineage, log }, { createdAt, lastAt, gtids });
        const parsed = parseRecordKey(logFolder('shop'), key);
        expect(parsed).toMatchObject({ lineage, name: log, number, createdAt, lastAt, key });
        expect(parsed?.before === null).toBe(gtids === null);
        if (gtids !== null) expect(parsed?.before === parsed?.after).toBe(gtids.before === gtids.after);
        expect(key.startsWith(shippedFolder('shop', lineage, log))).toBe(true);
        expect(generationOf(lineage)).toBe(generation);
        expect(lineageOf(serverOf(lineage), generation)).toBe(lineage);
      },
    ),
  );
});

test('what is no record of a shipped log is none', () => {
  const folder = `log/shop/${LINEAGE}/binlog.000004/`;
  const name = '20260131T140500Z_20260131T140730Z_none_none.json';
  const read = (key: string) => parseRecordKey(logFolder('shop'), key);
  expect(read(`${folder}${name}`)).not.toBeNull();
  expect(read(`${folder}1769868000000-k2j4h1.zst`)).toBeNull();
  expect(read(`${folder}1769868000000-k2j4h1.zst.part2`)).toBeNull();
  expect(read(`${folder}deeper/${name}`)).toBeNull();
  expect(read(`${folder}2026_2027_none_none.json`)).toBeNull();
  expect(read(`log/shop/${LINEAGE}/nothing/${name}`)).toBeNull();
  expect(read(`${heartbeatFolder('shop')}20260131T140500Z_1_x_none.json`)).toBeNull();
  // Whoever can write can write this, too.
  expect(read(`log/shop/${LINEAGE}/%E0%A4%A.000004/${name}`)).toBeNull();
});

test('numbers past six digits have seven, and siblings on both sides', () => {
  expect(siblingOf('binlog.1000000', 999_999)).toBe('binlog.999999');
  expect(siblingOf('binlog.999999', 1_000_000)).toBe('binlog.1000000');
  expect(siblingOf('my.bin.log.000010', 9)).toBe('my.bin.log.000009');
  expect(numberOf('binlog.1000000')).toBe(1_000_000);
  expect(numberOf('binlog.index')).toBeNull();
});

test('servers and generations have timelines of their own', () => {
  const timelines = [1, 2, 3].map((generation) => timelineOf(lineageOf(SERVER, generation)));
  expect(new Set(timelines).size).toBe(3);
  for (const timeline of timelines) expect(timeline).toBeGreaterThan(0);
});
