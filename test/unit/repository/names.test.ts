import { describe, expect, test } from 'vitest';
import { heartbeatName, parseHeartbeatName } from '../../../src/repository/heartbeats.ts';
import { parseLogFile } from '../../../src/repository/logs.ts';

describe('heartbeat names', () => {
  test('are read back', () => {
    const beat = {
      at: '2026-01-31T14:05:00.123Z',
      timeline: 11,
      log: '0000000B0000000A00000003',
      position: 'A/3000148',
    };
    expect(heartbeatName(beat)).toBe('20260131T140500123Z_11_0000000B0000000A00000003_A-3000148');
    expect(parseHeartbeatName(heartbeatName(beat))).toEqual(beat);
  });

  test('may hold the number of the transaction', () => {
    const beat = {
      ...{ at: '2026-01-31T14:05:00.123Z', timeline: 1, log: '0'.repeat(24), position: '0/0' },
      xid: '8589934597',
    };
    expect(heartbeatName(beat)).toMatch(/_0-0_8589934597$/);
    expect(parseHeartbeatName(heartbeatName(beat))).toEqual(beat);
  });

  test('never claim a later moment than the commit', () => {
    const beat = { at: '2026-01-31T14:05:00.123999Z', timeline: 1, log: '0'.repeat(24), position: '0/0' };
    expect(parseHeartbeatName(heartbeatName(beat))?.at).toBe('2026-01-31T14:05:00.123Z');
  });
});

test.each([
  [
    '000000010000000000000001-da39a3ee5e6b4b0d3255bfef95601890afd80709.zst',
    'segment',
    '000000010000000000000001',
  ],
  [
    '000000010000000000000001-da39a3ee5e6b4b0d3255bfef95601890afd80709',
    'segment',
    '000000010000000000000001',
  ],
  [
    '00000001000000000000000A.partial-da39a3ee5e6b4b0d3255bfef95601890afd80709.gz',
    'partial',
    '00000001000000000000000A',
  ],
  ['000000010000000000000001.00000028.backup', 'backup', '000000010000000000000001'],
  ['00000002.history', 'history', '00000002'],
])('%s is a %s', (file, kind, name) => {
  expect(parseLogFile(file)).toEqual({ kind, name });
});

test.each(['archive.info', 'archive.info.copy', '000000010000000000000001-short.zst', ''])(
  '%s is no log',
  (file) => {
    expect(parseLogFile(file)).toBeNull();
  },
);
