import { describe, expect, it } from 'vitest';
import {
  fold,
  formatAge,
  formatBytes,
  formatTable,
  formatTime,
  shellQuote,
} from '../../../../src/client/output.ts';

const NOW = new Date('2026-01-31T14:05:00Z');

describe('times', () => {
  it('are UTC, and never later than the moment they stand for, nor earlier with up', () => {
    expect(formatTime('2026-01-31T15:05:09.999+01:00')).toBe('2026-01-31T14:05:09Z');
    expect(formatTime('2026-01-31T14:05:09.001Z', 'up')).toBe('2026-01-31T14:05:10Z');
    expect(formatTime('2026-01-31T14:05:09Z', 'up')).toBe('2026-01-31T14:05:09Z');
  });

  it('have an age on either side of now', () => {
    expect(formatAge('2026-01-31T13:03:00Z', NOW)).toBe('1h2m ago');
    expect(formatAge('2026-02-01T14:05:00Z', NOW)).toBe('in 1d');
    expect(formatAge(NOW, NOW)).toBe('just now');
  });
});

it.each([
  [0, '0 B'],
  [1_023, '1023 B'],
  [1_024, '1.0 KiB'],
  [10_188, '9.9 KiB'],
  [10_200, '10 KiB'],
  [1_048_575, '1.0 MiB'],
  [3e9, '2.8 GiB'],
  [5e15, '4.4 PiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

describe('tables', () => {
  const columns = [{ head: 'table' }, { head: 'rows', align: 'right' as const }, { head: 'note' }];

  it('align, without a space at the end of a line', () => {
    const text = formatTable(columns, [
      ['public.orders', '20,000', ''],
      ['a', '5', 'x'],
    ]);
    expect(text.split('\n')).toEqual([
      'table            rows  note',
      'public.orders  20,000',
      'a                   5  x',
    ]);
  });

  it('fold the last column and cut nothing off', () => {
    const note = 'a note of many words that does not fit into what the terminal has left for it';
    const lines = formatTable(columns, [['public.orders', '20,000', note]], { width: 60 }).split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
    expect(
      lines
        .slice(1)
        .map((line) => line.slice(23).trim())
        .join(' '),
    ).toBe(note);
  });
});

it('folds at spaces and leaves a long word whole', () => {
  expect(fold('an averyveryverylongword end', 10)).toEqual(['an', 'averyveryverylongword', 'end']);
  expect(fold('as it is', null)).toEqual(['as it is']);
});

it('quotes for a shell only what needs it', () => {
  expect(shellQuote('pitr/shop/20260131T140500Z')).toBe('pitr/shop/20260131T140500Z');
  expect(shellQuote("it's; rm -rf /")).toBe(`'it'\\''s; rm -rf /'`);
});
