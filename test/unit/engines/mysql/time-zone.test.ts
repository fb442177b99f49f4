import { expect, test } from 'vitest';
import { changesOf, unknownZone } from '../../../../src/engines/mysql/time-zone.ts';

test('when a zone changes, to the second', () => {
  const changes = changesOf('Europe/Berlin') ?? [];
  const of2026 = changes.filter(({ at }) => new Date(at * 1000).getUTCFullYear() === 2026);
  expect(of2026).toEqual([
    { at: Date.parse('2026-03-29T01:00:00Z') / 1000, offset: 7200 },
    { at: Date.parse('2026-10-25T01:00:00Z') / 1000, offset: 3600 },
  ]);
  expect(changesOf('Asia/Kolkata')?.at(-1)).toEqual({ at: 0, offset: 19_800 });
  // By half an hour.
  expect(
    changesOf('Australia/Lord_Howe')
      ?.slice(-2)
      .map(({ offset }) => offset)
      .sort(),
  ).toEqual([37_800, 39_600]);
  expect(changesOf('Nowhere/Town')).toBe(null);
});

test('which zone a server misses, from its words', () => {
  const said = "Error 'Unknown or incorrect time zone: 'America/Argentina/Buenos_Aires'' on query";
  expect(unknownZone(said)).toBe('America/Argentina/Buenos_Aires');
  expect(unknownZone("Duplicate entry 'time zone' for key")).toBe(null);
});
