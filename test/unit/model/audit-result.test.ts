import { expect, test } from 'vitest';
import type { AuditFinding, AuditReport } from '../../../src/model/audit.ts';
import { auditDevelopment, summarize } from '../../../src/model/audit-result.ts';

const finding = (more: Partial<AuditFinding>): AuditFinding => ({
  ...{ severity: 'critical', code: 'needed-gone', database: 'shop', firstDay: null, hint: 'do' },
  what: 'the base is gone',
  ...more,
});
const reportOf = (findings: AuditFinding[]): AuditReport => ({
  ...{ at: '2026-11-25T06:00:00Z', repository: { bucket: 'b', prefix: '', region: 'r' } },
  looked: { versions: 0, markers: 0, bytes: 0, headed: 0 },
  ...{ findings, calendars: [] },
});
const foundOf = (...findings: AuditFinding[]) => summarize(reportOf(findings), 1);

test('of a long list the first are kept, and the rest counted', () => {
  const many = Array.from({ length: 205 }, (_, at) => finding({ what: `orphan ${at}`, severity: 'info' }));
  expect(foundOf(finding({}), ...many)).toMatchObject({
    ...{ more: 6, counts: { critical: 1, warning: 0, info: 205 } },
    findings: { length: 200 },
  });
});

test('findings that differ in numbers only are one matter', () => {
  const { result, due } = auditDevelopment(
    null,
    foundOf(finding({ what: 'run 1 is gone' }), finding({ what: 'run 2 is gone' })),
    '2026-11-25T06:01:00Z',
  );
  expect(due.map(({ what }) => what)).toEqual(['run 1 is gone']);
  expect(result.findings.map(({ what }) => what)).toEqual(['run 1 is gone', 'run 2 is gone']);
});

test('a matter keeps its key while its numbers, dates and backups change', () => {
  const keyOf = (what: string) => foundOf(finding({ what })).findings[0]?.key;
  expect(keyOf('rule tidy on a/ removes full 20261125-205149F on 2026-11-29, 86d20h before its end')).toBe(
    'needed-gone/shop/rule tidy',
  );
  expect(keyOf('1 log is missing, 0001 to 0002: no recovery')).toBe(keyOf('9 log is missing, 0003 to 0004'));
  expect(foundOf(finding({ severity: 'info' })).findings[0]).not.toHaveProperty('key');
});

test('what lasts is told again on the next day, what is gone once', () => {
  const first = auditDevelopment(null, foundOf(finding({})), '2026-11-25T06:01:00Z');
  const again = auditDevelopment(first.result, foundOf(finding({})), '2026-11-25T09:00:00Z');
  expect(again).toMatchObject({ due: [], over: [] });
  const next = auditDevelopment(
    { ...again.result, at: '2026-11-25T09:00:00Z' },
    foundOf(finding({})),
    '2026-11-26T06:01:00Z',
  );
  expect(next.due).toMatchObject([{ since: '2026-11-25T06:01:00Z' }]);
  expect(auditDevelopment(next.result, foundOf(), '2026-11-27T06:01:00Z').over).toHaveLength(1);
});

test('of a database that could not be read, what was found before still stands', () => {
  const first = auditDevelopment(
    null,
    foundOf(finding({}), finding({ database: 'crm' })),
    '2026-11-25T06:01:00Z',
  );
  const unread = finding({ code: 'not-looked-at', what: 'what the repository holds of shop cannot be read' });
  const { result, over } = auditDevelopment(first.result, foundOf(unread), '2026-11-26T06:01:00Z');
  expect(over.map(({ database }) => database)).toEqual(['crm']);
  expect(result).toMatchObject({
    counts: { critical: 2 },
    findings: [
      { code: 'needed-gone', database: 'shop', since: '2026-11-25T06:01:00Z' },
      { code: 'not-looked-at' },
    ],
  });
});
