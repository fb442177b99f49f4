import { expect, test } from 'vitest';
import type { Manifest } from '../../../../src/model/backup.ts';
import { snapshotSources } from '../../../../src/repository/snapshot/choose.ts';
import { copiedKey } from '../../../../src/repository/snapshot/contents.ts';
import { base } from '../recoverability.ts';

const AT = '2026-11-25T17:00:00Z';

const backup = (id: string, finishedAt: string, changes: Partial<Manifest> = {}): Manifest => ({
  ...base(id, 1, 0, changes),
  ...{ startedAt: finishedAt, finishedAt },
});
const october = backup('october', '2026-10-31T23:59:59Z');
const first = backup('first', '2026-11-01T20:00:00Z');
const second = backup('second', '2026-11-02T20:00:00Z', { kind: 'diff', dependsOn: ['first'] });
const dump = backup('dump', '2026-11-01T02:00:00Z', { tier: 'logical' });
const all = [second, dump, october, first];

function choose(passed: string[], manifests = all, of: 'physical' | 'logical' = 'physical') {
  const found = snapshotSources(
    {
      ...{ database: 'shop', of, manifests },
      verifications: [
        ...passed.map((id) => ({ backup: id, verdict: 'pass' as const })),
        { backup: 'dump', verdict: 'inconclusive' },
      ],
    },
    AT,
  );
  return 'skipped' in found ? found : found.map(({ id }) => id);
}

test('the first of the month that passed, of the tier that is copied', () => {
  expect(choose(['october', 'first', 'second'])).toEqual(['first', 'second']);
  expect(choose(['october', 'second'])).toEqual(['second']);
});

test('none where none passed yet, or none is there', () => {
  expect(choose(['october'])).toEqual({
    id: null,
    skipped: 'no physical backup of shop of 2026-11 has passed a verification yet',
  });
  expect(choose([], all, 'logical')).toMatchObject({
    skipped: 'no logical backup of shop of 2026-11 has passed a verification yet',
  });
  expect(choose(['october'], [october])).toMatchObject({
    skipped: 'there is no physical backup of shop of 2026-11 yet',
  });
});

test('one that lacks what it needs is none', () => {
  expect(choose(['second'], [second])).toMatchObject({ id: null });
});

test('a month has one', () => {
  const taken = backup('snapshot-first', '2026-11-01T20:00:00Z', { tier: 'snapshot' });
  expect(choose(['first', 'second'], [...all, taken])).toEqual({
    id: 'snapshot-first',
    skipped: 'shop has its snapshot of 2026-11 already: snapshot-first',
  });
  const before = backup('snapshot-october', '2026-10-31T23:59:59Z', { tier: 'snapshot' });
  expect(choose(['first'], [...all, before])).toEqual(['first']);
});

test('one that failed a verification of its own is none: another backup is copied', () => {
  const taken = backup('snapshot-first', '2026-11-01T20:00:00Z', { tier: 'snapshot' });
  const found = snapshotSources(
    {
      ...{ database: 'shop', of: 'physical', manifests: [...all, taken] },
      verifications: [
        ...['first', 'second'].map((id) => ({ backup: id, verdict: 'pass' as const })),
        { backup: 'snapshot-first', verdict: 'fail' },
      ],
    },
    AT,
  );
  expect(found).toMatchObject([{ id: 'second' }]);
});

test('a tool finds its tree as it was, and of ours nothing is left of the folders that it lay in', () => {
  const folder = 'snapshot/shop/snapshot-x/';
  const keys = [
    'pgbackrest/backup/shop/20261101-200000F/pg_data/PG_VERSION.zst',
    'logical/shop/20261101T020000Z/attempt/shop.dump.zst.part2',
    'manifest/shop/20261101-200000F/attempt/relations.json',
  ];
  expect(keys.map((key) => copiedKey(folder, key))).toEqual([
    `${folder}pgbackrest/backup/shop/20261101-200000F/pg_data/PG_VERSION.zst`,
    `${folder}shop.dump.zst.part2`,
    `${folder}relations.json`,
  ]);
});
