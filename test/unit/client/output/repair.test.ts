import { expect, it } from 'vitest';
import type { RepairAnswer } from '../../../../src/client/repository-repair.ts';
import { formatRepaired, formatRepairPlan } from '../../../../src/client/view/repair.ts';
import type { Mend } from '../../../../src/repository/repair/area.ts';

const good = { versionId: 'v1', sizeBytes: 1, writtenAt: '2026-01-31T14:05:00.123Z', storageClass: null };
const mend = (of: string, change: Partial<Mend> = {}): Mend => ({
  ...{ key: 'k', of, good, lockedUntil: null, markers: ['m1'], copy: false },
  ...change,
});
const nothing: RepairAnswer = {
  ...{ bucket: 'S3, bucket backups', databases: ['shop'], looked: 1_234 },
  ...{ mends: [], lost: [], doubts: [], repaired: null },
};

it('says that there is nothing to repair', () => {
  expect(formatRepairPlan(nothing, null)).toBe(
    'bucket S3, bucket backups: 1,234 keys of shop looked at\n\nnothing to repair',
  );
});

it('shows by backup what would be put back, what is lost, and what a person has to tell', () => {
  const plan = {
    ...nothing,
    mends: [
      mend('full F1 of shop'),
      mend('full F1 of shop', { copy: true }),
      mend('expired logs of shop', { good: null, markers: [] }),
    ],
    lost: [{ key: 'logical/shop/b1/x', of: 'logical b1 of shop' }],
    doubts: [{ key: 'topology/shop.json', why: 'a marker lies on it', hint: 'look' }],
  };
  expect(formatRepairPlan(plan, null)).toBe(`bucket S3, bucket backups: 1,234 keys of shop looked at

  of                    keys  markers  overwritten  good versions until
  full F1 of shop          2        2            1  2026-01-31T14:05:00Z
  expired logs of shop     1        0            0

needed, and not there in any version:
  - logical/shop/b1/x, of logical b1 of shop

only a person can tell:
  - topology/shop.json: a marker lies on it
  HINT: look

3 keys to repair: 2 delete markers to remove, 1 version to put back on top of what was written over it, 1 key to remove again, that had been removed before

Whoever did this may do it again: take the credentials away first, and repair then. What was written over a backup stays beneath, in its versions.`);
});

it('says what was done, and what could not be', () => {
  const failed = Array.from({ length: 12 }, (_, n) => ({ key: `k${n}`, why: 'refused', hint: null }));
  const text = formatRepaired({ copied: 1, markersRemoved: 2, hidden: 1, failed }, null);
  expect(text).toContain(
    'removed 2 delete markers, put 1 version back on top; removed again what was written over 1 key',
  );
  expect(text).toContain('could not be repaired:\n  - k0: refused\n');
  expect(text).toMatch(/ {2}and 2 more$/);
});
