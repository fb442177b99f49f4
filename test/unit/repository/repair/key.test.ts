import { describe, expect, it } from 'vitest';
import { coveringOf, firstVersion, isOnRemoved, versionAt } from '../../../../src/repository/repair/key.ts';
import type { ListedVersion } from '../../../../src/repository/repository.ts';

/** Newest first: `v3 m2 v1`, versions and markers with the second in which they were written. */
function versionsOf(text: string): ListedVersion[] {
  return text.split(' ').map((name, index) => ({
    ...{ key: 'k', versionId: `${name}-${index}`, sizeBytes: 1, storageClass: null },
    lastModified: `2026-01-31T14:05:0${name.slice(1)}.000Z`,
    isLatest: index === 0,
    isDeleteMarker: name.startsWith('m'),
  }));
}

const named = (version: ListedVersion | null | undefined) => version?.versionId ?? null;

describe('what covers the good version', () => {
  it.each([
    ['nothing', 'v1', 0, null],
    ['a marker', 'm2 v1', 1, { markers: ['m2-0'], newer: null }],
    ['another version', 'v2 v1', 1, { markers: [], newer: 'v2-0' }],
    ['both', 'm3 v2 v1', 2, { markers: ['m3-0'], newer: 'v2-1' }],
    ['both, the other way round', 'v3 m2 v1', 2, { markers: ['m2-1'], newer: 'v3-0' }],
    ['no marker below it', 'v3 v2 m1', 1, { markers: [], newer: 'v3-0' }],
    ['a marker of the same second, listed behind it', 'v1 m1', 0, null],
  ])('is %s', (_what, text, good, wanted) => {
    const versions = versionsOf(text);
    const covering = coveringOf(versions, versions[good] as ListedVersion);
    expect(
      covering && { markers: covering.markers.map(named), newer: covering.newer && named(covering.newer) },
    ).toEqual(wanted);
  });

  it('is a marker of the same second that is the latest', () => {
    const versions = versionsOf('v1 m1').map((version, index) => ({ ...version, isLatest: index === 1 }));
    expect(coveringOf(versions, versions[0] as ListedVersion)?.markers.map(named)).toEqual(['m1-1']);
  });
});

it('knows what one read at a moment', () => {
  const at = (text: string, second: number) =>
    named(versionAt(versionsOf(text), `2026-01-31T14:05:0${second}.500Z`));
  expect(at('v4 m3 v1', 1)).toBe('v1-2');
  expect(at('v4 m3 v1', 3)).toBeNull();
  expect(at('v4 m3 v1', 5)).toBe('v4-0');
  expect(at('v4', 1)).toBeNull();
});

it('knows what was written first, and what was written over something that had been removed', () => {
  expect(named(firstVersion(versionsOf('m4 v3 v2 m1')))).toBe('v2-2');
  expect(named(firstVersion(versionsOf('m1')))).toBeNull();
  expect(isOnRemoved(versionsOf('v3 m2 v1'))).toBe(true);
  expect(isOnRemoved(versionsOf('m2 v1'))).toBe(false);
  expect(isOnRemoved(versionsOf('v2 v1'))).toBe(false);
});
