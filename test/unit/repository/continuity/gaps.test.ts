import { expect, test } from 'vitest';
import { isOpenGap } from '../../../../src/model/gap.ts';
import { acknowledge } from '../../../../src/repository/acknowledgements.ts';
import { continuityOf } from '../../../../src/repository/continuity.ts';
import { archivedRange, base, EPOCH, logName, SEGMENT_MS } from '../recoverability.ts';

const NOW = new Date(EPOCH + 1_000_000);
/** A full that ends in the segment that it begins in. */
const full = (id: string, segment: number) => base(id, segment, segment * SEGMENT_MS + 5_000);
const gapsOf = (segments: ReturnType<typeof archivedRange>, bases: ReturnType<typeof base>[]) =>
  continuityOf({ segments, manifests: bases, heartbeats: [] }, NOW).gaps;

test('a gap is open until a base has begun behind it', () => {
  const segments = [...archivedRange(2, 5), ...archivedRange(8, 20)];
  const [open] = gapsOf(segments, [full('old', 2)]);
  expect(open).toMatchObject({
    firstMissing: logName(6),
    lastMissing: logName(7),
    count: 2,
    baseAfter: null,
  });
  expect(isOpenGap(open as NonNullable<typeof open>)).toBe(true);
  // One that was under way needs what is missing.
  expect(gapsOf(segments, [base('across', 5, 9 * SEGMENT_MS)])).toMatchObject([{ baseAfter: null }]);
  const [closed] = gapsOf(segments, [full('old', 2), full('newer', 9), full('new', 8)]);
  expect(closed).toMatchObject({ baseAfter: 'new' });
  expect(isOpenGap(closed as NonNullable<typeof closed>)).toBe(false);
});

test('what the tool has expired between old bases is no gap; the same between the newest two is', () => {
  const segments = [...archivedRange(2, 2), ...archivedRange(6, 6), ...archivedRange(10, 20)];
  const bases = [full('first', 2), full('second', 6), full('third', 10), full('fourth', 14)];
  expect(gapsOf(segments, bases)).toEqual([]);
  expect(gapsOf(segments, bases.slice(0, 3))).toMatchObject([{ firstMissing: logName(7) }]);
  // One log more than the base needs is not what the tool leaves.
  expect(gapsOf([...archivedRange(3, 3), ...segments], bases)).toMatchObject([{ firstMissing: logName(4) }]);
});

test('an acknowledged gap is known, a part of it too, and a larger one is another', () => {
  const [gap] = gapsOf([...archivedRange(2, 5), ...archivedRange(8, 9)], []);
  const known = {
    ...{
      formatVersion: 1 as const,
      database: 'shop',
      by: 'ana',
      at: '2026-01-31T00:00:00Z',
      reason: 'INC-1',
    },
    ...{ timeline: 1, firstMissing: logName(5), lastMissing: logName(7), count: 3 },
  };
  const [acknowledged] = acknowledge(gap === undefined ? [] : [gap], [known]);
  expect(acknowledged).toMatchObject({ acknowledged: { by: 'ana', reason: 'INC-1' } });
  expect(acknowledged && isOpenGap(acknowledged)).toBe(false);
  const smaller = { ...known, lastMissing: logName(6) };
  expect(acknowledge(gap === undefined ? [] : [gap], [smaller])).toEqual([gap]);
});
