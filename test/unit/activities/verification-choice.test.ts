import { describe, expect, test } from 'vitest';
import { chooseForVerification } from '../../../src/activities/verification-choice.ts';
import type { DatabaseView } from '../../../src/config/describe.ts';
import type { Manifest } from '../../../src/model/backup.ts';
import { base, EPOCH, isoAt } from '../repository/recoverability.ts';

const HOUR = 3_600_000;
const now = new Date(EPOCH + 30 * 24 * HOUR);
const tiers = {
  log: null,
  logical: { schedule: ['0 2 * * *'] },
  physical: { baseGapMs: 24 * HOUR },
} as unknown as DatabaseView['tiers'];
const off = { ...tiers, physical: null };

const aged = (id: string, hours: number, tier: Manifest['tier'] = 'logical'): Manifest =>
  base(id, 1, now.getTime() - EPOCH - hours * HOUR, { tier });

function choose(
  manifests: Manifest[],
  options: { tiers?: DatabaseView['tiers']; backup?: string; unreadable?: string[] } = {},
) {
  const unreadable = (options.unreadable ?? []).map((writtenAt) => ({ backup: 'x', writtenAt }));
  return chooseForVerification(
    { name: 'shop', bases: 'physical', tiers: options.tiers ?? off },
    { manifests, unreadable },
    { backup: options.backup ?? null, now },
  );
}

describe('age', () => {
  test.each<[string, number, 'pass' | 'fail']>([
    ['of this moment', 0, 'pass'],
    ['as old as the gap', 24, 'pass'],
    ['older by what a run may take', 30, 'pass'],
    ['older than that', 30.01, 'fail'],
    ['of last week', 168, 'fail'],
    ['from the future, by a clock that is wrong', -1, 'pass'],
  ])('a daily backup that is %s', (_, hours, verdict) => {
    const { checks, candidates } = choose([aged('a', hours)]);
    expect(checks.map((check) => check.verdict)).toEqual([verdict]);
    // Stale or not, it is looked at.
    expect(candidates).toMatchObject([{ backup: 'a', newest: true }]);
  });

  test('counts for the newest alone', () => {
    const { checks, candidates } = choose([aged('old', 100), aged('new', 1), aged('older', 200)]);
    expect(candidates.map(({ backup }) => backup)).toEqual(['new']);
    expect(checks).toMatchObject([{ name: 'logical: age', verdict: 'pass' }]);
  });
});

test('each tier that is configured is asked for, and no other', () => {
  expect(choose([], { tiers })).toMatchObject({
    candidates: [],
    missing: ['logical', 'physical'],
    checks: [{ verdict: 'fail' }, { verdict: 'fail' }],
  });
  const both = [aged('dump', 1), aged('base', 1, 'physical')];
  expect(choose(both, { tiers }).candidates.map(({ tier }) => tier)).toEqual(['logical', 'physical']);
  expect(choose(both).candidates.map(({ tier }) => tier)).toEqual(['logical']);
});

describe('a manifest that nobody can read', () => {
  const fails = (unreadable: string[], manifests = [aged('a', 1)]) =>
    choose(manifests, { unreadable }).checks.filter(({ name }) => name === 'logical: manifest').length;

  test('fails where it is later than the newest that can be read, or nothing can be', () => {
    expect(fails([now.toISOString()])).toBe(1);
    expect(fails([isoAt(0)], [])).toBe(1);
  });

  test('is of no matter where a later backup is whole', () => {
    expect(fails([isoAt(0)])).toBe(0);
  });
});

describe('a backup that is named', () => {
  test('is taken whatever its age, without the checks of the newest', () => {
    const { candidates, checks } = choose([aged('new', 1), aged('old', 900)], { backup: 'old' });
    expect(candidates).toMatchObject([{ backup: 'old', newest: false }]);
    expect(checks).toEqual([]);
  });

  test('and is a snapshot is restored as what it is a copy of', () => {
    const taken = { ...aged('taken', 1, 'snapshot'), copyOf: { tier: 'physical' as const, id: 'base' } };
    expect(choose([taken], { backup: 'taken' }).candidates).toEqual([
      { tier: 'snapshot', copyOf: 'physical', backup: 'taken', startedAt: taken.startedAt, newest: false },
    ]);
  });

  test('and not there is refused', () => {
    expect(() => choose([aged('new', 1)], { backup: 'x' })).toThrow(/there is no backup x of shop to verify/);
  });
});
