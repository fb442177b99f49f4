import { describe, expect, test } from 'vitest';
import { mergeDifferences } from '../../../../../src/engines/mysql/compare/key-merge.ts';
import {
  compareKeys,
  isOrderable,
  type KeyOrder,
  keyOrder,
} from '../../../../../src/engines/mysql/compare/key-order.ts';
import { HASH } from '../../../../../src/engines/mysql/compare/scratch.ts';

const rowOf = (...values: (string | null)[]) =>
  values.map((value) => (value === null ? null : Buffer.from(value, 'latin1')));

async function* rows(...all: (string | null)[][]) {
  for (const values of all) yield rowOf(...values);
}

describe('keyOrder', () => {
  const column = (type: string, collation: string | null = null) => ({
    ...HASH,
    ...{ type, collation, charset: collation?.split('_')[0] ?? null },
  });
  test.each([
    ['bigint', null, 'integer'],
    ['datetime', null, 'bytes'],
    ['varbinary', null, 'bytes'],
    ['varchar', 'utf8mb4_0900_bin', 'bytes'],
    ['varchar', 'utf8mb4_nopad_bin', 'bytes'],
    ['varchar', 'utf8mb4_bin', 'padded'],
    ['char', 'latin1_bin', 'padded'],
    ['varchar', 'utf8mb4_0900_ai_ci', 'uca'],
    ['char', 'utf8mb4_uca1400_nopad_as_ci', 'uca'],
    ['char', 'utf8mb3_unicode_520_nopad_ci', 'unicode'],
    ['varchar', 'latin1_swedish_nopad_ci', 'general'],
    ['varchar', 'utf8mb4_danish_ci', null],
    ['varchar', 'utf8mb4_tr_0900_ai_ci', null],
    ['varchar', 'utf8mb4_0900_as_cs', null],
    ['varchar', 'utf16_bin', null],
    ['enum', 'utf8mb4_bin', null],
    ['decimal', null, null],
    ['double', null, null],
    ['time', null, null],
    ['uuid', null, null],
    ['bit', null, null],
  ])('%s %s: %s', (type, collation, order) => {
    expect(keyOrder(column(type, collation))).toBe(order);
  });
});

describe('compareKeys', () => {
  test.each<[KeyOrder, string[]]>([
    ['integer', ['-9223372036854775808', '-10', '-9', '-1', '0', '9', '10', '18446744073709551615']],
    ['integer', ['00000', '00007', '12345', '123456']],
    ['bytes', ['0000-00-00 00:00:00.000', '2026-01-00 00:00:00.000', '2026-01-01 00:00:00.001']],
    ['bytes', ['', '\0', 'a', 'a\0', 'a ', 'b', '\xff']],
    ['general', ['', '!', '0', '0A', '0aB', '_', '_a']],
    ['uca', ['', '_', '-', '@', '^', '0', 'a', 'a_', 'A1', 'aa', 'B']],
    ['padded', ['a\x01', 'a', 'a!', 'ab', '\xc3\xa4']],
  ])('%s: %j', (order, values) => {
    for (const [at, one] of values.entries()) {
      for (const [other, two] of values.entries()) {
        expect(Math.sign(compareKeys([order], rowOf(one), rowOf(two)))).toBe(Math.sign(at - other));
      }
    }
  });

  test('spaces at the end are nothing where they pad', () => {
    expect(compareKeys(['padded'], rowOf('a  '), rowOf('a'))).toBe(0);
    expect(compareKeys(['padded'], rowOf(''), rowOf(' '))).toBe(0);
  });

  test('the first column that differs decides, and what stands behind the key does not', () => {
    expect(compareKeys(['integer', 'bytes'], rowOf('9', 'b', 'x'), rowOf('10', 'a', 'x'))).toBeLessThan(0);
    expect(compareKeys(['integer', 'bytes'], rowOf('9', 'b', 'x'), rowOf('9', 'a', 'x'))).toBeGreaterThan(0);
    expect(compareKeys(['integer', 'bytes'], rowOf('9', 'b', 'x'), rowOf('9', 'b', 'y'))).toBe(0);
  });
});

describe('mergeDifferences', () => {
  async function merge(restored: AsyncIterable<(Buffer | null)[]>, live: AsyncIterable<(Buffer | null)[]>) {
    const found: string[] = [];
    let disorders = 0;
    let read = 0;
    const words = {
      onDisorder: () => {
        disorders += 1;
      },
      onRows: (count: number) => {
        read = count;
      },
    };
    for await (const { kind, row, was } of mergeDifferences(restored, live, ['integer'], words)) {
      found.push([kind, row[0], was].join(':'));
    }
    return { found, disorders, read };
  }

  test('missing, changed and extra rows, to the end of both', async () => {
    expect(
      await merge(
        rows(['-2', 'a'], ['1', 'b'], ['2', 'c'], ['10', 'd']),
        rows(['1', 'b'], ['2', 'x'], ['3', 'y'], ['11', 'z']),
      ),
    ).toEqual({ found: ['1:-2:', '2:2:x', '3:3:y', '1:10:', '3:11:z'], disorders: 0, read: 4 });
    expect((await merge(rows(), rows(['1', 'a'], ['2', 'b']))).found).toEqual(['3:1:a', '3:2:b']);
    expect((await merge(rows(['1', 'a'], ['2', 'b']), rows())).found).toEqual(['1:1:', '1:2:']);
    expect((await merge(rows(), rows())).found).toEqual([]);
  });

  test('a row that could not be hashed is never taken for equal', async () => {
    expect((await merge(rows(['1', null]), rows(['1', null]))).found).toEqual(['2:1:']);
  });

  test('a key of which the order is not known is seen', async () => {
    expect(isOrderable(['uca', 'integer'], rowOf('a-Z9', '-1'))).toBe(true);
    for (const text of ['a b', 'ä', 'a\0']) expect(isOrderable(['uca'], rowOf(text))).toBe(false);
  });

  test('rows in another order are seen, both sides read to their ends, and no key comes twice', async () => {
    const ends: string[] = [];
    async function* ending(name: string, all: string[][]) {
      yield* rows(...all);
      ends.push(name);
    }
    const copy = ending(
      'copy',
      [...'1269'].map((key) => [key, 'a']),
    );
    const live = ending(
      'live',
      [...'21378'].map((key) => [key, 'a']),
    );
    expect(await merge(copy, live)).toMatchObject({ found: ['1:1:'], disorders: 1 });
    expect(ends.sort()).toEqual(['copy', 'live']);
    expect(await merge(rows(['1', 'a'], ['1', 'a']), rows())).toMatchObject({
      found: ['1:1:'],
      disorders: 1,
    });
  });
});
