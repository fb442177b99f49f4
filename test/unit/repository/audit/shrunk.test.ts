import { expect, test } from 'vitest';
import { audit } from '../../../../src/repository/audit/audit.ts';
import type { AuditedNode, AuditFacts } from '../../../../src/repository/audit/facts.ts';
import { compare } from './comparison.ts';
import { at, base, DAY, factsOf, rule, shop, toolFiles, version } from './situation.ts';

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
  for (const each of full.versions) each.writtenAt = full.finishedAt;
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

test('a segment that lies on two timelines is there for as long as one of the two is', () => {
  const full = base('full', at('2026-11-10T20:00:00Z'));
  const run = (timeline: number, first: number, last: number): AuditedNode => {
    const written = version(`pgbackrest/archive/shop/15-1/${timeline}-${first}`, at('2026-11-24'));
    return {
      ...{ id: `logs ${timeline}-${first}`, kind: 'logs', startedAt: 0, finishedAt: written.writtenAt },
      ...{ needs: [], readBy: 'key', versions: [written], missing: [] },
      segments: { timeline, first, last },
    };
  };
  full.replayFrom = { timeline: 1, first: 10, stop: 11 };
  const behind = run(1, 20, 21);
  for (const each of behind.versions)
    Object.assign(each, { noncurrentSince: at('2026-11-25'), under: 'marker' });
  const logs = [run(1, 10, 19), behind, run(2, 20, 30)];
  const policy = { fulls: [], diffs: [], logicals: [], snapshots: false };
  for (const order of [logs, logs.toReversed()]) {
    const facts = factsOf({ databases: [{ ...shop(undefined, policy), nodes: [full, ...order] }] });
    expect(codesOf(facts, 10)).toEqual([]);
    facts.databases[0]?.nodes.pop();
    facts.databases[0]?.nodes.splice(1, 1);
    expect(codesOf(facts, 10)).toEqual(['window-broken now']);
  }
});

test('a legal hold keeps what is read by its version, whatever rules say', () => {
  const facts = (legalHold: boolean) => {
    const policy = { fulls: [], diffs: [], logicals: [], windowMs: null, logicalMs: 40 * DAY };
    const database = shop(undefined, { ...policy, snapshots: false });
    database.nodes = database.nodes.filter(({ kind }) => kind === 'logical').slice(-1);
    for (const each of database.nodes[0]?.versions ?? []) Object.assign(each, { lock: null, legalHold });
    const all = { prefix: '', expire: { days: 2 }, expireNoncurrent: { days: 1, keepNewer: 0 } };
    return factsOf({ rules: [rule({ id: 'all', ...all })], databases: [database], toolFiles: [] });
  };
  expect(codesOf(facts(true), 20)).toEqual([]);
  expect(codesOf(facts(false), 20)).toEqual(['expires-too-early 2026-11-28']);
});
