import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/sequence.ts';

export default defineConfig({
  test: {
    include: ['test/{unit,engine,workflow,e2e,replay}/**/*.test.ts'],
    globalSetup: 'test/global-setup.ts',
    pool: 'forks',
    // Real servers run beside the tests; more workers than this starve them on a small machine.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 120_000,
    hookTimeout: 240_000,
    teardownTimeout: 60_000,
    // A busy machine is no failure.
    expect: { poll: { timeout: 30_000, interval: 100 } },
  },
});
