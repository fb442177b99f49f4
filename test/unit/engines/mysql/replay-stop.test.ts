import { describe, expect, test } from 'vitest';
import type { Transaction } from '../../../../src/engines/mysql/binlog/transaction.ts';
import { isPassed, parsePosition, stopOf } from '../../../../src/engines/mysql/replay-stop.ts';
import { isBefore } from '../../../../src/model/log-position.ts';
import type { Target } from '../../../../src/model/target.ts';

const BASE: Transaction = {
  ...{
    start: 100,
    end: 200,
    gtid: '0-1-7',
    serverId: 1,
    committedAt: 0n,
    committedAtText: '',
    isExact: true,
  },
  ...{ isComplete: true, isRolledBack: false, statements: 1, tables: [], ddl: [], dataStatements: [] },
  ...{ isCut: false, xa: null, incident: null },
};
const of = (change: Partial<Transaction>): Transaction => ({ ...BASE, ...change });
const second = BigInt(Date.parse('2026-01-31T14:05:00Z')) * 1000n;

/** Which of some transactions are replayed, by their end. */
function replayed(target: Target, list: Transaction[], log = 'binlog.000004'): number[] {
  const stop = stopOf(target);
  const at = list.findIndex((one) => stop.isAt(one, log));
  return (at < 0 ? list : list.slice(0, at)).map(({ end }) => end);
}

describe('where a replay stops', () => {
  const times = [
    of({ end: 1, committedAt: second - 1n }),
    of({ end: 2, committedAt: second }),
    of({ end: 3, committedAt: second + 1n }),
    of({ end: 4, committedAt: second - 1n }),
  ];
  test.each<[Target, number[]]>([
    [{ time: '2026-01-31T14:05:00Z' }, [1, 2]],
    [{ time: '2026-01-31T15:05:00+01:00', exclusive: true }, [1]],
    [{ time: '2026-01-31 14:05Z' }, [1, 2]],
    [{ time: '2026-01-31T15:05:00.000001+01' }, [1, 2, 3, 4]],
    [{ latest: true }, [1, 2, 3, 4]],
  ])('%j', (target, ends) => {
    expect(replayed(target, times)).toEqual(ends);
  });

  const list = [
    of({ end: 200, gtid: '0-1-1' }),
    of({ end: 300, gtid: '0-1-5' }),
    of({ end: 400, gtid: '1-1-2' }),
  ];
  test.each<[Target, number[]]>([
    [{ gtid: '0-1-5' }, [200]],
    [{ gtid: '0-1-5', exclusive: false }, [200, 300]],
    [{ gtid: '9-9-9' }, [200, 300, 400]],
    [{ lsn: 'binlog.000004:300' }, [200, 300]],
    [{ lsn: 'binlog.000004:399' }, [200, 300]],
    [{ lsn: 'binlog.000003:399' }, []],
    [{ lsn: 'binlog.000005:4' }, [200, 300, 400]],
    [{ backup: 'x' }, []],
  ])('%j', (target, ends) => {
    expect(replayed(target, list)).toEqual(ends);
  });

  test('what MySQL has not is told', () => {
    expect(() => stopOf({ xid: '7' })).toThrow(/cannot be recovered to just before transaction 7/);
    expect(() => stopOf({ lsn: '0/3000148' })).toThrow(/no position in a log/);
  });

  test('positions count on beyond six digits', () => {
    expect(parsePosition('my.bin.000004:77')).toEqual({ log: 'my.bin.000004', position: 77 });
    const [last, next] = [parsePosition('b.999999:500'), parsePosition('b.1000000:4')];
    expect(isBefore(last, next)).toBe(true);
    expect(isBefore(next, last)).toBe(false);
  });
});

test('a target that is behind what is applied', () => {
  const applied = {
    lsn: 'binlog.000004:300',
    gtid: '0-1-5,1-1-2',
    lastTransactionAt: '',
    latestAt: String(second),
  };
  const passed: [Target, boolean][] = [
    [{ time: '2026-01-31T14:05:00Z' }, false],
    [{ time: '2026-01-31T14:05:00Z', exclusive: true }, true],
    [{ lsn: 'binlog.000004:299' }, true],
    [{ lsn: 'binlog.000004:300' }, false],
    [{ gtid: '0-1-5' }, true],
    [{ gtid: '0-1-6' }, false],
    [{ gtid: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1' }, false],
    [{ latest: true }, false],
  ];
  for (const [target, is] of passed) expect([target, isPassed(target, applied)]).toEqual([target, is]);
});
