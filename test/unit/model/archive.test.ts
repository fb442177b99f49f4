import { expect, test } from 'vitest';
import { archivedNotice, thawDetail, thawHours, tierFor } from '../../../src/model/archive.ts';

const ARCHIVED = { storageClass: 'GLACIER', objects: 1_204, bytes: 12.1e9, hours: 5 };

test('the plan says how much has to be thawed, how long that takes with which tier, and that it costs', () => {
  expect(archivedNotice(ARCHIVED, 'Standard')).toBe(
    'of the base and its logs 1,204 objects (12.1 GB) are in GLACIER and have to be thawed first, about 5 h with tier Standard; AWS charges retrieval per GB and request',
  );
  const expedited = { ...ARCHIVED, objects: 1, bytes: 4e5, hours: thawHours('GLACIER', 'Expedited') };
  expect(archivedNotice(expedited, 'Expedited')).toMatch(
    /^.* 1 object \(1 MB\) is in GLACIER and has .* about 5m with/,
  );
});

test('a step says how many are back and how long the others take as a rule', () => {
  const since = (left: number, hours: number) => thawDetail(ARCHIVED, { left, elapsedMs: hours * 3_600_000 });
  expect(since(1_204, 0)).toBe('0 of 1,204 objects are back; about 5 h');
  expect(since(1_173, 1.2)).toBe('31 of 1,204 objects are back; about 4 h');
  expect(since(3, 4.75)).toBe('1,201 of 1,204 objects are back; about 15m');
  expect(since(3, 6)).toBe('1,201 of 1,204 objects are back; it takes longer than usual');
  expect(since(0, 6)).toBe('1,204 of 1,204 objects are back');
  // More were archived since the plan was made.
  expect(since(1_300, 0)).toMatch(/^0 of 1,300 objects/);
});

test('nothing comes back expedited from the deep archives', () => {
  expect(tierFor('DEEP_ARCHIVE', 'Expedited')).toBe('Standard');
  expect(tierFor('DEEP_ARCHIVE_ACCESS', 'Bulk')).toBe('Bulk');
  expect(tierFor('ARCHIVE_ACCESS', 'Expedited')).toBe('Expedited');
  expect(thawHours('DEEP_ARCHIVE', 'Expedited')).toBe(12);
  expect(thawHours('DEEP_ARCHIVE_ACCESS', 'Bulk')).toBe(48);
  expect(thawHours('GLACIER', 'Bulk')).toBe(12);
});
