import { describe } from 'vitest';
import { testBackup, testCompared, testRestored, withKilling } from '../e2e/killed-worker.ts';

/** The other points: test/e2e/faults-kill.test.ts. */
describe('the worker is killed with SIGKILL', () => {
  const killing = withKilling();
  testBackup(killing, 'dumping');
  testRestored(killing, 'restore');
  testCompared(killing);
});
