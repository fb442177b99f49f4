import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BackupKind } from '../../../src/model/backup.ts';
import { keptByTool } from '../../../src/model/kept-by-tool.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.parse('2026-01-04T22:00:00Z');

interface Made {
  id: string;
  kind: BackupKind;
  finishedAt: string;
  dependsOn: string[];
}
interface Books {
  made: Made[];
  /** the full that the archive begins with; null: everything is there */
  archiveFrom: Made | null;
}

const endOf = ({ finishedAt }: Made) => Date.parse(finishedAt);
const tier = { retentionFull: 14, retentionArchive: 3 };
const retention = { physicalMs: 90 * DAY, logMs: 7 * DAY };

/** What the tool has at the end of a backup: it counts fulls, and nothing else. */
function take(books: Books, kind: BackupKind, at: number, lastsMs: number): Books {
  const counts = keptByTool(tier, retention, { made: books.made, next: kind, now: at });
  const base = books.made.findLast((one) => one.kind === 'full');
  const isFull = kind === 'full' || base === undefined;
  const one: Made = {
    id: String(at),
    kind: isFull ? 'full' : 'diff',
    finishedAt: new Date(at + lastsMs).toISOString(),
    dependsOn: isFull ? [] : [(base as Made).id],
  };
  const all = [...books.made, one];
  const fulls = all.filter(({ kind }) => kind === 'full');
  const kept = new Set(fulls.slice(-counts.retentionFull).map(({ id }) => id));
  return {
    made: all.filter(({ id, dependsOn }) => kept.has(id) || dependsOn.some((on) => kept.has(on))),
    archiveFrom: fulls.at(-counts.retentionArchive) ?? books.archiveFrom,
  };
}

test('on schedule it is what the arithmetic says', () => {
  let books: Books = { made: [], archiveFrom: null };
  for (let day = 0; day < 200; day += 1) {
    books = take(books, day % 7 === 0 ? 'full' : 'diff', START + day * DAY, HOUR);
    const next = (day + 1) % 7 === 0 ? 'full' : 'diff';
    expect(keptByTool(tier, retention, { made: books.made, next, now: START + (day + 1) * DAY })).toEqual(
      tier,
    );
  }
  expect(books.made.filter(({ kind }) => kind === 'full')).toHaveLength(14);
});

test('three fulls by hand in an hour end no window, and no backup early', () => {
  let books: Books = { made: [], archiveFrom: null };
  for (let week = 0; week < 13; week += 1) books = take(books, 'full', START + week * 7 * DAY, HOUR);
  const now = START + 12 * 7 * DAY;
  for (const more of [2, 3, 4]) books = take(books, 'full', now + more * HOUR, HOUR / 2);
  expect(books.made).toHaveLength(13 + 3);
  expect(endOf(books.archiveFrom as Made)).toBeLessThanOrEqual(now - 7 * DAY + 5 * HOUR);
});

test('whatever is made when, nothing that is promised goes, and the window has its base with all logs since', () => {
  const runs = fc.array(
    fc.record({
      afterHours: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 12, max: 240 })),
      kind: fc.constantFrom('full' as const, 'diff' as const),
      lastsMs: fc.integer({ min: 60_000, max: HOUR - 1 }),
    }),
    { minLength: 1, maxLength: 60 },
  );
  fc.assert(
    fc.property(runs, (planned) => {
      let books: Books = { made: [], archiveFrom: null };
      const ever: Made[] = [];
      let at = START;
      for (const { afterHours, kind, lastsMs } of planned) {
        at += afterHours * HOUR;
        books = take(books, kind, at, lastsMs);
        ever.push(books.made.at(-1) as Made);
        const ids = new Set(books.made.map(({ id }) => id));
        const now = at + lastsMs;
        const promised = ever.filter((one) => endOf(one) + retention.physicalMs > now);
        expect(promised.filter(({ id }) => !ids.has(id))).toEqual([]);
        const wanted = Math.max(now - retention.logMs, endOf(ever[0] as Made));
        const { archiveFrom } = books;
        if (archiveFrom !== null) expect(endOf(archiveFrom)).toBeLessThanOrEqual(wanted);
      }
    }),
    { numRuns: 300 },
  );
});
