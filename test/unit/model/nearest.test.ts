import { expect, test } from 'vitest';
import { nearestNames } from '../../../src/model/nearest.ts';

test.each([
  ['shp', ['shop', 'users', 'sharp'], 'shop'],
  ['engien', ['engine', 'region'], 'engine'],
  ['Shop', ['shop', 'shops'], 'shop'],
  ['orders', ['public.orders', 'public.customers'], 'public.orders'],
])('%s is near', (wanted, names, nearest) => {
  expect(nearestNames(wanted, names)[0]).toBe(nearest);
});

test('nothing is near what is altogether different', () => {
  expect(nearestNames('invoices', ['shop', 'users'])).toEqual([]);
  expect(nearestNames('x', ['shop', 'users'])).toEqual([]);
});
