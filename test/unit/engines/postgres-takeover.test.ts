import { expect, test } from 'vitest';
import type { TakeOverInput } from '../../../src/engines/contract/restore.ts';
import { renderService } from '../../../src/engines/postgres/takeover/service.ts';
import { renderProductionSettings } from '../../../src/engines/postgres/takeover/settings.ts';

const PARAMETERS = {
  max_connections: 100,
  max_worker_processes: 8,
  max_wal_senders: 10,
  max_prepared_transactions: 0,
  max_locks_per_transaction: 64,
};

function input(settings: TakeOverInput['server']['settings'] = {}): TakeOverInput {
  return {
    place: { directory: "/data/it's/one", user: 'postgres' },
    name: 'shop',
    repository: {
      ...{ endpoint: null, region: 'eu-west-1', bucket: 'b', path: 'pgbackrest', pathStyle: false },
      ...{ caFile: null, credentials: null, kmsKeyId: null, cipher: 'the passphrase' },
    },
    stanza: 'shop-20260131t120000z',
    serverMajor: 15,
    ...{ user: 'postgres', database: 'shop' },
    server: { listen: '10.0.0.7', port: 5433, hba: [], settings, tls: { certFile: '/c', keyFile: '/k' } },
  };
}

/** What the server takes: of one setting the last. */
const settingsOf = (given: TakeOverInput) =>
  Object.fromEntries(
    renderProductionSettings(given, PARAMETERS)
      .split('\n')
      .filter((line) => line.includes(' = '))
      .map((line) => line.split(' = ') as [string, string]),
  );

test('settings of the configuration count, but none that production stands on, and none below its recovery', () => {
  const settings = settingsOf(
    input({
      ...{ work_mem: '64MB', jit: false, max_connections: 50, max_wal_senders: '20' },
      ...{ max_logical_replication_workers: 4, fsync: false, archive_mode: false, port: 1 },
    }),
  );
  expect(settings).toMatchObject({
    ...{ work_mem: "'64MB'", jit: 'off', max_connections: '100', max_wal_senders: '20' },
    ...{ max_logical_replication_workers: '4', fsync: 'on', archive_mode: 'on', port: '5433' },
    ...{ listen_addresses: "'10.0.0.7'", ssl: 'on', ssl_key_file: "'/k'" },
  });
  expect(settingsOf(input()).max_logical_replication_workers).toBe('0');
});

test('it archives into its own stanza; no secret is in the settings or the service', () => {
  const text = renderProductionSettings(input(), PARAMETERS);
  expect(text).toContain("--stanza=''shop-20260131t120000z'' archive-push %p");
  expect(text).not.toContain('passphrase');
});

test('the service starts what runs, as its user, and says when it is ready where the server can', () => {
  const made = {
    program: '/usr/lib/postgresql/15/bin/postgres',
    notifies: true,
    path: '/x/holdfast-shop.service',
  };
  const unit = renderService(input(), made);
  expect(unit).toContain('\nUser=postgres\n');
  expect(unit).toContain('\nType=notify\n');
  expect(unit).toContain(`\nExecStart=${made.program} -D "/data/it's/one/data" -c `);
  expect(unit).not.toContain('ExecStartPre');
  expect(renderService(input(), { ...made, notifies: false })).toContain('\nType=simple\n');
  const deep = { directory: `/${'d'.repeat(90)}/one`, user: 'postgres' };
  expect(renderService({ ...input(), place: deep }, made)).toMatch(
    /\nExecStartPre=\+\/usr\/bin\/install -d -m 0700 -o postgres \/tmp\/holdfast-[0-9a-f]{20}\n/,
  );
});
