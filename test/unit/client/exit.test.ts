import { expect, test } from 'vitest';
import { exitCodeOfError, exitCodeOfOutcome } from '../../../src/client/exit.ts';
import { HoldfastError } from '../../../src/model/failure.ts';
import { OUTCOMES } from '../../../src/model/runbook.ts';

test('the exit code of every outcome is part of the contract', () => {
  expect(Object.fromEntries(OUTCOMES.map((outcome) => [outcome, exitCodeOfOutcome(outcome)]))).toEqual({
    running: 0,
    'waiting-for-decision': 3,
    parked: 1,
    completed: 0,
    failed: 1,
    rejected: 4,
    expired: 4,
    cancelled: 4,
  });
});

test('what a person can put right before starting ends with 2, everything else with 1', () => {
  expect(exitCodeOfError(new HoldfastError('InvalidConfiguration', 'x'))).toBe(2);
  expect(exitCodeOfError(new HoldfastError('UnknownDatabase', 'x'))).toBe(2);
  expect(exitCodeOfError(new HoldfastError('ConnectionFailed', 'x'))).toBe(1);
  expect(exitCodeOfError(new Error('x'))).toBe(1);
});
