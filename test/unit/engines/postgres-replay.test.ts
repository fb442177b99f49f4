import { expect, test } from 'vitest';
import { parameterTooLow, parseParameters, raise } from '../../../src/engines/postgres/control-data.ts';
import { isFurther } from '../../../src/engines/postgres/replay.ts';
import { isLater } from '../../../src/engines/postgres/replay-wait.ts';
import { restoreProgress } from '../../../src/engines/postgres/restore.ts';
import { failureOfServer, lastCommitInLog, stopPosition } from '../../../src/engines/postgres/server-log.ts';
import { renderSettings } from '../../../src/engines/postgres/settings.ts';
import type { Target } from '../../../src/model/target.ts';

test('times are compared to the microsecond and across offsets', () => {
  const noon = '2026-01-31T12:00:00.000001Z';
  expect(isLater('2026-01-31T12:00:00.000002Z', noon, false)).toBe(true);
  expect(isLater('2026-01-31T13:00:00.000001+01:00', noon, false)).toBe(false);
  expect(isLater('2026-01-31T13:00:00.000001+01', noon, true)).toBe(true);
  expect(isLater('2026-01-31 07:30:00.000002-0430', noon, false)).toBe(true);
  expect(isLater('2026-01-31T12:00:00Z', noon, true)).toBe(false);
});

test('only a target that lies further on for certain is taken up without a new restore', () => {
  const further = (from: Target, to: Target, reached: { lsn: string } | null = null) =>
    isFurther({ target: from, timeline: 1, reached }, { target: to, timeline: 1 });
  const early = { time: '2026-01-31T12:00:00Z' };
  const late = { time: '2026-01-31T12:00:01Z' };
  expect(further(early, late)).toBe(true);
  expect(further(late, early)).toBe(false);
  expect(further(early, { latest: true })).toBe(true);
  expect(further({ latest: true }, late)).toBe(false);
  expect(further({ latest: true }, { latest: true })).toBe(true);
  expect(further({ lsn: '0/9000000' }, { lsn: '0/10000000' })).toBe(true);
  expect(further({ lsn: '1/0' }, { lsn: '0/FFFFFFFF' })).toBe(false);
  expect(further({ xid: '700' }, { xid: '800' })).toBe(false);
  expect(further({ xid: '700' }, { lsn: '0/5000000' }, { lsn: '0/4000000' })).toBe(true);
  expect(further({ xid: '700' }, { lsn: '0/5000000' })).toBe(false);
  expect(further({ backup: 'a' }, { xid: '700' })).toBe(true);
  expect(isFurther({ target: early, timeline: 1, reached: null }, { target: late, timeline: 2 })).toBe(false);
});

test('pg_controldata gives what recovery needs at least', () => {
  const text = `wal_level setting:                    replica
max_connections setting:              160
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           3
max_locks_per_xact setting:           64
`;
  expect(parseParameters(text)).toEqual({
    max_connections: 160,
    max_worker_processes: 8,
    max_wal_senders: 10,
    max_prepared_transactions: 3,
    max_locks_per_transaction: 64,
  });
  expect(raise(parseParameters(text), { max_connections: 200, max_worker_processes: 4 })).toMatchObject({
    max_connections: 200,
    max_worker_processes: 8,
  });
});

test('a parameter that is too low is read from the server log of every version', () => {
  const since14 =
    'DETAIL:  max_connections = 100 is a lower setting than on the primary server, where its value was 160.';
  const until13 =
    'FATAL:  hot standby is not possible because max_wal_senders = 10 is a lower setting than on the primary server (its value was 20)';
  expect(parameterTooLow(since14)).toEqual({ max_connections: 160 });
  expect(parameterTooLow(until13)).toEqual({ max_wal_senders: 20 });
  expect(parameterTooLow('LOG:  paused')).toBe(null);
});

test('the position is what the server says of it', () => {
  const stop = (text: string) =>
    stopPosition(`2026-01-31 12:00:00.000 UTC [1] LOG:  recovery stopping ${text}\n`);
  expect(stop('before commit of transaction 741, time 2026-01-31 12:00:00.123456+00')).toBe(
    'before commit of transaction 741, time 2026-01-31 12:00:00.123456+00',
  );
  expect(stop('after WAL location (LSN) "0/5000148"')).toBe('after LSN "0/5000148"');
  expect(stopPosition('LOG:  redo starts at 0/2000028')).toBe(null);
});

test('why a server ended', () => {
  const why = (log: string, missingLog: string | null = null) =>
    failureOfServer({
      target: { time: '2026-01-31T12:00:00Z' },
      timeline: 1,
      log,
      lastLog: '000000010000000000000009',
      missingLog,
    }).type;
  const ended = 'FATAL:  recovery ended before configured recovery target was reached';
  expect(why(ended, '00000001000000000000000A')).toBe('TargetNotReached');
  expect(why(ended, '000000010000000000000007')).toBe('LogGap');
  expect(why('PANIC:  could not write to file "pg_wal/xlogtemp.1": No space left on device')).toBe(
    'NotEnoughSpace',
  );
  expect(why('FATAL:  requested recovery stop point is before consistent recovery point')).toBe(
    'TargetNotRecoverable',
  );
  expect(why('FATAL:  recovery target timeline 3 does not exist')).toBe('TargetNotRecoverable');
  const get = 'holdfast: pgbackrest archive-get 000000010000000000000007 ended with';
  expect(why(`ERROR: [049]: unable to connect to 'x:443': timeout\n${get} 49`)).toBe('RepositoryUnavailable');
  expect(why(`ERROR: [039]: HTTP request failed with 403 (Forbidden): AccessDenied\n${get} 39`)).toBe(
    'RepositoryRefused',
  );
  // As pgBackRest 2.45 writes it: what is wrong with the file stands in the line below.
  const raised = 'ERROR: [042]: raised from local-1 protocol: unable to get 000000010000000000000007:';
  const file = '       repo1: 15-1/0000000100000000/000000010000000000000007-3b46.zst';
  const retried = '       [FileReadError] on retry after 0ms';
  for (const kind of ['FormatError', 'ChecksumError', 'CryptoError']) {
    const what = `${file} [${kind}] zst error: [-20] Data corruption detected`;
    expect(why([raised, what, retried, `${get} 42`].join('\n'))).toBe('ChecksumMismatch');
  }
  expect(why(`${raised}\n${file} [HostConnectError] timeout\n${retried}\n${get} 42`)).toBe(
    'RepositoryUnavailable',
  );
  expect(why('PANIC:  WAL contains references to invalid pages')).toBe('BackupUnusable');
  expect(why('FATAL:  could not locate required checkpoint record')).toBe('BackupUnusable');
  expect(why('FATAL:  something else')).toBe('ToolFailed');
  expect(lastCommitInLog('LOG:  last completed transaction was at log time 2026-01-31 11:59:58.5+00')).toBe(
    '2026-01-31T11:59:58.5Z',
  );
});

test('the progress of a restore comes from the size and share of each file', () => {
  const progress = restoreProgress();
  expect(progress('P00   INFO: repo1: restore backup set 20260131-120000F')).toBe(null);
  expect(progress('P01 DETAIL: restore file /x/data/base/1/2 (1MB, 25.00%) checksum ab')).toMatchObject({
    done: 1_048_576,
    total: 4_194_304,
    detail: '1 files',
  });
  expect(
    progress(
      'P02 DETAIL: restore file /x/data/base/1/3 - exists and matches backup (1MB, 50.00%) checksum cd',
    ),
  ).toMatchObject({ done: 2_097_152, total: 4_194_304, unit: 'bytes' });
});

test('the settings of an instance keep paths, quotes and the limits of 32-bit transaction ids', () => {
  const place = { directory: "/srv/it's 100%", user: null };
  const parameters = parseParameters('');
  const render = (target: Target) =>
    renderSettings(place, {
      ...{ serverMajor: 14, parameters, target, timeline: 2 },
      archiveGet: `${place.directory}/get.sh`,
      fsync: false,
    });
  const xid = render({ xid: '4294967996' });
  expect(xid).toContain("recovery_target_xid = '700'");
  expect(xid).toContain("recovery_target_inclusive = 'off'");
  expect(xid).toContain('recovery_target_timeline = 2');
  // A quote ends and begins again for the shell; for the settings, quotes and backslashes are doubled.
  expect(xid).toContain(`restore_command = 'sh ''/srv/it''\\\\''''s 100%%/get.sh'' %f %p'`);
  expect(xid).toContain("archive_mode = 'off'");
  // Nothing that would act for production: its subscriptions, its slot, its job schedulers.
  expect(xid).toContain('max_logical_replication_workers = 0');
  expect(xid).toContain("primary_slot_name = ''");
  for (const kind of ['shared', 'session', 'local']) expect(xid).toContain(`${kind}_preload_libraries = ''`);
  // archive_library is unknown before PostgreSQL 15, and an unknown setting keeps a server from starting.
  expect(xid).not.toContain('archive_library');
  // `Z` is not understood while a server reads its settings.
  expect(render({ time: '2026-01-31T12:00:00.5Z' })).toContain(
    "recovery_target_time = '2026-01-31T12:00:00.5+00'",
  );
  expect(render({ latest: true })).not.toMatch(/recovery_target_(?:time|xid|lsn|name) =/);
});
