import { expect, test } from 'vitest';
import { removalsDue } from '../../../src/instances/expiry.ts';
import type { InstanceRecord } from '../../../src/instances/instance.ts';

const now = new Date('2026-01-31T12:00:00Z');

function record(change: Partial<InstanceRecord>): InstanceRecord {
  return {
    id: 'a',
    site: 'local',
    host: 'h',
    database: 'shop',
    engine: 'postgres',
    owner: { workflowId: 'pitr/shop/1', runId: 'r' },
    createdAt: '2026-01-31T11:00:00Z',
    expiresAt: '2026-01-31T13:00:00Z',
    directory: '/x/a',
    user: null,
    url: null,
    kept: false,
    ...change,
  };
}

const ids = (records: InstanceRecord[], state: 'running' | 'closed' | 'unknown') =>
  removalsDue(records, () => state, now).map(({ record }) => record.id);

test('an instance stays while its workflow runs and it has not expired', () => {
  expect(ids([record({})], 'running')).toEqual([]);
});

test('an instance goes when its workflow is closed, unless a person keeps it', () => {
  expect(ids([record({}), record({ id: 'kept', kept: true })], 'closed')).toEqual(['a']);
});

test('an owner that could not be asked is no reason to remove', () => {
  expect(ids([record({})], 'unknown')).toEqual([]);
});

test('expiry removes whatever the owner does, kept or not', () => {
  const expired = { expiresAt: '2026-01-31T13:00:00+01:00' };
  expect(ids([record(expired), record({ ...expired, id: 'kept', kept: true })], 'running')).toEqual([
    'a',
    'kept',
  ]);
});

test('an unreadable expiry does not keep an instance for ever', () => {
  const [removal] = removalsDue([record({ expiresAt: 'never' })], () => 'running', now);
  expect(removal?.reason).toBe('it expired at never');
});

test('production stays; a candidate goes as an instance does', () => {
  const expired = { expiresAt: '2026-01-31T11:30:00Z', kept: true };
  expect(
    ids(
      [
        record({ ...expired, id: 'candidate', role: 'candidate' }),
        record({ ...expired, id: 'kept', role: 'candidate', expiresAt: '2026-01-31T13:00:00Z' }),
        record({ ...expired, id: 'production', role: 'production', kept: false }),
      ],
      'closed',
    ),
  ).toEqual(['candidate']);
});

test('a candidate stays as long as its recovery runs, and no longer than any other after that', () => {
  const candidates = [
    record({ role: 'candidate', expiresAt: '2026-01-31T11:30:00Z' }),
    record({ id: 'offered', role: 'candidate', kept: true }),
  ];
  expect(ids(candidates, 'running')).toEqual([]);
  expect(ids(candidates, 'closed')).toEqual(['a']);
});
