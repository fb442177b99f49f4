import { expect, test } from 'vitest';
import { foresee } from '../../../../src/repository/bucket/foresee.ts';
import type { BucketSettings } from '../../../../src/repository/bucket/settings.ts';
import { factsOf, RULES, rule } from '../audit/situation.ts';

const desired: BucketSettings = {
  ...{ region: 'eu-central-1', versioning: 'enabled', encryption: null, publicAccessBlocked: true },
  ...{ objectLock: { retention: { mode: 'COMPLIANCE', days: 15 } }, policy: null, rules: RULES, lacking: [] },
};
const deadly = (id: string) => rule({ id, prefix: 'pgbackrest/backup/', expire: { days: 30 } });

test('a plan that changes nothing brings and mends nothing', () => {
  expect(foresee(factsOf(), desired)).toEqual({ brings: [], mends: [] });
});

test('a rule of ours that kills a base is mended by the plan, or brought by it', () => {
  const mending = foresee(factsOf({ rules: [...RULES, deadly('holdfast-old')] }), desired);
  expect(mending.brings).toEqual([]);
  expect(mending.mends.map(({ code }) => code)).toContain('needed-gone');
  const bringing = foresee(factsOf(), { ...desired, rules: [...RULES, deadly('holdfast-new')] });
  expect(bringing.brings.map(({ code }) => code)).toContain('needed-gone');
  expect(bringing.mends).toEqual([]);
});

test("somebody else's is there before and after: it is the audit's, not the plan's", () => {
  expect(foresee(factsOf({ rules: [...RULES, deadly('theirs')] }), desired)).toEqual({
    brings: [],
    mends: [],
  });
});
