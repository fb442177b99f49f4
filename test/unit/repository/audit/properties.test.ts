import fc from 'fast-check';
import { test } from 'vitest';
import { compare } from './comparison.ts';
import { facts } from './generators.ts';

const RUNS = Number(process.env.HOLDFAST_AUDIT_RUNS ?? 1_200);

/** Most trouble shows within two weeks; ends of months and of retentions want longer. */
const horizons = fc.oneof(
  fc.integer({ min: 1, max: 15 }),
  fc.integer({ min: 1, max: 15 }),
  fc.integer({ min: 16, max: 75 }),
);

/** Far more than it takes: `npm run test:long` asks for very many runs. */
const PATIENCE = 60_000 + RUNS * 100;

test(
  `the audit and the walk agree on ${RUNS} repositories over weeks and months`,
  () => {
    fc.assert(fc.property(facts(), horizons, compare), { numRuns: RUNS });
  },
  PATIENCE,
);

test(
  'they agree over a whole year',
  () => {
    fc.assert(
      fc.property(facts(3), (given) => compare(given, 366)),
      { numRuns: Math.ceil(RUNS / 200) },
    );
  },
  PATIENCE,
);
