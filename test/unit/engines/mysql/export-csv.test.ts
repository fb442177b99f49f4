import { expect, it } from 'vitest';
import { CsvLines } from '../../../../src/engines/mysql/export-csv.ts';

it('writes lines as RFC 4180 and PostgreSQL read them', () => {
  const csv = new CsvLines();
  const row = (...values: (string | null)[]) =>
    csv.add(values.map((one) => (one === null ? null : Buffer.from(one))));
  row('a', 'b,c');
  row(null, '');
  row('say "x"', 'line\nbreak\r');
  row('\\.', ' ü ');
  expect(csv.take().toString()).toBe('a,"b,c"\n,""\n"say ""x""","line\nbreak\r"\n"\\.", ü \n');
  expect(csv.take()).toHaveLength(0);
  expect(row('x'.repeat(100_000))).toBe(true);
});
