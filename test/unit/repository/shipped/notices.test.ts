import { expect, test } from 'vitest';
import { noticesOfLogs } from '../../../../src/repository/shipped/notices.ts';

const log = (number: number, ...notices: string[]) => ({ name: `binlog.${number}`, notices });
const statements = (some: number, all: number) => `${some} of ${all} transactions are statements, not rows`;

test('of many logs each thing is said once, with all that was found and where', () => {
  const records = [
    log(1),
    log(2, statements(900, 1000)),
    log(3, statements(200, 1500), 'it could not log everything (2 incidents)'),
    log(4),
    log(5, statements(1, 1)),
  ];
  expect(noticesOfLogs(records)).toEqual([
    'in 3 of 5 replayed logs (binlog.2 … binlog.5): 1,101 of 2,501 transactions are statements, not rows; what they did may have come back otherwise than it was',
    'in 1 of 5 replayed logs (binlog.3): it could not log everything (2 incidents); what they did may have come back otherwise than it was',
  ]);
});

test('of logs of rows, and of none, nothing is said', () => {
  expect(noticesOfLogs([log(1), log(2)])).toEqual([]);
  expect(noticesOfLogs([])).toEqual([]);
});
