import { describe, expect, test } from 'vitest';
import type { LifecycleRule } from '../../../../src/model/lifecycle.ts';
import { audit } from '../../../../src/repository/audit/audit.ts';
import type { AuditedDatabase, AuditFacts } from '../../../../src/repository/audit/facts.ts';
import { at, base, DAY, factsOf, found, lines, NOW, RULES, rule, shop, version } from './situation.ts';

const withRule = (one: LifecycleRule, given: Partial<AuditFacts> = {}) =>
  factsOf({ rules: [...RULES, one], ...given });

/** Where nothing is locked, a rule takes what it finds. */
const unlocked = (database: AuditedDatabase = shop(NOW, { lock: null })): Partial<AuditFacts> => ({
  bucket: { versioning: 'enabled', objectLock: null },
  databases: [
    {
      ...database,
      nodes: database.nodes.map((node) => ({
        ...node,
        versions: node.versions.map((one) => ({ ...one, lock: null })),
      })),
    },
  ],
});

test('a database that is well has no finding, and every day of a year is kept', () => {
  const report = audit(factsOf());
  expect(lines(report)).toEqual([]);
  const [calendar] = report.calendars;
  expect(calendar?.promises).toEqual([
    'a window of 7d',
    'physical backups for 28d',
    'logical backups for 30d',
    'a snapshot a month for 365d',
  ]);
  expect(new Set(calendar?.spans.map(({ state }) => state))).toEqual(new Set(['kept']));
  expect(calendar?.spans[0]).toMatchObject({ from: '2026-11-25', fulls: 5, logicals: 30, snapshots: 11 });
  expect(calendar?.spans.at(-1)?.to).toBe('2027-11-25');
});

describe('rules', () => {
  test('a lifecycle that kills a base is told by its first victim, and by how many there will be', () => {
    const facts = withRule(rule({ id: 'old', prefix: 'pgbackrest/backup/', expire: { days: 30 } }));
    expect(lines(audit(facts))).toEqual([
      'critical needed-gone shop 2026-11-26: rule old on pgbackrest/backup/ removes full 202610252030F on 2026-11-26: 3 differentials need it until 2026-11-28; 52 more go the same way',
    ]);
    expect(found(facts, 'needed-gone')[0]?.hint).toContain("none of Holdfast's: disable it");
  });

  test('one of our own is mended by the plan', () => {
    const facts = withRule(rule({ id: 'holdfast-x', prefix: 'pgbackrest/backup/', expire: { days: 30 } }));
    expect(found(facts, 'needed-gone')[0]?.hint).toBe(
      'holdfast repository plan shows the rules that fit; apply replaces them',
    );
  });

  test('rules by age delete archive.info, which is rarely written; backup.info is written again in time', () => {
    const facts = withRule(rule({ id: 'old', prefix: 'pgbackrest/', expire: { days: 40 } }));
    expect(lines(audit(facts))).toEqual([
      'critical needed-gone shop 2026-11-30: rule old on pgbackrest/ removes pgbackrest/archive/shop/archive.info on 2026-11-30: pgBackRest reads it at every step, and neither archives nor restores without it',
    ]);
    const states = audit(facts).calendars[0]?.spans.map(({ from, state }) => [from, state]);
    expect(states?.find(([, state]) => state === 'broken')).toEqual(['2026-11-30', 'broken']);
    expect(states?.at(-1)?.[1]).toBe('broken');
  });

  test('a rule on one of the two leaves the copy', () => {
    const prefix = 'pgbackrest/archive/shop/archive.info.copy';
    expect(lines(audit(withRule(rule({ id: 'old', prefix, expire: { days: 40 } }))))).toEqual([]);
  });

  test('snapshots that are kept too short are too few for the year', () => {
    const facts = withRule(rule({ id: 'short', prefix: 'snapshot/', expire: { days: 100 } }), unlocked());
    expect(lines(audit(facts))).toEqual([
      'critical expires-too-early shop 2026-11-27: rule short on snapshot/, then rule holdfast-snapshot, removes snapshot snapshot-202601011800 on 2026-11-27, 35d18h before its retention ends (2027-01-01); 19 more go too early',
      'critical too-few shop 2026-11-27: there is no snapshot of 2026-01 on 2026-11-27: rule short on snapshot/, then rule holdfast-snapshot, removes snapshot snapshot-202601011800; 19 more months have none',
    ]);
  });

  test('a COMPLIANCE lock outlives the rule: nothing goes before it', () => {
    const short = rule({ id: 'short', prefix: 'snapshot/', expire: { days: 100 } });
    expect(lines(audit(withRule(short)))).toEqual([]);
  });

  test('a manifest that expires takes its backup out of the catalog, unless its lock lasts', () => {
    const short = rule({ id: 'short', prefix: 'manifest/', expire: { days: 10 } });
    expect(found(withRule(short), 'expires-too-early')).toEqual([]);
    expect(found(withRule(short, unlocked()), 'expires-too-early')[0]?.firstDay).toBe('2026-11-26');
  });

  test('a date acts on that day, and on everything written later at its next midnight', () => {
    const facts = withRule(
      rule({ id: 'end', prefix: 'logical/', expire: { date: '2027-02-01' } }),
      unlocked(),
    );
    const [first] = found(facts, 'expires-too-early');
    expect(first?.firstDay).toBe('2027-02-02');
    expect(first?.what).toContain('the logical backup to be made on 2027-01-03 02:00 on 2027-02-02');
    const report = audit(facts).calendars[0]?.spans;
    expect(report?.at(-1)).toMatchObject({ state: 'broken', logicals: 1 });
  });

  test('logs that go too early break the window, and it says which base needed them', () => {
    const prefix = 'pgbackrest/archive/shop/15-1/';
    expect(lines(audit(withRule(rule({ id: 'logs', prefix, expire: { days: 8 } }))))).toEqual([]);
    expect(lines(audit(withRule(rule({ id: 'logs', prefix, expire: { days: 6 } }))))).toEqual([
      'critical window-broken shop 2026-11-26: the window of 7d is not kept from 2026-11-26 on, to the end of the calendar: rule logs on pgbackrest/archive/shop/15-1/ removes logs that full 202611082030F needs, and no other base is old enough by then',
    ]);
  });

  test('what tags, sizes or a switch keep a rule from does not happen', () => {
    const kill = { prefix: 'pgbackrest/backup/', expire: { days: 5 } };
    for (const one of [
      rule({ id: 'off', ...kill, enabled: false }),
      rule({ id: 'tagged', ...kill, tags: { team: 'x' } }),
      rule({ id: 'tiny', ...kill, smallerThanBytes: 10 }),
      rule({ id: 'huge', ...kill, largerThanBytes: 2 ** 40 }),
    ]) {
      expect(lines(audit(withRule(one)))).toEqual([]);
    }
  });

  test('an archive class is a thaw for the window, and the end for what is read at every step', () => {
    const cold = rule({
      id: 'cold',
      prefix: '',
      transitions: [{ due: { days: 10 }, storageClass: 'GLACIER' }],
    });
    expect(lines(audit(withRule(cold)))).toEqual([
      expect.stringContaining(
        'critical archived shop 2026-11-26: rule cold on the whole bucket moves pgbackrest/archive/shop/archive.info',
      ),
      expect.stringContaining(
        'critical archived shop 2026-11-26: rule cold on the whole bucket moves the manifest of logical backup',
      ),
      'warning archived shop 2026-11-26: a recovery within the window has to thaw something first, from 2026-11-26 on, until 2026-11-29; 52 more times',
    ]);
    const large = { ...cold, prefix: 'pgbackrest/backup/', largerThanBytes: 128 * 1024 };
    const late = { ...large, transitions: [{ due: { days: 30 }, storageClass: 'GLACIER' }] };
    expect(lines(audit(withRule(late)))).toEqual([]);
  });
});

describe('schedules and the tool', () => {
  test('without schedules the window lasts until a rule takes the last base', () => {
    const facts = withRule(rule({ id: 'age', prefix: 'pgbackrest/backup/', expire: { days: 30 } }), {
      databases: [shop(NOW, { fulls: [], diffs: [] })],
    });
    expect(found(facts, 'window-broken')).toEqual([
      expect.objectContaining({
        firstDay: '2026-12-23',
        what: 'the window of 7d is not kept from 2026-12-23 on, to the end of the calendar: rule age on pgbackrest/backup/ removes full 202611222030F, and no other base is old enough by then',
      }),
    ]);
    expect(lines(audit(factsOf({ databases: [shop(NOW, { fulls: [], diffs: [] })] })))).toEqual([]);
  });

  test('the tool is told to keep what is promised, also when fulls were made out of turn', () => {
    const least = { retentionFull: 2, retentionArchive: 1 };
    expect(lines(audit(factsOf({ databases: [shop(NOW, least)] })))).toEqual([]);
    const byHand = [1, 2, 3].map((hours) => base('full', NOW - hours * (DAY / 24)));
    const database = shop(NOW, least);
    const facts = factsOf({ databases: [{ ...database, nodes: [...database.nodes, ...byHand] }] });
    expect(lines(audit(facts))).toEqual([]);
  });

  test('it counts a damaged full as any other, and may remove the logs that the window needs', () => {
    const database = shop();
    const nodes = database.nodes.map((node) =>
      node.id === '202611152030F' ? { ...node, missing: ['backup.manifest'] } : node,
    );
    const [first] = found(factsOf({ databases: [{ ...database, nodes }] }), 'window-broken');
    expect(first?.what).toContain("the tool's own expiry removes the logs from full 202611082030F on");
    expect(first?.hint).toContain('the tool counts fulls, also damaged ones');
  });

  test('a database without a base has no window before the first', () => {
    const facts = factsOf({ databases: [{ ...shop(), nodes: [] }] });
    expect(found(facts, 'window-broken')).toEqual([
      expect.objectContaining({
        firstDay: null,
        what: 'the window of 7d is not kept now, for 8h: there is no full or differential backup yet that logs lead on from',
      }),
    ]);
    expect(audit(facts).calendars[0]?.promises[0]).toBe(
      'a window of 7d, which begins on 2026-11-25 and is whole from 2026-12-03 on',
    );
  });

  test('a young database keeps what it has promised since it began', () => {
    const young = shop();
    const since = at('2026-11-22');
    const facts = factsOf({
      databases: [{ ...young, nodes: young.nodes.filter(({ startedAt }) => startedAt >= since) }],
    });
    expect(lines(audit(facts))).toEqual([]);
    expect(audit(facts).calendars[0]?.promises[0]).toBe(
      'a window of 7d, which begins on 2026-11-22 and is whole from 2026-11-30 on',
    );
  });

  test('no snapshot was made this month, and the month ends', () => {
    const now = at('2026-11-30T19:00:00Z');
    const late = shop(now);
    const nodes = late.nodes.filter(({ id }) => id !== 'snapshot-202611011800');
    expect(lines(audit(factsOf({ now, databases: [{ ...late, nodes }] })))).toEqual([
      'critical too-few shop 2026-12-01: there is no snapshot of 2026-11 on 2026-12-01: none was made',
    ]);
    const hour = { now: now - DAY / 12, databases: [{ ...shop(now - DAY / 12), nodes }] };
    expect(found(factsOf(hour), 'too-few')).toEqual([]);
  });
});

describe("S3's clock", () => {
  const logical = (writtenAt: number, given: object = {}) => {
    const key = 'logical/shop/one/dump';
    return {
      ...{ id: 'one', kind: 'logical' as const, startedAt: writtenAt, finishedAt: writtenAt, needs: [] },
      ...{ readBy: 'version' as const, missing: [] },
      versions: [version(key, writtenAt, { lock: null, ...given })],
    };
  };
  const endOf = (node: ReturnType<typeof logical>, one: Partial<LifecycleRule>) => {
    const policy = { logicals: [], fulls: [], diffs: [], snapshots: false, windowMs: null, lock: null };
    const database = { ...shop(NOW, policy), nodes: [node] };
    const rules = [rule({ id: 'r', prefix: 'logical/', ...one })];
    const [first] = found(factsOf({ rules, databases: [database], toolFiles: [] }), 'expires-too-early');
    return first?.firstDay;
  };
  const gone = { days: 1, keepNewer: 0 };

  test('days end at the first midnight at or after: written at midnight exactly, on that very one', () => {
    const rules = { expire: { days: 10 }, expireNoncurrent: gone };
    expect(endOf(logical(at('2026-11-20')), rules)).toBe('2026-12-01');
    expect(endOf(logical(at('2026-11-20') + 1), rules)).toBe('2026-12-02');
    expect(endOf(logical(at('2026-11-21') - 1), rules)).toBe('2026-12-02');
  });

  test('what is overdue goes at the next midnight', () => {
    const old = logical(at('2026-11-20'), { noncurrentSince: at('2026-11-21'), under: 'marker' });
    expect(endOf(old, { expireNoncurrent: gone })).toBe('2026-11-26');
  });

  test('keepNewer counts versions of the same key that are younger and not current', () => {
    const old = logical(at('2026-11-20'), { noncurrentSince: at('2026-11-21'), under: 'version' });
    const keepOne = { expireNoncurrent: { days: 1, keepNewer: 1 } };
    expect(endOf(old, keepOne)).toBeUndefined();
    const younger = version('logical/shop/one/dump', at('2026-11-21'), { noncurrentSince: at('2026-11-22') });
    expect(endOf({ ...old, versions: [...old.versions, younger] }, keepOne)).toBe('2026-11-26');
  });

  test('a lock and a legal hold are stronger than a rule', () => {
    const lock = { mode: 'GOVERNANCE' as const, until: at('2026-12-03T10:00:00Z') };
    const rules = { expire: { days: 10 }, expireNoncurrent: gone };
    expect(endOf(logical(at('2026-11-20'), { lock }), rules)).toBe('2026-12-04');
    expect(endOf(logical(at('2026-11-20'), { legalHold: true }), rules)).toBeUndefined();
  });

  test('a full that ends at the moment of the audit is there', () => {
    const now = at('2026-11-29');
    const made = base('full', now);
    const facts = factsOf({ now, databases: [{ ...shop(now), nodes: [...shop(now).nodes, made] }] });
    expect(audit(facts).calendars[0]?.spans[0]).toMatchObject({ fulls: 6 });
  });
});
