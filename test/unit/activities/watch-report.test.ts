import { expect, test } from 'vitest';
import { reportOf, type WatchFindings, warningMs } from '../../../src/activities/watch-report.ts';
import { describeDatabase } from '../../../src/config/describe.ts';
import type { LogReport } from '../../../src/engines/contract/backup.ts';
import type { LogRound } from '../../../src/repository/continuity/round.ts';
import { databaseText, exampleConfig } from '../config/example.ts';

const shop = describeDatabase(
  exampleConfig({ databases: databaseText('shop', 'objectives: {rpo: 1h, rto: 4h}') }),
  'shop',
);
const NOON = '2026-01-31T12:00:00.000Z';
const server: LogReport = {
  ...{ database: 'shop', at: NOON, heartbeat: null, lastArchivedLog: null, lastArchivedAt: NOON },
  ...{ waiting: 0, ready: [], failure: null, switched: false },
};
const round = (recoverableAt: string | null): LogRound => ({
  ...{ cursor: null, timeline: 1, archivedUpTo: null, inFlight: [], lost: [], recoverableAt },
});
const problemOf = (found: Partial<WatchFindings>) =>
  reportOf(shop, { server, logs: round(NOON), trouble: [], now: new Date(NOON), ...found }).problem;

test('what is measured counts, whatever the server says of its archiver, and is said before the RPO is broken', () => {
  expect(problemOf({})).toBeNull();
  expect(problemOf({ logs: round('2026-01-31T11:16:00Z') })).toBeNull();
  expect(problemOf({ logs: round('2026-01-31T11:14:00Z') })).toBe(
    'if it were lost now, the last 46m would be gone, of an RPO of 1h',
  );
  expect(warningMs(shop.objectives.rpoMs, shop.tiers.log)).toBeLessThan(shop.objectives.rpoMs);
  // Before the first base there is nothing to be late.
  expect(problemOf({ logs: round(null) })).toBeNull();
});

test('a line is never drawn where everything is in order', () => {
  const slow = { maxAgeMs: 3_000_000, watchEveryMs: 60_000, worstMs: 3_400_000 };
  expect(warningMs(3_600_000, slow)).toBe(3_400_000);
});

test('of logs that we ship nothing is said of an archiver', () => {
  const text = databaseText('shop', 'objectives: {rpo: 1h, rto: 4h}')
    .replace('engine: postgres', 'engine: mysql')
    .replace('    postgres: {dataDirectory: /data/shop}\n', '');
  const mysql = describeDatabase(exampleConfig({ databases: text }), 'shop');
  const report = (changes: Partial<NonNullable<WatchFindings['server']>>) =>
    reportOf(mysql, {
      server: { ...server, ...changes },
      logs: round(NOON),
      trouble: [],
      now: new Date(NOON),
    });
  const failure = {
    at: NOON,
    log: 'binlog.000004',
    message: 'log binlog.000004 is not on the server any more',
  };
  expect(report({ failure }).problem).toBe(`shipping logs fails since ${NOON}: ${failure.message}`);
  expect(report({ lastArchivedAt: null }).problem).toBe('no log was shipped yet');
  expect(report({ shipping: 'binlog.000004' })).toMatchObject({ shipping: 'binlog.000004', problem: null });
  expect(report({ shipping: null })).not.toHaveProperty('shipping');
  expect(report({ lastArchivedAt: '2026-01-31T11:50:00Z' }).problem).toBe(
    'the end of the newest shipped log is 600 s old',
  );
  expect(report({}).logs).toMatchObject({ bases: 'logical' });
});

test('several troubles are one line, which stays short', () => {
  const failure = { at: NOON, log: null, message: 'exit code 82' };
  expect(problemOf({ server: { ...server, failure }, trouble: ['S3 is away'] })).toBe(
    `S3 is away; archiving fails since ${NOON}: exit code 82`,
  );
  expect(problemOf({ trouble: ['x'.repeat(1_000)] })).toHaveLength(401);
  expect(problemOf({ server: { ...server, lastArchivedAt: '2026-01-31T11:50:00Z' } })).toBe(
    'the newest archived log is 600 s old',
  );
});
