import { expect, test } from 'vitest';
import { deriveObjectives } from '../../../src/model/objective.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test('without a class the defaults count', () => {
  expect(deriveObjectives({})).toEqual({
    rpoMs: 24 * HOUR,
    rpoFrom: 'default',
    rtoMs: 4 * HOUR,
    rtoFrom: 'default',
  });
});

test('the strictest of several classes counts, for each objective on its own', () => {
  expect(
    deriveObjectives({ classes: ['analytics', 'internal-tools', 'financial', 'critical-saas'] }),
  ).toEqual({
    rpoMs: HOUR,
    rpoFrom: 'class financial',
    rtoMs: 30 * MINUTE,
    rtoFrom: 'class critical-saas',
  });
});

test('what is set wins, even when a class is stricter', () => {
  const objectives = deriveObjectives({ classes: ['financial', 'critical-saas'], rpo: '4h' });
  expect(objectives).toMatchObject({ rpoMs: 4 * HOUR, rpoFrom: 'set', rtoMs: 30 * MINUTE });
});
