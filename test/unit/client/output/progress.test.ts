import { describe, expect, it } from 'vitest';
import { mergeProgress, SpeedMeter } from '../../../../src/client/progress.ts';
import { formatProgress } from '../../../../src/client/view/progress.ts';
import { statusOf, stepOf } from './fixtures.ts';

describe('SpeedMeter', () => {
  it('gives rate and time left over successive looks', () => {
    const meter = new SpeedMeter();
    expect(meter.observe({ phase: 'uploading', done: 0, total: 1_000 }, 0)).toBeNull();
    expect(meter.observe({ phase: 'uploading', done: 200, total: 1_000 }, 2_000)).toEqual({
      perSecond: 100,
      secondsLeft: 8,
    });
  });

  it('starts anew where the phase changes or an attempt counts from the start again', () => {
    const meter = new SpeedMeter();
    meter.observe({ phase: 'a', done: 900 }, 0);
    expect(meter.observe({ phase: 'a', done: 10 }, 1_000)).toBeNull();
    expect(meter.observe({ phase: 'a', done: 20 }, 2_000)?.perSecond).toBe(10);
    expect(meter.observe({ phase: 'b', done: 30 }, 3_000)).toBeNull();
  });

  it('promises no end while nothing moves', () => {
    const meter = new SpeedMeter();
    meter.observe({ phase: 'a', done: 5, total: 10 }, 0);
    expect(meter.observe({ phase: 'a', done: 5, total: 10 }, 5_000)).toEqual({
      perSecond: 0,
      secondsLeft: null,
    });
  });

  it('looks back half a minute, so that a stall shows', () => {
    const meter = new SpeedMeter();
    for (let at = 0; at <= 60; at += 1)
      meter.observe({ phase: 'a', done: at < 20 ? at * 100 : 2_000 }, at * 1_000);
    expect(meter.observe({ phase: 'a', done: 2_000 }, 61_000)?.perSecond).toBe(0);
  });
});

it('gives the running step what the activity that reported last is doing', () => {
  const activity = {
    type: 'x',
    queue: null,
    state: 'running' as const,
    attempt: 1,
    startedAt: null,
    lastFailure: null,
    retryAt: null,
  };
  const status = statusOf({ steps: [stepOf('restore', 'done'), stepOf('replay', 'running')] });
  const merged = mergeProgress(status, [
    { ...activity, heartbeatAt: '2026-01-31T14:00:01Z', progress: { phase: 'old' } },
    { ...activity, heartbeatAt: '2026-01-31T14:00:02Z', progress: { phase: 'new' } },
    { ...activity, heartbeatAt: null, progress: null },
  ]);
  expect(merged.steps.map((step) => step.progress?.phase)).toEqual([undefined, 'new']);
});

it('reads as one line', () => {
  const progress = { phase: 'uploading', done: 1.2e9, total: 3.4e9, unit: 'bytes' as const };
  expect(formatProgress(progress, { perSecond: 9.2e7, secondsLeft: 24 })).toBe(
    'uploading: 1.1 GiB of 3.2 GiB (35%), 88 MiB/s, 24s left',
  );
  expect(formatProgress({ phase: 'waiting for log 5' }, null)).toBe('waiting for log 5');
  expect(
    formatProgress({ phase: 'replaying', done: 3, unit: 'segments', detail: 'at 0/5000148' }, null),
  ).toBe('replaying: 3 segments, at 0/5000148');
});
