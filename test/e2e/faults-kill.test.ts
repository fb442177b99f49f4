import { describe } from 'vitest';
import { testBackup, testDecided, testImported, testRestored, withKilling } from './killed-worker.ts';

/** Other points of the same kinds: test/long/faults-kill.test.ts. */
describe('the worker is killed with SIGKILL', () => {
  const killing = withKilling();
  testBackup(killing, 'uploading');
  testRestored(killing, 'replay');
  testDecided(killing);
  testImported(killing);
});
