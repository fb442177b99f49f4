import { expect, it } from 'vitest';
import { DEFAULT_SEGMENT_BYTES } from '../../../src/model/wal.ts';
import { logsBetween } from '../../../src/repository/log-range.ts';
import {
  archived,
  archivedRange,
  heartbeat,
  isoAt,
  logName,
  SEGMENT_MS,
  segmentAt,
} from './recoverability.ts';

const between = (
  logs: Omit<Parameters<typeof logsBetween>[0], 'manifests'>,
  from: number,
  to: number,
): { names: string[]; notices: string[] } => {
  const known = { ...logs, manifests: [] };
  const { logs: found, notices } = logsBetween(
    known,
    { from: Date.parse(isoAt(from)), to: Date.parse(isoAt(to)) },
    DEFAULT_SEGMENT_BYTES,
  );
  return { names: found.map(({ name }) => name), notices };
};
const names = (first: number, last: number, timeline = 1) =>
  archivedRange(first, last, timeline).map(({ name }) => name);
const MINUTE = 60_000;

it('heartbeats tell the first and the last log of a span, with a minute before it for what had begun', () => {
  const beats = Array.from({ length: 200 }, (_, at) => heartbeat(at * SEGMENT_MS + 1));
  const known = { segments: archivedRange(0, 199), heartbeats: beats };
  const from = 100 * SEGMENT_MS + 2;
  const to = 120 * SEGMENT_MS;
  const { names: found, notices } = between(known, from, to);
  expect(found).toEqual(names(segmentAt(from - MINUTE), segmentAt(to)));
  expect(notices).toEqual([]);
});

it('without heartbeats the times of archiving do, and it is said that the newest log is still open', () => {
  const known = { segments: archivedRange(0, 199), heartbeats: [] };
  const { names: found, notices } = between(known, 150 * SEGMENT_MS, 500 * SEGMENT_MS);
  expect(found.at(-1)).toBe(logName(199));
  expect(names(0, 149)).toContain(found[0]);
  expect(notices).toEqual([expect.stringContaining(`the newest archived log is ${logName(199)}`)]);
});

it('a missing log is said, and so is a beginning that is not archived, and nothing at all', () => {
  const segments = [...archivedRange(3, 9), ...archivedRange(12, 20)];
  const { names: found, notices } = between({ segments, heartbeats: [] }, 0, 30 * SEGMENT_MS);
  expect(found).toEqual([...names(3, 9), ...names(12, 20)]);
  expect(notices).toEqual([
    expect.stringContaining(`the oldest archived log is ${logName(3)}`),
    `2 logs are missing, ${logName(10)} to ${logName(11)}: what they held is not searched`,
    expect.stringContaining(`the newest archived log is ${logName(20)}`),
  ]);
  expect(between({ segments: [], heartbeats: [] }, 0, 1)).toEqual({
    names: [],
    notices: ['no log is archived'],
  });
});

it('searches the place that the database lived at, and says what lies before the move', () => {
  const known = {
    segments: [...archivedRange(0, 9), ...archivedRange(7, 20, 2, 'shop-2')],
    heartbeats: [heartbeat(85_000), heartbeat(95_000), heartbeat(105_000, 2), heartbeat(205_000, 2)],
    former: [{ stanza: 'shop', until: isoAt(100_000) }],
  };
  expect(between(known, 0, 84_000).names).toEqual(names(0, 8));
  expect(between(known, 190_000, 200_000)).toEqual({ names: names(10, 20, 2), notices: [] });
  const { names: found, notices } = between(known, 50_000, 200_000);
  expect(found).toEqual(names(7, 20, 2));
  expect(notices[0]).toContain(`the database was moved at ${isoAt(100_000)}`);
});

it('goes over to the timeline that was branched off, and to the newest incarnation', () => {
  const segments = [...archivedRange(0, 9), ...archivedRange(6, 12, 2), archived(500, 1, '14-1')];
  const { names: found } = between(
    {
      segments: segments.map((log) => (log.archive === '14-1' ? log : { ...log, archive: '15-2' })),
      heartbeats: [],
    },
    0,
    30 * SEGMENT_MS,
  );
  expect(found).toEqual([...names(0, 5), ...names(6, 12, 2)]);
});
