import { describe, expect, test } from 'vitest';
import { audit } from '../../../../src/repository/audit/audit.ts';
import type { AuditedDatabase, AuditedVersion, AuditFacts } from '../../../../src/repository/audit/facts.ts';
import { versionsToAsk } from '../../../../src/repository/audit/heads.ts';
import { nodesOf, type Published } from '../../../../src/repository/audit/nodes.ts';
import { orphansOf } from '../../../../src/repository/audit/orphans.ts';
import { placeOf } from '../../../../src/repository/audit/place.ts';
import { type LogRecords, recordsToRead } from '../../../../src/repository/audit/shipped-logs.ts';
import { addTo, emptyTree } from '../../../../src/repository/audit/tree.ts';
import type { LogRecord } from '../../../../src/repository/shipped/logs.ts';
import { lineageOf } from '../../../../src/repository/shipped/name.ts';
import { dump, logName, OTHER, SERVER, shipped } from '../shipped/shop.ts';
import { at, DAY, factsOf, found, KEY, lines, NOW, POLICY, RULES, rule, version } from './situation.ts';

const HOUR = DAY / 24;
const BEGIN = at('2026-11-05');
/** Log n is of the n-th hour since BEGIN. */
const hourOf = (number: number): number => BEGIN + number * HOUR;
const NEWEST = Math.floor((NOW - BEGIN) / HOUR) - 1;
const LOCK = 9 * DAY;

interface Log {
  number: number;
  lineage?: string;
  record?: Partial<AuditedVersion>;
  content?: Partial<AuditedVersion>;
  attempt?: string;
}

const ofShop = (ms: number): number => (ms - Date.parse('2026-01-31T00:00:00Z')) / 1_000;
function logAt({ number, lineage = lineageOf(SERVER, 1) }: Log) {
  const [from, to] = [hourOf(number), hourOf(number + 1)];
  return shipped(number, ofShop(from), ofShop(to), { lineage });
}
/** A record, and the one object that it is of. */
function versionsOf(log: Log): AuditedVersion[] {
  const { key } = logAt(log);
  const written = hourOf(log.number + 1) + 1_000;
  const lock = { mode: 'COMPLIANCE' as const, until: written + LOCK };
  const folder = key.slice(0, key.lastIndexOf('/') + 1);
  return [
    version(`${folder}${log.attempt ?? '1'}.zst`, written, { lock, ...log.content }),
    version(key, written, { lock, sizeBytes: 800, ...log.record }),
  ];
}
const range = (first: number, last: number): Log[] =>
  Array.from({ length: last - first + 1 }, (_, offset) => ({ number: first + offset }));

/** A logical backup at 02:00, in the log of that hour. */
function backupOf(day: number, server = SERVER): Published {
  const moment = day + 2 * HOUR;
  const made = dump(
    `logical-${new Date(day).toISOString().slice(0, 10)}`,
    ofShop(moment + 60_000),
    (moment - BEGIN) / HOUR,
    { server },
  );
  const object = { key: `logical/shop/${made.id}/a/shop.sql`, versionId: null, sizeBytes: 1, sha256: '' };
  const manifest = {
    ...made,
    databases: [{ name: 'shop', objects: [object], fingerprints: null, schema: object }],
  };
  return { manifest, version: version(`manifest/shop/${made.id}.json`, moment + HOUR) };
}
const today = Math.floor(NOW / DAY) * DAY;
const backups = (days = 20): Published[] =>
  Array.from({ length: days }, (_, ago) => backupOf(today - ago * DAY)).toReversed();

function treeOf(versions: readonly AuditedVersion[]) {
  const tree = emptyTree();
  for (const [key, ofKey] of Map.groupBy(versions, (one) => one.key))
    addTo(tree, { key, versions: ofKey, markers: 0 });
  return tree;
}
const HERE = { name: 'shop', stanza: 'shop', former: [], bases: 'logical' as const };
const dumpOf = ({ manifest, version: { writtenAt } }: Published) =>
  version(manifest.databases[0]?.objects[0]?.key ?? '', writtenAt - HOUR);

interface World {
  logs?: readonly Log[];
  published?: readonly Published[];
  more?: readonly AuditedVersion[];
  records?: LogRecords;
}
function shopOf({ logs = range(0, NEWEST), published = backups(), more = [], records }: World = {}) {
  const tree = treeOf([...logs.flatMap(versionsOf), ...published.map(dumpOf), ...more]);
  const nodes = nodesOf(HERE, tree, published, NOW, records);
  const database: AuditedDatabase = {
    ...{ name: 'shop', stanza: 'shop', nodes },
    policy: { ...POLICY, fulls: [], diffs: [], snapshots: false, shippedLockMs: LOCK },
  };
  return { tree, nodes, database };
}
const SHIPPED_RULES = [
  ...RULES,
  rule({
    id: 'holdfast-log',
    prefix: 'log/',
    expire: { days: 9 },
    expireNoncurrent: { days: 1, keepNewer: 0 },
  }),
];
function facts(world: World = {}, given: Partial<AuditFacts> = {}): AuditFacts {
  const { database } = shopOf(world);
  return factsOf({ databases: [database], toolFiles: [], rules: SHIPPED_RULES, ...given });
}

describe('what lies there', () => {
  test('a log is its record and its objects; heartbeats are none of it', () => {
    const { key } = logAt({ number: 3 });
    const folder = key.slice(0, key.lastIndexOf('/') + 1);
    const place = { kind: 'shipped', database: 'shop', lineage: lineageOf(SERVER, 1), folder };
    expect(placeOf(key)).toMatchObject(place);
    expect(placeOf(`${folder}1-a.zst.part2`)).toMatchObject(place);
    expect(placeOf('log/shop/heartbeat/20260131T140500Z_1_x_none.json')).toMatchObject({ kind: 'record' });
  });

  test('logs of a day are one node, a hole and another lineage begin others, and dumps lead to them', () => {
    const { nodes } = shopOf({
      logs: [...range(0, 3), ...range(6, 7), { number: 1, lineage: lineageOf(OTHER, 1) }],
      published: [],
    });
    expect(
      nodes.map(({ id, segments, versions }) => [id, segments?.first, segments?.last, versions.length]),
    ).toEqual([
      [`logs ${logName(0)}..${logName(3)} of ${lineageOf(SERVER, 1)}`, 0, 3, 8],
      [`logs ${logName(6)}..${logName(7)} of ${lineageOf(SERVER, 1)}`, 6, 7, 4],
      [`logs ${logName(1)}..${logName(1)} of ${lineageOf(OTHER, 1)}`, 1, 1, 2],
    ]);
    const day = shopOf({ logs: range(0, 30), published: [backupOf(BEGIN)] }).nodes;
    expect(day.filter(({ kind }) => kind === 'logs')).toHaveLength(2);
    expect(day[0]?.replayFrom).toEqual({ archive: lineageOf(SERVER, 1), timeline: 1, first: 2, stop: 2 });
  });

  test('a dump whose log is still open needs none that is there; one whose log is lost leads nowhere', () => {
    const open = shopOf({ logs: range(0, 1), published: [backupOf(BEGIN)] }).nodes[0];
    expect(open?.replayFrom).toEqual({ archive: lineageOf(SERVER, 1), timeline: 1, first: 2, stop: 1 });
    const lost = shopOf({ logs: range(5, 6), published: [backupOf(BEGIN)] }).nodes[0];
    expect(lost?.replayFrom?.archive).toBe(`${lineageOf(SERVER, 1)}/?`);
  });

  test('records are read only where names do not tell which objects a log has', () => {
    const [content, record] = versionsOf({ number: 1 }) as [AuditedVersion, AuditedVersion];
    const two = version(content.key.replace('1.zst', '2.zst'), content.writtenAt);
    const read = (versions: AuditedVersion[], thorough = false) =>
      recordsToRead(treeOf(versions), 'shop', thorough);
    expect(read([content, record])).toEqual([]);
    expect(read([content, record], true)).toEqual([record.key]);
    expect(read([content, record, two])).toEqual([record.key]);
    expect(read([{ ...content, noncurrentSince: NOW, under: 'marker' }, record])).toEqual([record.key]);
    expect(read([content])).toEqual([]);
  });

  test('what a record names counts in its version, and the rest is of an attempt that was given up', () => {
    const [content, record] = versionsOf({ number: 1 }) as [AuditedVersion, AuditedVersion];
    const two = version(content.key.replace('1.zst', '2.zst'), content.writtenAt - 60_000);
    const named = { key: content.key, versionId: content.versionId, sizeBytes: 1, sha256: '' };
    const records: LogRecords = new Map([[record.key, { objects: [named] } as unknown as LogRecord]]);
    const world = { logs: range(0, 0), published: [backupOf(BEGIN)], more: [content, record, two], records };
    const { nodes, tree, database } = shopOf(world);
    const logs = nodes.filter(({ kind }) => kind === 'logs');
    expect(logs.flatMap(({ versions }) => versions)).toContain(content);
    expect(logs.flatMap(({ versions }) => versions)).not.toContain(two);
    const known = { ...HERE, retention: {} as never };
    expect(orphansOf(tree, [known], [database], NOW)).toMatchObject([
      { why: expect.stringContaining('an attempt to ship a log of shop was given up'), versions: [two] },
    ]);
    const gone = new Map([
      [record.key, { objects: [{ ...named, versionId: 'other' }] } as unknown as LogRecord],
    ]);
    const lacking = shopOf({ ...world, records: gone }).nodes.filter(({ kind }) => kind === 'logs');
    expect(lacking.flatMap(({ missing }) => missing)).toEqual([content.key]);
  });

  test('objects without a record, and servers to whose logs no backup leads, are orphans once they are settled', () => {
    const [content] = versionsOf({ number: 5 }) as [AuditedVersion];
    const young = { ...content, key: content.key.replace('1.zst', '3.zst'), writtenAt: NOW - HOUR };
    const { tree, database } = shopOf({
      logs: [...range(10, NEWEST), ...range(1, 2).map((log) => ({ ...log, lineage: lineageOf(OTHER, 1) }))],
      published: backups(3),
      more: [content, young],
    });
    const orphans = orphansOf(tree, [{ ...HERE, retention: {} as never }], [database], NOW);
    expect(orphans.map(({ why, versions }) => [why, versions.length])).toEqual([
      ['an attempt to ship a log of shop was given up, and its objects are left', 1],
      [`no logical backup of shop leads to the logs of ${lineageOf(OTHER, 1)}`, 4],
    ]);
  });

  test('of many logs a sample is asked for locks, of records and of objects; thoroughly all are', () => {
    const { database } = shopOf();
    const asked = versionsToAsk([database], [], false);
    const logs = asked.filter(({ key }) => key.startsWith('log/'));
    expect(logs.length).toBeLessThan(database.nodes.length * 3);
    expect(logs.some(({ key }) => key.endsWith('.json'))).toBe(true);
    expect(logs.some(({ key }) => key.endsWith('.zst'))).toBe(true);
    expect(versionsToAsk([database], [], true).length).toBeGreaterThan(2 * NEWEST);
  });
});

describe('what holds', () => {
  test('three weeks of a database that is well leave nothing to say', () => {
    const report = audit(facts());
    expect(lines(report)).toEqual([]);
    const [calendar] = report.calendars;
    expect(calendar?.promises).toEqual(['a window of 7d', 'logical backups for 30d']);
    expect(new Set(calendar?.spans.map(({ state }) => state))).toEqual(new Set(['kept']));
  });

  test('logs that end with the window alone leave it without its base, from a day on that is known today', () => {
    const short = SHIPPED_RULES.map((one) =>
      one.id === 'holdfast-log' ? { ...one, id: 'by-age', expire: { days: 6 } } : one,
    );
    const [broken] = found(facts({}, { rules: short }), 'window-broken');
    expect(broken).toMatchObject({
      severity: 'critical',
      what: expect.stringMatching(/rule by-age on log\/ removes logs that logical backup logical-.* needs/),
    });
  });

  test('logical backups that end before the window can do without them', () => {
    const short = SHIPPED_RULES.map((one) =>
      one.prefix === 'logical/' ? { ...one, id: 'by-age', expire: { days: 5 } } : one,
    );
    const { database } = shopOf();
    for (const one of database.nodes.flatMap(({ versions }) => versions)) one.lock = null;
    const unlocked = { ...database, policy: { ...database.policy, lock: null } };
    const bucket = { versioning: 'enabled' as const, objectLock: null };
    const given = facts({}, { rules: short, bucket, databases: [unlocked] });
    expect(found(given, 'window-broken')).toHaveLength(1);
    expect(found(given, 'expires-too-early')).toHaveLength(1);
  });

  test('a log that is missing, deleted, or without its objects breaks the window now, and is named', () => {
    const number = NEWEST - 12;
    const world = (log: Partial<Log> | null) => ({
      logs: range(0, NEWEST).flatMap((one) =>
        one.number !== number ? [one] : log === null ? [] : [{ ...one, ...log }],
      ),
    });
    const gone = lines(audit(facts(world(null))));
    expect(gone).toContainEqual(
      expect.stringMatching(
        new RegExp(
          `^critical missing shop now: 1 log is missing, behind ${logName(number - 1)}: no recovery from`,
        ),
      ),
    );
    const deleted = { noncurrentSince: NOW - HOUR, under: 'marker' as const };
    const hidden = lines(audit(facts(world({ record: deleted }))));
    expect(hidden).toContainEqual(
      expect.stringMatching(
        new RegExp(`^critical behind-marker shop now: 1 log lies .*, from ${logName(number)} on`),
      ),
    );
    // Its content alone: it is read by its version, and can be mended.
    const covered = lines(audit(facts(world({ content: deleted }))));
    expect(covered).toEqual([
      expect.stringMatching(
        /^warning behind-marker shop now: a delete marker lies on top of 1 object of the logs/,
      ),
    ]);
    const forged = lines(audit(facts(world({ record: { noncurrentSince: NOW - HOUR, under: 'version' } }))));
    expect(forged).toEqual([
      expect.stringMatching(
        /^warning overwritten shop now: a newer version lies on top of 1 object of the logs/,
      ),
    ]);
    // The hints say what to do with logs that we ship.
    const hints = audit(facts(world(null))).findings.map(({ hint }) => hint);
    expect(hints.join('\n')).toContain('the log watch brings them again; holdfast backup --tier logical');
    expect(hints.join('\n')).not.toContain('physical');
  });

  test('a log that was shipped again after it was deleted is there', () => {
    const number = NEWEST - 12;
    const [, record] = versionsOf({ number }) as [AuditedVersion, AuditedVersion];
    const again = { ...record, versionId: 'again', writtenAt: NOW - HOUR };
    const logs = range(0, NEWEST).filter((one) => one.number !== number);
    const old = { ...record, noncurrentSince: NOW - 2 * HOUR, under: 'marker' as const };
    const [content] = versionsOf({ number }) as [AuditedVersion];
    expect(lines(audit(facts({ logs, more: [again, old, content] })))).toEqual([]);
  });

  test('locks of logs are held against when the window can begin behind them', () => {
    const short = { lock: { mode: 'COMPLIANCE' as const, until: NOW + DAY } };
    const late = range(0, NEWEST).map((log) => (log.number > NEWEST - 20 ? { ...log, record: short } : log));
    expect(found(facts({ logs: late }), 'lock-short')).toMatchObject([
      {
        severity: 'warning',
        what: expect.stringMatching(/the lock on log\/shop\/.*\.json of the logs ends on/),
      },
    ]);
    const none = range(0, NEWEST).map((log) =>
      log.number > NEWEST - 20 ? { ...log, content: { lock: null } } : log,
    );
    expect(found(facts({ logs: none }), 'not-locked')).toHaveLength(1);
    // No default retention is needed, and none is asked for: each log has its own lock.
    const bucket = { versioning: 'enabled' as const, objectLock: { retention: null } };
    expect(lines(audit(facts({}, { bucket })))).toEqual([]);
    // Backups further apart than locks are long.
    const { database } = shopOf();
    const rare = { ...database, policy: { ...database.policy, logicals: ['0 2 1 * *'] } };
    expect(found(facts({}, { databases: [rare] }), 'lock-short').map(({ what }) => what)).toContainEqual(
      expect.stringMatching(/^logs archived from .* are locked for 9 days, .*needed until/),
    );
  });

  test('a log under another key is told, and one without any', () => {
    const foreign = { content: { kmsKeyId: 'arn:aws:kms:eu-central-1:111122223333:key/other' } };
    const logs = range(0, NEWEST).map((log) => (log.number === NEWEST ? { ...log, ...foreign } : log));
    expect(found(facts({ logs }), 'wrong-key')).toHaveLength(1);
    const bare = range(0, NEWEST).map((log) =>
      log.number === NEWEST ? { ...log, content: { kmsKeyId: null, encrypted: false } } : log,
    );
    expect(found(facts({ logs: bare }, { kmsKeyId: KEY }), 'not-encrypted')).toHaveLength(1);
  });

  test('without rules logs grow for ever, and that is told of shipped ones', () => {
    const told = found(facts({}, { rules: [] }), 'never-expires').map(({ what }) => what);
    expect(told).toContainEqual(expect.stringContaining('no rule ever removes shipped logs of shop'));
  });

  test('where there is no base yet it is said what to make', () => {
    const [broken] = found(facts({ published: [] }), 'window-broken');
    expect(broken).toMatchObject({
      what: expect.stringContaining('there is no logical backup yet that logs lead on from'),
      hint: expect.stringContaining('holdfast backup --tier logical begins a new window'),
    });
  });
});
