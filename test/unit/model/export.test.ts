import { expect, test } from 'vitest';
import { parseExport, refuseExport } from '../../../src/model/export.ts';
import { parseInput } from '../../../src/model/input.ts';

const input = (more: object) =>
  parseInput('pointInTimeRecovery', {
    ...{
      database: 'shop',
      reason: 'r',
      requestedBy: 'ana',
      target: { latest: true },
      tables: ['public.orders'],
    },
    ...more,
  });

test('a format and a place', () => {
  expect(parseExport('csv:repository')).toEqual({ format: 'csv', place: 'repository' });
  expect(parseExport('dump:/a b/c:d')).toEqual({ format: 'dump', place: { path: '/a b/c:d' } });
});

test.each([
  {},
  { export: 'csv:repository' },
  { export: 'dump:/srv/out' },
  { export: 'csv:/srv/..out', conflict: 'replace' },
])('%o is possible', (more) => {
  expect(() => refuseExport(input(more))).not.toThrow();
});

test.each([
  [{ export: 'csv:repository', tables: undefined }, /needs tables/],
  [{ export: 'dump:repository', conflict: 'replace' }, /whole tables/],
  [{ export: 'csv:repository', conflict: 'side-by-side' }, /needs no rule/],
  [{ export: 'csv:/srv/../etc' }, /must not have/],
  [{ export: 'csv:/srv/./x' }, /must not have/],
])('%o is refused', (more, why) => {
  expect(() => refuseExport(input(more))).toThrow(why);
});
