import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/sequence.ts';

export default defineConfig({
  test: {
    include: ['test/{unit,engine,workflow,e2e,replay}/**/*.test.ts'],
    globalSetup: 'test/global-setup.ts',
    pool: 'forks',
    // Tests wait for servers: of two cores two workers leave a quarter idle, three an eighth, and more would starve them.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    testTimeout: 120_000,
    hookTimeout: 240_000,
    teardownTimeout: 60_000,
    // A busy machine is no failure.
    expect: { poll: { timeout: 30_000, interval: 100 } },
  },
});
