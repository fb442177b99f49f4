import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergeDifferences } from '../../../../src/engines/postgres/compare/key-merge.ts';
import {
  compareKeyLines,
  decodeField,
  encodeField,
  type KeyOrder,
} from '../../../../src/engines/postgres/compare/key-order.ts';
import { linesOf } from '../../../../src/engines/postgres/compare/line-window.ts';

/** The text in pieces of these sizes, as a socket gives it: never at the ends of lines. */
async function* inPieces(text: string, sizes: readonly number[]): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let start = 0, piece = 0; start < bytes.length; piece += 1) {
    const size = sizes[piece % sizes.length] ?? 1;
    yield Buffer.from(bytes.subarray(start, start + size));
    start += size;
  }
}

const textOf = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('');

interface Found {
  missing: string[];
  changed: string[];
  extra: string[];
}

async function differences(
  left: string[],
  right: string[],
  orders: KeyOrder[],
  sizes: number[],
): Promise<Found> {
  const found: Found = { missing: [], changed: [], extra: [] };
  await mergeDifferences(
    inPieces(textOf(left), sizes),
    inPieces(textOf(right), [...sizes].reverse()),
    orders,
    (kind, line) => {
      found[kind].push(line.toString());
      return undefined;
    },
    () => {},
  );
  return found;
}

const sizes = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 });

describe('the merge', () => {
  test('finds exactly the numbers that one side lacks and those that changed, whatever the pieces', async () => {
    const rows = fc.uniqueArray(
      fc.tuple(fc.integer({ min: -300, max: 300 }), fc.constantFrom('x', 'yy', '-1')),
      {
        maxLength: 400,
        selector: ([key]) => key,
      },
    );
    await fc.assert(
      fc.asyncProperty(rows, rows, sizes, async (left, right, pieces) => {
        const lines = (list: [number, string][]) =>
          [...list].sort(([a], [b]) => a - b).map((row) => row.join('\t'));
        const [before, now] = [new Map(left), new Map(right)];
        expect(await differences(lines(left), lines(right), ['integer'], pieces)).toEqual({
          missing: lines(left.filter(([key]) => !now.has(key))),
          changed: lines(left.filter(([key, value]) => now.has(key) && now.get(key) !== value)),
          extra: lines(right.filter(([key]) => !before.has(key))),
        });
      }),
    );
  });

  test('finds exactly the texts that either side lacks, in the order of their decoded bytes', async () => {
    const letters = fc.constantFrom('a', 'b', '\n', '\t', '\\', 'ä', '\u{1F600}', '!', '\b', ']', '\v');
    const keys = fc.uniqueArray(
      fc.array(letters, { maxLength: 5 }).map((parts) => parts.join('')),
      { maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(keys, keys, sizes, async (left, right, pieces) => {
        const sorted = (list: string[]) =>
          [...list]
            .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
            .map((key) => `${encodeField(key)}\t1`);
        const [before, now] = [new Set(left), new Set(right)];
        expect(await differences(sorted(left), sorted(right), ['bytes', 'integer'], pieces)).toEqual({
          missing: sorted(left.filter((key) => !now.has(key))),
          changed: [],
          extra: sorted(right.filter((key) => !before.has(key))),
        });
      }),
    );
  });

  test('refuses a stream that ends within a line', async () => {
    const merge = mergeDifferences(
      inPieces('1\n2', [3]),
      inPieces('1\n', [3]),
      ['integer'],
      () => undefined,
      () => {},
    );
    await expect(merge).rejects.toThrow('within a line');
  });
});

describe('keys', () => {
  test('of numeric compare as PostgreSQL sorts them', () => {
    const ordered = [
      '-Infinity',
      '-100.5',
      '-100.25',
      '-3',
      '0',
      '0.05',
      '0.1',
      '9',
      '10',
      '10.5',
      'Infinity',
      'NaN',
    ];
    for (const [left, leftText] of ordered.entries()) {
      for (const [right, rightText] of ordered.entries()) {
        const order = compareKeyLines(['numeric'], Buffer.from(leftText), Buffer.from(rightText));
        expect([leftText, rightText, Math.sign(order)]).toEqual([
          leftText,
          rightText,
          Math.sign(left - right),
        ]);
      }
    }
  });

  test('compare field by field: a tab is no character of them', () => {
    const compared = compareKeyLines(['bytes', 'bytes'], Buffer.from('a\tz'), Buffer.from('a\\b\ta'));
    expect(compared).toBeLessThan(0);
  });

  test('are the same again after writing and reading', () => {
    fc.assert(fc.property(fc.string(), (text) => decodeField(encodeField(text)) === text));
    expect(encodeField('a\tb\\N\n')).toBe('a\\tb\\\\N\\n');
  });

  test('are lines for a newline only, not for what Unicode also calls one', async () => {
    const lines: string[] = [];
    for await (const some of linesOf(inPieces('a\u2028b\nc\r\n\n', [2, 1]))) lines.push(...some);
    expect(lines).toEqual(['a\u2028b', 'c\r', '']);
  });
});
