import { expect, test } from 'vitest';
import {
  daysIn,
  describeDistance,
  monthsOf,
  troublesOf,
  verdictOf,
} from '../../../src/client/audit/calendar.ts';
import { auditPage } from '../../../src/client/audit/page.ts';
import { formatAudit } from '../../../src/client/audit/text.ts';
import { escapeHtml } from '../../../src/client/report/html.ts';
import type { AuditCalendar, AuditFinding, AuditReport, AuditSpan } from '../../../src/model/audit.ts';
import { HOSTILE } from './report/facts.ts';

const span = (from: string, to: string, more: Partial<AuditSpan> = {}): AuditSpan => ({
  ...{ from, to, state: 'kept', windowFrom: '2026-11-10T20:00:00.000Z', fulls: 13, differentials: 74 },
  ...{ logicals: 30, snapshots: 11, broken: [], ...more },
});
const broken = (from: string, to: string, ...lines: string[]): AuditSpan =>
  span(from, to, { state: 'broken', fulls: 8, broken: lines });

const kept: AuditCalendar = {
  database: 'crm',
  spans: [span('2026-11-25', '2027-06-30'), span('2027-07-01', '2027-11-25', { state: 'archived' })],
  promises: ['a window of 7d', 'logical backups for 30d'],
};
const failing: AuditCalendar = {
  database: 'shop',
  spans: [
    span('2026-11-25', '2026-12-30'),
    broken('2026-12-31', '2026-12-31', '2 differentials cannot be restored, and should'),
    broken(
      '2027-01-01',
      '2027-01-04',
      '24 differentials cannot be restored, and should',
      'the window breaks',
    ),
    span('2027-01-05', '2027-11-25'),
  ],
  promises: ['a window of 7d'],
};
const critical: AuditFinding = {
  ...{ severity: 'critical', code: 'needed-gone', database: 'shop', firstDay: '2026-12-31' },
  ...{ what: 'rule old-stuff removes full F1: 24 differentials need it', hint: 'disable the rule' },
};
const reportOf = (calendars: AuditCalendar[], findings: AuditFinding[]): AuditReport => ({
  at: '2026-11-25T20:00:00.000Z',
  repository: { bucket: 'backups', prefix: '', region: 'eu-central-1' },
  looked: { versions: 48_211, markers: 1, bytes: 1_400_000_000_000, headed: 812 },
  ...{ findings, calendars },
});
const bad = reportOf([kept, failing], [critical]);

test('a year is cut into its months, and no day is lost', () => {
  const months = monthsOf(failing);
  expect(months.map(({ month }) => month)).toHaveLength(13);
  const days = months.flatMap(({ stretches }) => stretches.map(({ from, to }) => to - from + 1));
  expect(days.reduce((sum, each) => sum + each, 0)).toBe(366);
  expect(months[1]?.stretches.map(({ from, to, span: { state } }) => [from, to, state])).toEqual([
    [1, 30, 'kept'],
    [31, 31, 'broken'],
  ]);
  expect([daysIn('2028-02'), daysIn('2027-02'), daysIn('2026-12')]).toEqual([29, 28, 31]);
});

test('broken days in a row are one trouble, told by its worst lines', () => {
  expect(troublesOf(failing)).toEqual([
    {
      ...{ from: '2026-12-31', to: '2027-01-04', days: 5 },
      broken: ['24 differentials cannot be restored, and should', 'the window breaks'],
    },
  ]);
  expect(troublesOf(kept)).toEqual([]);
});

test('the first sentence says whether all is well, and from when on it is not', () => {
  expect(verdictOf(reportOf([kept], [])).text).toBe(
    'Everything that is promised can be restored, every day until 2027-11-25',
  );
  expect(verdictOf(bad)).toEqual({
    isGood: false,
    text: 'Not everything that is promised can be restored: 1 of 2 databases, the first from 2026-12-31 on',
  });
  const today = { ...failing, spans: [broken('2026-11-25', '2027-11-25', 'all is gone')] };
  expect(verdictOf(reportOf([today], [critical])).text).toBe(
    'Not everything that is promised of shop can be restored, today already',
  );
  // A key that is disabled breaks no day of the calendar.
  expect(verdictOf(reportOf([kept], [critical]))).toMatchObject({ isGood: false });
  expect(describeDistance('2026-12-31', bad.at)).toBe('in 36 days');
});

test('the terminal shows a year as a strip, in plain letters, the worst database first', () => {
  const text = formatAudit(bad, 100);
  expect(text.split('\n').every((line) => line.length <= 100)).toBe(true);
  expect(text).toMatchInlineSnapshot(`
    "Not everything that is promised can be restored: 1 of 2 databases, the first from 2026-12-31 on.
    Bucket backups in eu-central-1, as of 2026-11-25T20:00:00Z: 48,211 versions, 1.3 TiB, 1 delete
    marker; 812 asked for lock and key.

      CRITICAL shop from 2026-12-31, in 36 days
        rule old-stuff removes full F1: 24 differentials need it
        HINT: disable the rule

      Nov    Dec    Jan    Feb    Mar    Apr    May    Jun    Jul    Aug    Sep    Oct    Nov

    shop  broken from 2026-12-31
          == =====X X===== ====== ====== ====== ====== ====== ====== ====== ====== ====== =====
      promised: a window of 7d
      today: every moment since 2026-11-10T20:00:00Z; 13 fulls, 74 differentials, 30 logicals, 11
      snapshots
      2026-12-31 to 2027-01-04 (5 days)
        24 differentials cannot be restored, and should
        the window breaks

    crm  kept
          == ====== ====== ====== ====== ====== ====== ====== ~~~~~~ ~~~~~~ ~~~~~~ ~~~~~~ ~~~~~
      promised: a window of 7d; logical backups for 30d
      today: every moment since 2026-11-10T20:00:00Z; 13 fulls, 74 differentials, 30 logicals, 11
      snapshots

      = kept   ~ kept, but a recovery has to thaw something first   X broken
      a mark stands for 6 days: the worst counts"
  `);
});

test('a narrow terminal and a pipe get it, too', () => {
  expect(formatAudit(bad, 60)).toContain('CRITICAL shop from 2026-12-31, in 36 days');
  expect(formatAudit(bad, null)).toContain('HINT: disable the rule');
  expect(formatAudit(reportOf([], []), 80)).toContain('Everything that is promised can be restored.');
});

test('the page needs nothing from elsewhere, runs nothing, and whatever people named stays text', () => {
  const hostile = {
    ...failing,
    database: HOSTILE,
    promises: [HOSTILE],
    spans: [broken('2026-11-25', '2027-11-25', HOSTILE)],
  };
  const page = auditPage(
    reportOf([hostile, kept], [{ ...critical, database: HOSTILE, what: HOSTILE, hint: HOSTILE }]),
  );
  expect(page).not.toMatch(/<(script|link|img|iframe|object|embed|base|form)\b/i);
  expect(page).not.toMatch(/\s(src|srcset|on\w+)\s*=\s*["']/i);
  expect(page).not.toMatch(/url\(|@import|javascript:/i);
  expect(page).toContain("default-src 'none'; style-src 'unsafe-inline'");
  expect(page).toContain(`<li>${escapeHtml(HOSTILE)}</li>`);
});

test('every day is a cell that says what can be restored on it; a broken one has another shape', () => {
  const page = auditPage(bad);
  const [, shop = ''] = page.split('<h2 id="database-shop">');
  const year = shop.slice(0, shop.indexOf('</div>'));
  expect(year.match(/<text x="[\d.]+" y="[\d.]+">\d+<\/text>/g)).toHaveLength(366);
  expect(year).toContain(
    '<title>2026-12-31: broken\nevery moment since 2026-11-10 20:00 UTC\n8 fulls, 74 differentials, 30 logicals, 11 snapshots\n✕ 2 differentials cannot be restored, and should</title>',
  );
  expect(year.match(/<g class="broken">/g)).toHaveLength(2);
  expect(page.indexOf('id="database-shop"')).toBeLessThan(page.indexOf('id="database-crm"'));
  expect(year).toContain('366 days of shop: broken 2026-12-31 to 2027-01-04');
});

test('of a fleet only the databases that something is wrong with have a calendar of their own', () => {
  const fleet = Array.from({ length: 60 }, (_, at) => ({ ...kept, database: `db-${at}` }));
  const page = auditPage(
    reportOf([...fleet, failing], [{ ...critical, severity: 'warning', database: 'db-7' }]),
  );
  expect([...page.matchAll(/<h2 id="database-([^"]+)"/g)].map(([, name]) => name)).toEqual(['shop', 'db-7']);
  expect(page).toContain('59 that all is well with have no calendar below');
  expect(page.match(/class="strip"/g)).toHaveLength(61);
  expect(page.match(/href="#[^"]+"/g)).toHaveLength(2);
});
