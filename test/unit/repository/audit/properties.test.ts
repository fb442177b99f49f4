import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AuditReport } from '../../../../src/model/audit.ts';
import { audit } from '../../../../src/repository/audit/audit.ts';
import type { AuditFacts } from '../../../../src/repository/audit/facts.ts';
import { facts } from './generators.ts';
import { type Seen, walk } from './model.ts';
import { CODES } from './model-promises.ts';

const DAY = 86_400_000;
const RUNS = Number(process.env.HOLDFAST_AUDIT_RUNS ?? 1_500);

/** The same audit by code that has nothing in common with it: what it says has to be what the walk sees, to the day. */
function compare(given: AuditFacts, horizonDays: number): void {
  const report = audit(given, horizonDays);
  for (const [database, seen] of walk(given, horizonDays)) {
    expect(foundBy(report, database), `first days of ${database}`).toEqual(firstDays(seen, given.now));
    const days = daysBy(report, database);
    // `windowFrom` is said of the first day of a span alone.
    const expected = seen.days.map((day, at) =>
      days[at]?.windowFrom === undefined ? { ...day, windowFrom: undefined } : day,
    );
    expect(days, `days of ${database}`).toEqual(expected);
  }
}

function firstDays({ first }: Seen, now: number): [string, string | null][] {
  return CODES.flatMap((code) => {
    const at = first[code];
    return at === undefined ? [] : [[code, at === now ? null : dayOf(at)] as [string, string | null]];
  });
}

function foundBy({ findings }: AuditReport, database: string): [string, string | null][] {
  return CODES.flatMap((code) => {
    const days = findings.filter((each) => each.code === code && each.database === database);
    if (days.length === 0) return [];
    const first = days.map(({ firstDay }) => firstDay ?? '').sort()[0];
    return [[code, first === '' ? null : (first ?? null)] as [string, string | null]];
  });
}

function daysBy(report: AuditReport, database: string) {
  const spans = report.calendars.find((calendar) => calendar.database === database)?.spans ?? [];
  return spans.flatMap(({ from, to, windowFrom, broken: _, ...span }) => {
    const length = (Date.parse(to) - Date.parse(from)) / DAY + 1;
    const since = windowFrom === null ? null : Date.parse(windowFrom);
    return Array.from({ length }, (_, day) => ({ ...span, windowFrom: day === 0 ? since : undefined }));
  });
}

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** Most trouble shows within two weeks; ends of months and of retentions want longer. */
const horizons = fc.oneof(
  fc.integer({ min: 1, max: 15 }),
  fc.integer({ min: 1, max: 15 }),
  fc.integer({ min: 16, max: 45 }),
);

test(`the audit and the walk agree on ${RUNS} repositories over a month and a half`, () => {
  fc.assert(fc.property(facts(), horizons, compare), { numRuns: RUNS });
});

test('they agree over a whole year', () => {
  fc.assert(
    fc.property(facts(3), (given) => compare(given, 366)),
    { numRuns: Math.ceil(RUNS / 150) },
  );
});
