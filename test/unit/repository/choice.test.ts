import { describe, expect, test } from 'vitest';
import { formatLsn, segmentStart } from '../../../src/model/wal.ts';
import { chooseBackup } from '../../../src/repository/choice.ts';
import { archivedRange, base, EPOCH, heartbeat, isoAt, logName, onTimeline } from './recoverability.ts';

const now = new Date(EPOCH + 200_000);
const two = {
  manifests: [base('old', 1, 12_000), base('new', 5, 52_000), base('dump', 3, 32_000, { tier: 'logical' })],
  segments: archivedRange(1, 9),
  heartbeats: [heartbeat(25_000), heartbeat(47_000), heartbeat(75_000), heartbeat(95_000)],
  now,
};
const withHole = { ...two, segments: [...archivedRange(1, 6), ...archivedRange(8, 9)] };

describe('a time', () => {
  test('is reached from the newest base that ended before it, with the logs up to the proof', () => {
    expect(chooseBackup({ ...two, target: { time: isoAt(60_000) } })).toMatchObject({
      manifest: { id: 'new' },
      timeline: 1,
      firstLog: logName(5),
      lastLog: logName(7),
      segments: 3,
      reachable: 'yes',
    });
  });

  test('a base that had started and not ended is not used', () => {
    expect(chooseBackup({ ...two, target: { time: isoAt(51_000) } }).manifest.id).toBe('old');
  });

  test('in the future is refused', () => {
    expect(() => chooseBackup({ ...two, target: { time: isoAt(200_001) } })).toThrow(/in the future/);
  });

  test('before the oldest base is refused, and names the oldest moment', () => {
    expect(() => chooseBackup({ ...two, target: { time: isoAt(12_000) } })).toThrow(isoAt(13_000));
  });

  test('after the last heartbeat needs production to close its log', () => {
    expect(chooseBackup({ ...two, target: { time: isoAt(95_000) } })).toMatchObject({
      manifest: { id: 'new' },
      lastLog: logName(9),
      reachable: 'needs-closing',
    });
  });

  test('behind a gap is refused, and names the logs and the last moment', () => {
    expect(failureOf(() => chooseBackup({ ...withHole, target: { time: isoAt(80_000) } }))).toMatchObject({
      type: 'LogGap',
      message: expect.stringContaining(logName(7)),
      hint: expect.stringMatching(/proved/),
    });
    const proved = { ...withHole, heartbeats: [...withHole.heartbeats, heartbeat(65_000)] };
    expect(failureOf(() => chooseBackup({ ...proved, target: { time: isoAt(80_000) } }))).toMatchObject({
      hint: expect.stringContaining(isoAt(64_999)),
    });
  });

  test('with another offset is the same moment', () => {
    const time = new Date(EPOCH + 3_660_000).toISOString().replace('Z', '+01:00');
    expect(chooseBackup({ ...two, target: { time } }).manifest.id).toBe('new');
  });
});

describe('an lsn', () => {
  const lsnIn = (segment: number) => formatLsn(segmentStart(BigInt(segment)) + 500n);

  test('is reached from the newest base that ended before it', () => {
    expect(chooseBackup({ ...two, target: { lsn: lsnIn(4) } })).toMatchObject({
      manifest: { id: 'old' },
      lastLog: logName(4),
      segments: 4,
      reachable: 'yes',
    });
    expect(chooseBackup({ ...two, target: { lsn: lsnIn(8) } }).manifest.id).toBe('new');
  });

  test('not archived yet needs production to close its log', () => {
    expect(chooseBackup({ ...two, target: { lsn: lsnIn(10) } }).reachable).toBe('needs-closing');
  });

  test('in or behind a gap, and before the oldest base, is refused', () => {
    expect(failureOf(() => chooseBackup({ ...withHole, target: { lsn: lsnIn(7) } })).type).toBe('LogGap');
    expect(failureOf(() => chooseBackup({ ...withHole, target: { lsn: lsnIn(9) } })).type).toBe('LogGap');
    expect(failureOf(() => chooseBackup({ ...two, target: { lsn: lsnIn(0) } })).type).toBe(
      'TargetNotRecoverable',
    );
  });
});

describe('latest', () => {
  test('is the newest base and the last archived log', () => {
    expect(chooseBackup({ ...two, target: { latest: true } })).toMatchObject({
      manifest: { id: 'new' },
      lastLog: logName(9),
      segments: 5,
      reachable: 'yes',
    });
  });

  test('a base whose own last log is not archived yet is passed over', () => {
    const manifests = [base('old', 1, 12_000), base('new', 5, 62_000)];
    const choice = chooseBackup({
      ...two,
      manifests,
      segments: archivedRange(1, 5),
      target: { latest: true },
    });
    expect(choice).toMatchObject({ manifest: { id: 'old' }, lastLog: logName(5) });
  });

  test('never silently stops before a gap', () => {
    expect(failureOf(() => chooseBackup({ ...withHole, target: { latest: true } })).type).toBe('LogGap');
  });

  test('of a disaster ends before the gap, and says what is missing and what lies beyond', () => {
    const proved = { ...withHole, heartbeats: [...withHole.heartbeats, heartbeat(65_000)] };
    const choice = chooseBackup({ ...proved, target: { latest: true }, beyondGap: 'leave' });
    expect(choice).toMatchObject({
      manifest: { id: 'new' },
      lastLog: logName(6),
      segments: 2,
      reachable: 'yes',
    });
    const [gap, beyond] = choice.notices;
    expect(gap).toBe(
      `1 log missing in the archive (${logName(7)}): the recovery ends at the end of ${logName(6)}, which is after ${isoAt(64_999)}`,
    );
    expect(beyond).toContain(`2 logs cannot be used, ${logName(8)} to ${logName(9)}`);
    expect(choice.beforeReplay).toBe(`${gap}; ${beyond}`);
  });

  test('of a disaster counts what lies beyond on later timelines, and leaves no gap that a base covers', () => {
    const segments = [...archivedRange(1, 3), ...archivedRange(5, 6), ...archivedRange(7, 9, 2)];
    const old = { ...two, manifests: [base('old', 1, 12_000)], segments };
    const choice = chooseBackup({ ...old, target: { latest: true }, beyondGap: 'leave' });
    expect(choice.lastLog).toBe(logName(3));
    expect(choice.notices.join()).toContain(`5 logs cannot be used, ${logName(5)} to ${logName(9, 2)}`);
    const early = { ...two, segments: [...archivedRange(1, 3), ...archivedRange(5, 9)] };
    expect(chooseBackup({ ...early, target: { latest: true }, beyondGap: 'leave' })).toMatchObject({
      lastLog: logName(9),
      notices: [],
    });
  });

  test('of a disaster leaves nothing for any other target', () => {
    const target = { time: isoAt(80_000) };
    expect(failureOf(() => chooseBackup({ ...withHole, target, beyondGap: 'leave' })).type).toBe('LogGap');
  });
});

describe('a transaction or a restore point', () => {
  test.each([{ xid: '4711' }, { name: 'before-release' }])(
    '%o is looked for from the newest base',
    (target) => {
      const choice = chooseBackup({ ...two, target });
      expect(choice).toMatchObject({ manifest: { id: 'new' }, lastLog: logName(9), reachable: 'yes' });
      expect(choice.beforeReplay).toMatch(/known only after the replay/);
      expect(choice.notices).toEqual([]);
    },
  );
});

describe('a backup', () => {
  test('is its own target, with its own logs', () => {
    expect(chooseBackup({ ...two, target: { backup: 'old' } })).toMatchObject({
      manifest: { id: 'old' },
      lastLog: logName(1),
      segments: 1,
      reachable: 'yes',
    });
  });

  test('serves without any archived log', () => {
    const choice = chooseBackup({ ...two, segments: [], target: { backup: 'old' } });
    expect(choice).toMatchObject({ manifest: { id: 'old' }, segments: 0 });
    expect(choice.notices.join()).toMatch(/not in the archive/);
  });

  test('that is unknown, logical or incomplete is refused by name', () => {
    expect(failureOf(() => chooseBackup({ ...two, target: { backup: 'nwe' } }))).toMatchObject({
      type: 'UnknownBackup',
      hint: 'the newest are new, old',
    });
    expect(failureOf(() => chooseBackup({ ...two, target: { backup: 'dump' } })).type).toBe('NotSupported');
    const manifests = [base('diff', 1, 12_000, { kind: 'diff', dependsOn: ['gone'] })];
    expect(failureOf(() => chooseBackup({ ...two, manifests, target: { backup: 'diff' } })).type).toBe(
      'BackupUnusable',
    );
  });

  test('that is a snapshot stands alone: no archived log plays a part', () => {
    const taken = base('snapshot-old', 1, 22_000, {
      tier: 'snapshot',
      copyOf: { tier: 'physical', id: 'old' },
    });
    const manifests = [taken, ...two.manifests];
    const choice = chooseBackup({ ...two, segments: [], manifests, target: { backup: taken.id } });
    expect(choice).toMatchObject({
      ...{ manifest: { id: 'snapshot-old' }, lastLog: logName(2), segments: 2, reachable: 'yes' },
      notices: ['a copy of physical backup old, restored from its snapshot alone'],
    });
    // Where no base is left, it is named.
    const alone = { ...two, manifests: [taken], target: { latest: true as const } };
    expect(failureOf(() => chooseBackup(alone)).hint).toContain('--backup snapshot-old is as of');
    // What leads further is replayed from a base whose logs are archived.
    expect(chooseBackup({ ...two, manifests, target: { latest: true } }).manifest.id).toBe('new');
  });

  test('that is a snapshot of a logical one is refused as such', () => {
    const copyOf = { tier: 'logical' as const, id: 'dump' };
    const manifests = [base('taken', 3, 32_000, { tier: 'snapshot', copyOf })];
    expect(failureOf(() => chooseBackup({ ...two, manifests, target: { backup: 'taken' } }))).toMatchObject({
      type: 'NotSupported',
      message: expect.stringContaining('taken is a snapshot of a logical one'),
    });
  });
});

describe('timelines', () => {
  const failover = {
    manifests: [base('b', 1, 12_000)],
    segments: [...archivedRange(1, 6), ...archivedRange(5, 8, 2)],
    heartbeats: [heartbeat(65_000), heartbeat(55_000, 2), heartbeat(85_000, 2)],
    now,
  };

  test('production’s own is followed, and the plan says so', () => {
    const choice = chooseBackup({ ...failover, target: { time: isoAt(60_000) } });
    expect(choice).toMatchObject({ timeline: 2, lastLog: logName(8, 2), segments: 8 });
    expect(choice.notices.join()).toMatch(/timeline 2/);
  });

  test('another can be asked for, and one that is not there is refused', () => {
    const choice = chooseBackup({ ...failover, target: { time: isoAt(60_000), timeline: 1 } });
    expect(choice).toMatchObject({ timeline: 1, lastLog: logName(6), segments: 6 });
    expect(() => chooseBackup({ ...failover, target: { latest: true, timeline: 3 } })).toThrow(/timeline 3/);
  });

  test('a base on the new one is used for what follows it', () => {
    const manifests = [...failover.manifests, base('b2', 6, 62_000, onTimeline(2))];
    const choice = chooseBackup({ ...failover, manifests, target: { latest: true } });
    expect(choice).toMatchObject({
      manifest: { id: 'b2' },
      timeline: 2,
      lastLog: logName(8, 2),
      notices: [],
    });
  });
});

describe('a preferred base', () => {
  test('is taken where it reaches the same place, by whatever kind of target', () => {
    for (const target of [{ time: isoAt(60_000) }, { latest: true as const }, { xid: '4711' }]) {
      const best = chooseBackup({ ...two, target });
      expect(best.manifest.id).toBe('new');
      expect(chooseBackup({ ...two, target, preferred: 'old' })).toMatchObject({
        manifest: { id: 'old' },
        timeline: best.timeline,
        lastLog: best.lastLog,
        reachable: best.reachable,
      });
    }
    expect(chooseBackup({ ...two, target: { time: isoAt(95_000) }, preferred: 'old' })).toMatchObject({
      manifest: { id: 'old' },
      reachable: 'needs-closing',
    });
  });

  test('is not where the target is before it, it is unknown, or a log after it is missing', () => {
    expect(chooseBackup({ ...two, target: { time: isoAt(30_000) }, preferred: 'new' }).manifest.id).toBe(
      'old',
    );
    expect(chooseBackup({ ...two, target: { latest: true }, preferred: 'gone' }).manifest.id).toBe('new');
    const early = { ...two, segments: [...archivedRange(1, 3), ...archivedRange(5, 9)] };
    for (const target of [{ time: isoAt(60_000) }, { latest: true as const }, { name: 'r' }]) {
      expect(chooseBackup({ ...early, target, preferred: 'old' }).manifest.id).toBe('new');
    }
    expect(chooseBackup({ ...two, target: { backup: 'new' }, preferred: 'old' }).manifest.id).toBe('new');
  });

  test('a differential counts with the full one that it needs', () => {
    const manifests = [...two.manifests, base('diff', 3, 32_000, { kind: 'diff', dependsOn: ['old'] })];
    const choose = (preferred: string) =>
      chooseBackup({ ...two, manifests, target: { latest: true }, preferred }).manifest.id;
    expect(choose('diff')).toBe('diff');
    expect(choose('old')).toBe('old');
  });

  test('does not keep the recovery on a timeline that production has left', () => {
    const manifests = [base('b', 1, 12_000), base('b2', 6, 62_000, onTimeline(2))];
    const left = { ...two, manifests, segments: [...archivedRange(1, 6), ...archivedRange(6, 9, 2)] };
    const heartbeats = [heartbeat(55_000), heartbeat(95_000, 2)];
    const choice = chooseBackup({ ...left, heartbeats, target: { latest: true }, preferred: 'b' });
    expect(choice.timeline).toBe(2);
  });
});

describe('a database that was moved', () => {
  const former = [{ stanza: 'shop', until: isoAt(100_000) }];
  const moved = {
    manifests: [base('old', 1, 12_000), base('new', 13, 132_000, { ...onTimeline(2), stanza: 'shop-2' })],
    segments: [...archivedRange(1, 8), ...archivedRange(9, 15, 2, 'shop-2')],
    heartbeats: [heartbeat(75_000), heartbeat(105_000, 2), heartbeat(155_000, 2)],
    former,
    now,
  };
  const early = { ...moved, manifests: moved.manifests.slice(0, 1) };

  test('is recovered to latest from its new place, and from its former one while the new has no base', () => {
    expect(chooseBackup({ ...moved, target: { latest: true } })).toMatchObject({
      manifest: { id: 'new', stanza: 'shop-2' },
      ...{ timeline: 2, lastLog: logName(15, 2), notices: [] },
    });
    expect(chooseBackup({ ...early, target: { latest: true } })).toMatchObject({
      manifest: { id: 'old', stanza: 'shop' },
      ...{ timeline: 1, lastLog: logName(8) },
      notices: [expect.stringContaining('the new stanza has no base yet')],
    });
  });

  test('is recovered to a time from the place that it lived at', () => {
    expect(chooseBackup({ ...moved, target: { time: isoAt(70_000) } })).toMatchObject({
      manifest: { id: 'old' },
      lastLog: logName(7),
    });
    expect(chooseBackup({ ...moved, target: { time: isoAt(150_000) } })).toMatchObject({
      manifest: { id: 'new' },
      lastLog: logName(15, 2),
    });
    expect(chooseBackup({ ...moved, target: { time: isoAt(156_000) } }).reachable).toBe('needs-closing');
  });

  test('cannot be recovered to between the two, and nobody is asked to close a log for it', () => {
    for (const world of [moved, early]) {
      expect(failureOf(() => chooseBackup({ ...world, target: { time: isoAt(110_000) } }))).toMatchObject({
        type: 'TargetNotRecoverable',
        message: expect.stringContaining('before the first base of its new place'),
        hint: expect.stringContaining(isoAt(74_999)),
      });
    }
  });

  test('is not proved at its former place by what commits at the new one', () => {
    const late = { ...early, heartbeats: [heartbeat(75_000), { ...heartbeat(85_000), at: isoAt(101_000) }] };
    expect(chooseBackup({ ...late, target: { time: isoAt(74_000) } }).lastLog).toBe(logName(7));
    expect(failureOf(() => chooseBackup({ ...late, target: { time: isoAt(90_000) } })).type).toBe(
      'TargetNotRecoverable',
    );
  });

  test('has its logs looked for in the own stanza of a base, where both name an archive alike', () => {
    const segments = [...archivedRange(1, 15, 1, 'shop-2'), ...archivedRange(1, 3)];
    expect(chooseBackup({ ...early, segments, target: { latest: true } })).toMatchObject({
      manifest: { id: 'old' },
      lastLog: logName(3),
    });
  });
});

test('without a physical backup the hint says how to take one', () => {
  expect(failureOf(() => chooseBackup({ ...two, manifests: [], target: { latest: true } }))).toMatchObject({
    type: 'TargetNotRecoverable',
    hint: expect.stringContaining('--tier physical'),
  });
});

function failureOf(choose: () => unknown): { type?: string; message?: string; hint?: string } {
  try {
    choose();
  } catch (error) {
    return error as { type?: string };
  }
  return {};
}
