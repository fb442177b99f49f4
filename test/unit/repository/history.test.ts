import { expect, test } from 'vitest';
import { firstStanza, logsOf, manifestsOf, stanzasOf } from '../../../src/repository/history.ts';
import { archived, base, isoAt } from './recoverability.ts';

const history = {
  stanza: 'shop-3',
  former: [
    { stanza: 'shop-2', until: isoAt(200_000) },
    { stanza: 'shop', until: isoAt(100_000) },
  ],
};

test('what names no stanza is of the first of all', () => {
  expect(firstStanza(history)).toBe('shop');
  expect(firstStanza({ stanza: 'shop', former: [] })).toBe('shop');
  expect(stanzasOf(history)).toEqual(['shop-3', 'shop-2', 'shop']);
  const { stanza: _, ...old } = base('old', 1, 12_000);
  const dump = { ...old, id: 'dump', tier: 'logical' as const };
  expect(manifestsOf(history, [old, dump])).toEqual([{ ...old, stanza: 'shop' }, dump]);
});

test('backups and logs of a place count until it was left, and of a place that never was one not at all', () => {
  const at = (stanza: string, ms: number) => base(`${stanza}-${ms}`, 1, ms, { stanza });
  const manifests = [
    ...[at('shop', 100_000), at('shop', 101_000), at('shop-2', 199_000), at('shop-2', 201_000)],
    ...[at('shop-3', 300_000), at('shop-given-up', 150_000)],
  ];
  expect(manifestsOf(history, manifests).map(({ id }) => id)).toEqual([
    ...['shop-100000', 'shop-2-199000', 'shop-3-300000'],
  ]);
  const logs = [8, 9, 18, 19].flatMap((n) =>
    ['shop', 'shop-2', 'shop-3', 'shop-given-up'].map((stanza) => archived(n, 1, '15-1', stanza)),
  );
  expect(logsOf(history, logs).map(({ stanza, archivedAt }) => [stanza, archivedAt])).toEqual([
    ...[
      ['shop', isoAt(91_000)],
      ['shop-2', isoAt(91_000)],
      ['shop-3', isoAt(91_000)],
    ],
    ...[
      ['shop-2', isoAt(101_000)],
      ['shop-3', isoAt(101_000)],
    ],
    ...[
      ['shop-2', isoAt(191_000)],
      ['shop-3', isoAt(191_000)],
      ['shop-3', isoAt(201_000)],
    ],
  ]);
});
