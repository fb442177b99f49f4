import { expect, test } from 'vitest';
import { parseCron } from '../../../src/model/cron.ts';
import { defaultLogical, defaultPhysical } from '../../../src/model/schedule-spread.ts';

const FLEET = Array.from({ length: 5_000 }, (_, index) => `db-${index}`);

function mostAtOnce(crons: string[]): number {
  const counts = new Map<string, number>();
  for (const cron of crons) counts.set(cron, (counts.get(cron) ?? 0) + 1);
  return Math.max(...counts.values());
}

test('5,000 databases with names alike do not start at once', () => {
  // 5,000 over 240 minutes are 21 in the mean.
  expect(mostAtOnce(FLEET.map(defaultLogical))).toBeLessThan(45);
  expect(mostAtOnce(FLEET.flatMap((name) => defaultPhysical(name, 24).full))).toBeLessThan(45);
});

test('dumps start between 02:00 and 05:59, fulls on Sunday between 20:00 and 23:59', () => {
  for (const name of FLEET.slice(0, 500)) {
    const [dump] = parseCron(defaultLogical(name)).minutes;
    expect(dump).toBeGreaterThanOrEqual(2 * 60);
    expect(dump).toBeLessThan(6 * 60);
    const full = parseCron(defaultPhysical(name, 24).full[0] ?? '');
    expect(full.minutes[0]).toBeGreaterThanOrEqual(20 * 60);
    expect([...full.weekdays]).toEqual([0]);
  }
});

test('a name keeps its time for ever', () => {
  expect(defaultLogical('shop')).toBe('5 2 * * *');
  expect(defaultPhysical('shop', 24)).toEqual({
    full: ['49 22 * * 0'],
    diff: ['49 22 * * 1-6'],
    everyDay: ['49 22 * * *'],
  });
});
