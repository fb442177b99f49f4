import fc from 'fast-check';
import type { LifecycleRule } from '../../../../src/model/lifecycle.ts';
import { DAY, days, sometimes } from './generated-basics.ts';

const CLASSES = ['STANDARD', 'STANDARD_IA', 'GLACIER', 'DEEP_ARCHIVE'];

const prefixes = (prefix: string) =>
  fc
    .constantFrom(
      ...['', 'pgbackrest/', 'pgbackrest/archive/', 'pgbackrest/archive/shop/', 'pgbackrest/backup/'],
      ...['pgbackrest/backup/shop/', 'logical/', 'logical/shop/', 'logical/shop', 'snapshot/', 'manifest/'],
      ...['manifest/shop/', 'log/', 'other/', 'pgbackrest/backup/shop/F1', 'logical/shop/L'],
      // These end within the last part of a key.
      ...[
        'pgbackrest/backup/shop/F1/da',
        'manifest/shop/F',
        'pgbackrest/archive/shop/archive',
        'logical/shop/L3/note',
      ],
      ...['pgbackrest/archive/shop/15-1/1', 'log/', 'log/shop/', 'log/shop/server-1.1/binlog.0'],
    )
    .map((own) => prefix + own);

function dues(now: number): fc.Arbitrary<LifecycleRule['expire'] & object> {
  const today = Math.floor(now / DAY) * DAY;
  return fc.oneof(
    { weight: 6, arbitrary: days(60).map((count) => ({ days: count })) },
    {
      weight: 1,
      arbitrary: fc
        .integer({ min: -10, max: 30 })
        .map((later) => ({ date: new Date(today + later * DAY).toISOString() })),
    },
  );
}

export function rules(now: number, prefix: string): fc.Arbitrary<Omit<LifecycleRule, 'id'>> {
  return fc.record({
    enabled: fc.constantFrom(true, true, true, true, true, false),
    prefix: prefixes(prefix),
    largerThanBytes: sometimes(fc.constantFrom(16_383, 16_384, 131_072, 1_073_741_824), 6),
    smallerThanBytes: sometimes(fc.constantFrom(16_384, 16_385, 1_048_577, 1_073_741_824), 6),
    tags: fc.constantFrom<Record<string, string>>({}, {}, {}, {}, {}, {}, {}, { keep: 'short' }),
    expire: sometimes(dues(now), 2),
    transitions: fc.array(fc.record({ due: dues(now), storageClass: fc.constantFrom(...CLASSES) }), {
      maxLength: 2,
    }),
    expireNoncurrent: sometimes(fc.record({ days: days(40), keepNewer: fc.constantFrom(0, 0, 0, 1, 2) }), 2),
    noncurrentTransitions: fc.array(
      fc.record({ days: days(20), storageClass: fc.constantFrom(...CLASSES) }),
      { maxLength: 1 },
    ),
    removeLoneMarkers: fc.boolean(),
    abortUploadsAfterDays: fc.constantFrom(null, 1),
  });
}
