import fc from 'fast-check';
import { expect, test } from 'vitest';
import { largestGapMs, parseCron } from '../../../src/model/cron.ts';
import { deriveProtection, type ProtectionInput } from '../../../src/model/protection.ts';
import { MODEL } from '../../../src/model/tier.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const retention = {
  logMs: 7 * DAY,
  logicalMs: 30 * DAY,
  physicalMs: 90 * DAY,
  snapshotMs: 365 * DAY,
  undoMs: 30 * DAY,
};

function protect(
  aims: { rpoMs?: number; rtoMs?: number },
  choices: ProtectionInput['choices'] = {},
  more: Partial<ProtectionInput> = {},
) {
  const objectives = { rpoMs: DAY, rpoFrom: 'set', rtoMs: 4 * HOUR, rtoFrom: 'set', ...aims };
  return deriveProtection({ name: 'shop', objectives, choices, retention, ...more });
}
const refusedAt = (protection: ReturnType<typeof protect>) =>
  protection.refusals.map(({ path }) => path.join('.'));

test('what is derived meets its objectives, whatever they are', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, maxLength: 63 }),
      fc.integer({ min: MINUTE, max: 30 * DAY }),
      fc.integer({ min: 5 * MINUTE, max: 30 * DAY }),
      (name, rpoMs, rtoMs) => {
        const { tiers, refusals } = protect({ rpoMs, rtoMs }, {}, { name });
        expect(refusals).toEqual([]);
        expect(tiers.log?.worstMs).toBeLessThanOrEqual(rpoMs);
        expect(tiers.log?.maxAgeMs).toBeLessThanOrEqual(5 * MINUTE);
        const replay = ((tiers.physical?.baseGapMs ?? 0) / DAY) * MODEL.replayPerDayMs;
        expect(replay).toBeLessThanOrEqual(rtoMs / 2);
        expect(tiers.physical?.fullGapMs).toBe(7 * DAY);
      },
    ),
  );
});

test('full and differential never start at the same time', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1 }),
      fc.constantFrom(5 * MINUTE, 30 * MINUTE, HOUR, 4 * HOUR),
      (name, rtoMs) => {
        const { physical } = protect({ rtoMs }, {}, { name }).tiers;
        const [full] = (physical?.full ?? []).map(parseCron);
        for (const diff of (physical?.diff ?? []).map(parseCron)) {
          const sameDay = [...(full?.weekdays ?? [])].some((day) => diff.weekdays.has(day));
          expect(sameDay && full?.minutes.some((minute) => diff.minutes.includes(minute))).toBe(false);
        }
      },
    ),
  );
});

test('an RTO of half an hour asks for differentials every six hours', () => {
  const { tiers, lines } = protect({ rtoMs: 30 * MINUTE });
  expect(tiers.physical?.baseGapMs).toBe(6 * HOUR);
  expect(lines.join('\n')).toContain('the newest base is up to 6h old, replaying its logs takes 15m');
});

test('the arithmetic is shown', () => {
  const { lines } = protect({ rpoMs: HOUR });
  expect(lines[0]).toBe(
    'RPO 1h (set): newest log is at most 5m old. It is closed when half as old (2m30s), looked at every 1m, ' +
      'archived within 15s: at most 3m45s lost, 56m15s to spare',
  );
});

test.each([
  ['maxAge beyond the RPO', { rpoMs: HOUR }, { log: { maxAge: '2h' } }, 'tiers.log.maxAge'],
  ['no room to archive', { rpoMs: MINUTE }, { log: { maxAge: '1m30s' } }, 'tiers.log.maxAge'],
  ['no logs with an RPO under a day', { rpoMs: 23 * HOUR }, { log: 'off' }, 'tiers.log'],
  ['an RPO that no log can meet', { rpoMs: 59_000 }, {}, 'objectives.rpo'],
  ['an RTO that nothing can meet', { rtoMs: 4 * MINUTE }, {}, 'objectives.rto'],
  ['fulls only, too rare', { rtoMs: 4 * HOUR }, { physical: { diff: 'off' } }, 'tiers.physical.full'],
  ['differentials too rare', { rtoMs: HOUR }, { physical: { diff: '0 20 * * 3' } }, 'tiers.physical.diff'],
  ['logs without a base', {}, { physical: 'off' }, 'tiers.physical'],
  ['nothing at all', { rpoMs: 9 * DAY }, { log: 'off', logical: 'off', physical: 'off' }, 'tiers'],
] as const)('refuses %s', (_name, aims, choices, path) => {
  expect(refusedAt(protect(aims, choices))).toContain(path);
});

test.each([
  ['a maxAge of the RPO', { rpoMs: HOUR }, { log: { maxAge: '1h' } }],
  ['daily dumps alone for an RPO of a day', { rpoMs: DAY }, { log: 'off', physical: 'off' }],
  ['fulls only, as the RTO allows', { rtoMs: 8 * HOUR }, { physical: { diff: 'off' } }],
  ['a daily full by hand', { rtoMs: 2 * HOUR }, { physical: { full: '0 1 * * *', diff: 'off' } }],
] as const)('accepts %s', (_name, aims, choices) => {
  expect(protect(aims, choices).refusals).toEqual([]);
});

test('a full by hand gets differentials on every day', () => {
  const { physical } = protect({}, { physical: { full: '0 1 * * 3' } }).tiers;
  expect(largestGapMs(physical?.diff ?? [])).toBe(DAY);
});

test('a known size counts in the RTO', () => {
  const large = protect({ rtoMs: HOUR }, {}, { databaseBytes: 500 * 1024 ** 3 });
  expect(refusedAt(large)).toEqual(['objectives.rto']);
  const small = protect({ rtoMs: HOUR }, {}, { databaseBytes: 10 * 1024 ** 3 });
  expect(small.refusals).toEqual([]);
  expect(small.lines[1]).toContain('copying 10 GiB at 100 MiB/s takes 1m42s');
});

test.each([
  ['dumps that are gone before the next', { logicalMs: DAY / 2 }, 'retention.logical'],
  ['bases that are gone before the next', { physicalMs: 5 * DAY, logMs: DAY }, 'retention.physical'],
  ['logs that outlive their bases', { logMs: 100 * DAY }, 'retention.log'],
])('refuses %s', (_name, kept, path) => {
  expect(refusedAt(protect({}, {}, { retention: { ...retention, ...kept } }))).toEqual([path]);
});

test('a window of logs that are shipped begins in a logical backup, which is kept while it gets older than the window', () => {
  const kept = (logMs: number, logicalMs: number, schedule = '0 1 * * *') =>
    protect(
      {},
      { physical: 'off', logical: { schedule } },
      { bases: 'logical', retention: { ...retention, logMs, logicalMs } },
    );
  expect(refusedAt(kept(7 * DAY, 8 * DAY))).toEqual([]);
  const short = kept(7 * DAY, 8 * DAY - 1);
  expect(refusedAt(short)).toEqual(['retention.log']);
  expect(short.refusals[0]?.hint).toMatch(/^set retention.logical to at least 8d, or retention.log to/);
  // Once a week, and of two weeks a window of one.
  expect(refusedAt(kept(7 * DAY, 14 * DAY, '0 1 * * 0'))).toEqual([]);
  expect(refusedAt(kept(8 * DAY, 14 * DAY, '0 1 * * 0'))).toEqual(['retention.log']);
  // With bases of the tool nothing changes.
  expect(refusedAt(protect({}, {}, { retention: { ...retention, logMs: 30 * DAY } }))).toEqual([]);
});

test('logs are kept since a full that had ended before the window began, also where it took longer than the newest', () => {
  expect(protect({}).tiers.physical?.retentionArchive).toBe(3);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 90 }),
      fc.constantFrom('0 1 * * *', '0 1 * * 3', '0 1 1 * *'),
      (days, full) => {
        const { physical } = protect(
          {},
          { physical: { full } },
          { retention: { ...retention, logMs: days * DAY } },
        ).tiers;
        const { retentionArchive = 0, retentionFull = 0, fullGapMs = 0 } = physical ?? {};
        expect(retentionArchive).toBeLessThanOrEqual(retentionFull);
        if (retentionArchive < retentionFull)
          expect((retentionArchive - 1) * fullGapMs).toBeGreaterThan(days * DAY);
      },
    ),
  );
});

test('as many fulls are kept as the retention needs, and one more', () => {
  expect(protect({}).tiers.physical?.retentionFull).toBe(14);
});

test('a snapshot wants a tier to copy, and is kept for longer than it takes until the next', () => {
  expect(refusedAt(protect({}, { physical: 'off', snapshot: { of: 'physical' } }))).toContain(
    'tiers.snapshot',
  );
  expect(protect({}, { physical: 'off', log: 'off' }).tiers.snapshot).toMatchObject({ of: 'logical' });
  const short = { retention: { ...retention, snapshotMs: 30 * DAY } };
  expect(refusedAt(protect({}, {}, short))).toEqual(['retention.snapshot']);
  expect(refusedAt(protect({}, { snapshot: 'off' }, short))).toEqual([]);
});
