import { expect, test } from 'vitest';
import { audit } from '../../../../src/repository/audit/audit.ts';
import type { AuditFacts } from '../../../../src/repository/audit/facts.ts';
import { compare } from './comparison.ts';
import { at, base, DAY, factsOf, rule, shop, toolFiles } from './situation.ts';

/** What properties once found, and moments at which two things happen: each is held against the slow walk, too. */
function codesOf(facts: AuditFacts, days: number): string[] {
  compare(facts, days);
  return audit(facts, days).findings.flatMap(({ code, firstDay }) => {
    const isOfTime = ['expires-too-early', 'needed-gone', 'window-broken', 'too-few'].includes(code);
    return isOfTime ? [`${code} ${firstDay ?? 'now'}`] : [];
  });
}

test('a database that is well is well on every day of a year, and the walk sees the same', () => {
  expect(codesOf(factsOf(), 366)).toEqual([]);
});

test('backup.info that a rule takes at the midnight at which a full would write it again is gone: S3 acts first', () => {
  const now = at('2026-11-25');
  const facts = factsOf({
    now,
    bucket: { versioning: 'off', objectLock: null },
    rules: [rule({ id: 'daily', prefix: 'pgbackrest/backup/shop/backup.info', expire: { days: 1 } })],
    databases: [
      { ...shop(now, { fulls: ['0 0 * * *'], diffs: [], windowMs: null, snapshots: false }), nodes: [] },
    ],
    toolFiles: toolFiles(now),
  });
  expect(codesOf(facts, 6)).toEqual(['needed-gone 2026-11-26']);
});

test('what goes at the very midnight at which its promise ends was kept', () => {
  const full = base('full', at('2026-11-20'));
  const keeping = {
    physicalMs: 7 * DAY,
    windowMs: null,
    fulls: [],
    diffs: [],
    logicals: [],
    snapshots: false,
  };
  const goneAfter = (days: number) =>
    factsOf({
      rules: [rule({ id: 'old', prefix: `pgbackrest/backup/shop/`, expire: { days } })],
      databases: [{ ...shop(undefined, keeping), nodes: [full] }],
      toolFiles: [],
    });
  for (const version of full.versions) version.writtenAt = full.finishedAt;
  expect(codesOf(goneAfter(7), 10)).toEqual([]);
  expect(codesOf(goneAfter(6), 10)).toEqual(['expires-too-early 2026-11-26']);
});

test('a differential that would lock its full longer at the moment at which it ends comes too late', () => {
  const full = base('full', at('2026-11-20T20:00:00Z'));
  for (const version of full.versions)
    version.lock = { mode: 'COMPLIANCE', until: at('2026-11-27T20:00:00Z') };
  const policy = { physicalMs: 12 * DAY, windowMs: null, fulls: [], logicals: [], snapshots: false };
  const facts = (diffs: string[]) =>
    factsOf({
      rules: [rule({ id: 'manifests', prefix: 'manifest/', expire: { days: 3 } })],
      databases: [{ ...shop(undefined, { ...policy, diffs }), nodes: [full] }],
      toolFiles: [],
    });
  // The catalog forgets the full when its lock ends, unless a differential came before.
  expect(codesOf(facts(['0 20 27 * *']), 12)).toContain('expires-too-early 2026-11-27');
  expect(codesOf(facts(['59 19 27 * *']), 12).filter((line) => line.startsWith('expires'))).toEqual([]);
});
