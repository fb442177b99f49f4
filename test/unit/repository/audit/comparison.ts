import { expect } from 'vitest';
import type { AuditReport } from '../../../../src/model/audit.ts';
import { audit } from '../../../../src/repository/audit/audit.ts';
import type { AuditFacts } from '../../../../src/repository/audit/facts.ts';
import { type Seen, walk } from './model.ts';
import { CODES } from './model-promises.ts';

const DAY = 86_400_000;

/** The same audit by code that has nothing in common with it: what it says has to be what the walk sees, to the day. */
export function compare(given: AuditFacts, horizonDays: number): void {
  const report = audit(given, horizonDays);
  holdsTogether(report, given.now, horizonDays);
  for (const [database, seen] of walk(given, horizonDays)) {
    expect(foundBy(report, database), `first days of ${database}`).toEqual(firstDays(seen, given.now));
    expect(daysBy(report, database), `days of ${database}`).toEqual(seen.days);
  }
}

/** Every day is there, every broken one says why, and somebody is told of it. */
function holdsTogether({ findings, calendars }: AuditReport, now: number, horizonDays: number): void {
  expect(JSON.stringify({ findings, calendars })).not.toMatch(/NaN|undefined|Infinity|Invalid/);
  for (const { database, spans } of calendars) {
    expect(spans[0]?.from).toBe(dayOf(now));
    expect(spans.at(-1)?.to).toBe(dayOf(now + (horizonDays - 1) * DAY));
    for (const [at, span] of spans.entries()) {
      if (at > 0) expect(Date.parse(span.from) - Date.parse(spans[at - 1]?.to ?? '')).toBe(DAY);
      expect(span.broken.length > 0).toBe(span.state === 'broken');
    }
    const isBroken = spans.some(({ state }) => state === 'broken');
    const isTold = findings.some((each) => each.severity === 'critical' && each.database === database);
    if (isBroken) expect(isTold, `a critical finding of ${database}`).toBe(true);
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

/** The spans day by day, as the walk has them. */
function daysBy(report: AuditReport, database: string): Seen['days'] {
  const spans = report.calendars.find((calendar) => calendar.database === database)?.spans ?? [];
  return spans.flatMap(({ from, to, windowFrom, broken: _, ...span }) => {
    const length = (Date.parse(to) - Date.parse(from)) / DAY + 1;
    const day = { ...span, windowFrom: windowFrom === null ? null : Date.parse(windowFrom) };
    return Array.from({ length }, () => day);
  });
}

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);
