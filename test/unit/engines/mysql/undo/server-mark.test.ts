import { expect, it } from 'vitest';
import { isBefore } from '../../../../../src/engines/mysql/undo/server-mark.ts';

it.each([
  ['binlog.000004:100', 'binlog.000004:101', true],
  ['binlog.000004:101', 'binlog.000004:101', false],
  ['binlog.000005:4', 'binlog.000004:101', false],
  ['binlog.000009:900', 'binlog.000010:4', true],
  ['other.000001:4', 'binlog.000004:101', false],
  ['', 'binlog.000004:101', false],
  ['binlog.000004:100', '', false],
])('%s is before %s: %s', (now, mark, expected) => {
  expect(isBefore(now, mark)).toBe(expected);
});
