import type { Metrics } from '../src/model/metric.ts';

/** For activities whose measurements a test does not look at. */
export const NO_METRICS: Metrics = { set: () => {} };
