import { describe, expect, it } from 'vitest';
import { completeDigest } from '../../../../src/client/commands/decide.ts';
import { outcomeOf } from '../../../../src/client/observe.ts';
import { formatEvents } from '../../../../src/client/view/events.ts';
import { formatStatus } from '../../../../src/client/view/status.ts';
import type { Plan } from '../../../../src/model/plan.ts';
import { statusOf, stepOf } from './fixtures.ts';

const NOW = new Date('2026-01-31T14:10:00Z');
const change = {
  table: 'public.orders',
  inserts: 20_000,
  updates: 0,
  deletes: 0,
  orphans: 12,
  uniqueClashes: 0,
};
const PLAN: Plan = {
  digest: 'sha256:bed7b33f43da2804',
  summary: 'insert 25,000 rows in 2 tables of shop',
  backup: '20260131-020000F',
  target: { time: '2026-01-31T14:05:00Z' },
  position: 'before commit of transaction 742',
  conflict: 'insert-missing',
  estimateSeconds: 42,
  changes: [change, { ...change, table: 'public.order_lines', inserts: 5_000, orphans: 0 }],
  rules: [],
  notices: ['12 rows refer to rows that are not coming back'],
};

const show = (status: ReturnType<typeof statusOf>, width: number | null = 80) =>
  formatStatus({
    status,
    activities: [],
    speed: null,
    now: NOW,
    width,
    options: ['--config', 'my file.yaml'],
  });

describe('a status on a screen', () => {
  const waiting = statusOf({
    outcome: 'waiting-for-decision',
    waitingFor: 'import',
    plan: PLAN,
    steps: [stepOf('compare', 'done'), stepOf('decide', 'waiting')],
  });

  it('shows the plan, its sums, what to know, and the command that approves exactly it', () => {
    const text = show(waiting);
    expect(text).toMatch(/^WAITING FOR DECISION {2}pitr\/shop\//);
    expect(text).toMatch(/public\.orders +20,000 +0 +0 +12 +0\n/);
    expect(text).toMatch(/all +25,000 +0 +0 +12 +0\n/);
    expect(text).toContain('! 12 rows refer to rows that are not coming back');
    expect(text).toContain(
      "holdfast approve pitr/shop/20260131T140500Z --plan sha256:bed7b33f43da2804 --config 'my file.yaml'",
    );
  });

  it('asks for nothing once it has ended', () => {
    expect(show({ ...waiting, outcome: 'completed', waitingFor: null })).not.toContain('holdfast approve');
  });

  it('offers to take back what a recovery has imported, and nothing else', () => {
    const steps = [stepOf('import', 'done')];
    const undo = "holdfast undo pitr/shop/20260131T140500Z --reason why --config 'my file.yaml'";
    expect(show(statusOf({ outcome: 'completed', steps }))).toContain(undo);
    for (const other of [
      { outcome: 'completed' as const, steps: [stepOf('export', 'done')] },
      { outcome: 'running' as const, steps },
      { outcome: 'completed' as const, steps, runbook: 'undoImport' },
    ]) {
      expect(show(statusOf(other))).not.toContain('holdfast undo');
    }
  });

  it('keeps within 80 columns but for what is copied', () => {
    const long = 'a detail of a step that goes on and on and has to be folded below itself '.repeat(3).trim();
    const text = show(statusOf({ reason: long, steps: [stepOf('restore', 'running', long)] }));
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it('offers an instance only when it answers', () => {
    const instance = { id: 'shop-1', url: null, expiresAt: '2026-02-01T00:00:00Z' };
    expect(show(statusOf({ instance }))).not.toContain('holdfast connect');
    const url = 'postgresql://postgres@/shop?host=/socket';
    expect(show(statusOf({ instance: { ...instance, url } }))).toContain('holdfast connect pitr/shop/');
  });

  it('names what keeps an activity from running', () => {
    const activity = {
      type: 'restoreInstance',
      queue: 'holdfast-host-db1',
      state: 'waiting' as const,
      attempt: 1,
      startedAt: null,
      lastFailure: null,
      retryAt: null,
      heartbeatAt: null,
      progress: null,
    };
    const look = (more: object) =>
      formatStatus({
        status: statusOf(),
        activities: [{ ...activity, ...more }],
        speed: null,
        now: NOW,
        width: null,
      });
    expect(look({})).toContain('restoreInstance waits for a worker on queue holdfast-host-db1');
    expect(look({ attempt: 3, lastFailure: 'S3 is away', retryAt: '2026-01-31T14:10:10Z' })).toContain(
      'restoreInstance, attempt 3, again in 10s; the one before failed: S3 is away',
    );
    expect(look({ state: 'running' })).not.toContain('restoreInstance');
  });
});

it('tells each change once, one line each', () => {
  const before = statusOf({ steps: [stepOf('restore', 'running'), stepOf('replay', 'pending')] });
  const after = statusOf({
    outcome: 'failed',
    steps: [stepOf('restore', 'done', 'two\nlines'), stepOf('replay', 'failed')],
  });
  expect(formatEvents(null, before, NOW)).toEqual(['2026-01-31T14:00:00Z  restore running']);
  expect(formatEvents(before, after, NOW)).toEqual([
    '2026-01-31T14:01:30Z  restore done in 1m30s: two lines',
    '2026-01-31T14:01:30Z  replay failed in 1m30s',
    '2026-01-31T14:10:00Z  FAILED',
  ]);
  expect(formatEvents(after, after, NOW)).toEqual([]);
});

describe('outcomeOf', () => {
  it.each([
    ['RUNNING', 'waiting-for-decision', 'waiting-for-decision'],
    ['RUNNING', null, 'running'],
    ['TERMINATED', 'waiting-for-decision', 'cancelled'],
    ['COMPLETED', 'rejected', 'rejected'],
    ['COMPLETED', null, 'completed'],
    ['FAILED', 'running', 'failed'],
    ['TIMED_OUT', 'parked', 'failed'],
    ['CANCELLED', 'running', 'cancelled'],
  ] as const)('%s, whose own word is %s, is %s', (server, own, outcome) => {
    expect(outcomeOf(server, own)).toBe(outcome);
  });
});

it('completes a digest only from enough of its beginning', () => {
  const digest = 'sha256:bed7b33f43da2804';
  expect(completeDigest('bed7b33f', digest)).toBe(digest);
  expect(completeDigest('sha256:bed7b33f43', digest)).toBe(digest);
  expect(completeDigest('sha256:b', digest)).toBe('sha256:b');
  expect(completeDigest('b33f43da', digest)).toBe('b33f43da');
});
