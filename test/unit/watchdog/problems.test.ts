import { describe, expect, test } from 'vitest';
import { desiredSchedules } from '../../../src/config/schedules.ts';
import { developmentOf, type Found, type Problem } from '../../../src/model/problem.ts';
import { repositoryProblems } from '../../../src/watchdog/look.ts';
import { type ScheduleSeen, scheduleProblems } from '../../../src/watchdog/schedules.ts';
import { type WatcherSeen, watcherProblems } from '../../../src/watchdog/watchers.ts';
import { exampleConfig } from '../config/example.ts';

const NOON = '2026-01-31T12:00:00.000Z';
const LATER = '2026-01-31T12:05:00.000Z';
const TOMORROW = '2026-02-01T00:05:00.000Z';

const problem = (key: string, more: Partial<Problem> = {}): Problem => ({
  ...{ key, database: 'shop', severity: 'critical', what: key, since: null, hint: null, told: 'nothing' },
  ...more,
});
const found = (problems: Problem[], more: Partial<Found> = {}): Found => ({
  problems,
  more: 0,
  unread: [],
  ...more,
});
const keys = (problems: readonly Problem[]) => problems.map(({ key }) => key);

describe('what becomes of problems', () => {
  const first = developmentOf(
    null,
    found([problem('a'), problem('b', { since: '2026-01-30T00:00:00Z' })]),
    NOON,
  );

  test('new ones are told, and carry the time when they were first seen', () => {
    expect(keys(first.due)).toEqual(['a', 'b']);
    expect(first.report.problems.map(({ since }) => since)).toEqual([NOON, '2026-01-30T00:00:00Z']);
  });

  test('those that last are told again on the next day, not before', () => {
    const second = developmentOf(first.report, found([problem('a'), problem('c')]), LATER);
    expect(keys(second.due)).toEqual(['c']);
    expect(keys(second.over)).toEqual(['b']);
    expect(second.report.problems.map(({ since }) => since)).toEqual([NOON, LATER]);
    const third = developmentOf(second.report, found([problem('a'), problem('c')]), TOMORROW);
    expect(keys(third.due)).toEqual(['a', 'c']);
    expect(third.report.problems[0]?.since).toBe(NOON);
  });

  test('what could not be looked at is not over, and still known when it can be again', () => {
    const blind = developmentOf(first.report, found([problem('repository')], { unread: ['shop'] }), LATER);
    expect(blind.over).toEqual([]);
    expect(keys(blind.report.problems)).toEqual(['repository', 'a', 'b']);
    expect(keys(developmentOf(blind.report, found([]), LATER).over)).toEqual(['repository', 'a', 'b']);
  });

  test('a list that was cut short ends nothing', () => {
    expect(developmentOf(first.report, found([problem('a')], { more: 3 }), LATER).over).toEqual([]);
  });

  test('what a run tells itself is not told twice', () => {
    const one = [problem('run', { told: 'beginning' }), problem('verdict', { told: 'all' })];
    const begun = developmentOf(first.report, found(one), LATER);
    expect(begun.due).toEqual([]);
    expect(keys(developmentOf(begun.report, found(one), TOMORROW).due)).toEqual(['run']);
    expect(keys(developmentOf(begun.report, found([]), LATER).over)).toEqual(['run']);
  });
});

describe('schedules', () => {
  const desired = desiredSchedules(exampleConfig());
  const all = new Map<string, ScheduleSeen>(
    desired.map(({ id }) => [id, { paused: false, note: null, since: 0 }]),
  );

  test('that are there and run are no problem', () => {
    expect(scheduleProblems(desired, all)).toEqual([]);
  });

  test('one that is missing is one of its database', () => {
    const seen = new Map(all);
    seen.delete('holdfast/logical/shop');
    expect(scheduleProblems(desired, seen)).toMatchObject([
      { key: 'schedule-missing/holdfast/logical/shop', database: 'shop', hint: 'holdfast schedules apply' },
    ]);
  });

  test('a paused one is told with its note', () => {
    const seen = new Map(all).set('holdfast/watchdog', { paused: true, note: 'moving, Ann', since: 0 });
    expect(scheduleProblems(desired, seen)).toMatchObject([
      { severity: 'warning', database: null, what: 'schedule holdfast/watchdog is paused: moving, Ann' },
    ]);
  });

  test('none at all is one problem, not one each', () => {
    expect(keys(scheduleProblems(desired, new Map()))).toEqual(['schedule-missing']);
  });
});

describe('watchers', () => {
  const now = new Date(NOON);
  const ago = (minutes: number) => now.getTime() - minutes * 60_000;
  const at = (minutes: number) => new Date(ago(minutes)).toISOString();
  const report = { database: 'shop', problem: null, at: at(1) };

  test.each<[string, Omit<WatcherSeen, 'host'>, string[]]>([
    ['one that looks', { endedAt: null, reports: [report] }, []],
    ['one that nobody answers for', { endedAt: null, reports: null }, []],
    ['one that has just ended', { endedAt: ago(4), reports: null }, []],
    ['one that is gone', { endedAt: ago(11), reports: null }, ['watcher/db1']],
    ['one whose host is silent', { endedAt: null, reports: [{ ...report, at: at(11) }] }, ['watcher/db1']],
    [
      'one that reports',
      { endedAt: null, reports: [{ ...report, problem: 'archiving fails' }] },
      ['log/shop'],
    ],
  ])('%s', (_, seen, expected) => {
    expect(keys(watcherProblems([{ host: 'db1', ...seen }], now))).toEqual(expected);
  });
});

test('a repository that nothing can be read of is one problem', () => {
  const away = { catalog: null, unread: 'S3 is away' };
  const here = { catalog: { backups: [] } as never, unread: null };
  expect(
    repositoryProblems(
      new Map([
        ['a', away],
        ['b', away],
      ]),
    ),
  ).toMatchObject([{ key: 'repository', database: null, what: 'the repository cannot be read: S3 is away' }]);
  expect(
    keys(
      repositoryProblems(
        new Map<string, typeof away | typeof here>([
          ['a', away],
          ['b', here],
        ]),
      ),
    ),
  ).toEqual(['repository/a']);
});
