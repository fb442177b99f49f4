import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../../../src/model/backup.ts';
import { neededBackups, neededLogs } from '../../../../src/repository/repair/physical.ts';
import { base } from '../recoverability.ts';

const DAY = 86_400_000;
const KEEPS = { retentionFull: 2, retentionArchive: 2, retentionMs: 20 * DAY };

/** A backup of the n-th day, whose logs begin with the n-th segment. */
function made(kind: 'full' | 'diff', day: number, dependsOn: string[] = []): Manifest {
  const at = new Date(Date.UTC(2026, 0, day)).toISOString();
  return base(`${kind}-${day}`, day, day * 10_000, {
    ...{ kind, dependsOn, startedAt: at, finishedAt: at, stanza: 'shop', serverVersion: '15' },
  });
}

const fulls = [1, 8, 15].map((day) => made('full', day));
const diff = made('diff', 16, ['full-15']);
const old = made('diff', 2, ['full-1']);
const all = [...fulls, diff, old];
const ids = (manifests: readonly Manifest[]) => manifests.map(({ id }) => id).sort();
const now = new Date(Date.UTC(2026, 0, 17));

describe('needed backups', () => {
  it('are those that the tool keeps, whatever lies on them, and not what it has expired', () => {
    const needed = neededBackups(all, { listed: new Set(), now }, KEEPS);
    expect(ids(needed)).toEqual(['diff-16', 'full-15', 'full-8']);
  });

  it('are all that the tool knows', () => {
    const needed = neededBackups(all, { listed: new Set(['full-1', 'diff-2']), now }, KEEPS);
    expect(ids(needed)).toEqual(['diff-16', 'diff-2', 'full-1', 'full-15', 'full-8']);
  });

  it('are none whose time is over, unless the tool knows them', () => {
    const late = new Date(Date.UTC(2026, 1, 10));
    expect(ids(neededBackups(all, { listed: new Set(), now: late }, KEEPS))).toEqual([]);
    const known = { listed: new Set(['full-15']), now: late };
    expect(ids(neededBackups(all, known, KEEPS))).toEqual(['diff-16', 'full-15']);
  });
});

describe('needed logs', () => {
  const log = (day: number, timeline = 1) =>
    `0000000${timeline}00000000${day.toString(16).toUpperCase().padStart(8, '0')}`;
  const needed = neededBackups(all, { listed: new Set(), now }, KEEPS);

  it('begin with the oldest full on whose logs the tool keeps, on each timeline', () => {
    const isNeeded = neededLogs(needed, all, KEEPS);
    expect([7, 8, 9, 30].map((day) => isNeeded('15-1', log(day)))).toEqual([false, true, true, true]);
    expect(isNeeded('15-1', log(9, 2))).toBe(true);
    expect(isNeeded('14-1', log(9))).toBe(false);
  });

  it('are those that an older backup needs to become consistent', () => {
    const older = neededBackups(all, { listed: new Set(['full-1']), now }, KEEPS);
    const isNeeded = neededLogs(older, all, { ...KEEPS, retentionArchive: 1 });
    expect([1, 2, 8, 9, 15].map((day) => isNeeded('15-1', log(day)))).toEqual([
      ...[true, true, true, false, true],
    ]);
  });

  it('are all where the tool has expired none yet', () => {
    const [first] = fulls as [Manifest];
    expect(neededLogs([first], [first], KEEPS)('15-1', log(0))).toBe(true);
    expect(neededLogs([], [], KEEPS)('15-1', log(0))).toBe(false);
  });
});
