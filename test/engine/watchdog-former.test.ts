import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../src/client/dev/ports.ts';
import { type RunningPostgres, startPostgres } from '../../src/client/dev/postgres.ts';
import type { LoadedConfig } from '../../src/config/load.ts';
import { withTopology } from '../../src/config/topology.ts';
import { identify } from '../../src/engines/postgres/takeover/identify.ts';
import type { Problem } from '../../src/model/problem.ts';
import type { Address } from '../../src/model/topology.ts';
import { formerProblems } from '../../src/watchdog/former.ts';
import { exampleConfig } from '../unit/config/example.ts';
import { quietly } from './postgres-recovery-fixture.ts';
import { query } from './postgres-sides-fixture.ts';

const run = promisify(execFile);

let folder: string;
/** The old primary, its copy as a standby that is promoted later, and a server that has nothing to do with it. */
let old: RunningPostgres;
let copy: RunningPostgres;
let stranger: RunningPostgres;
let systemIdentifier: string;

const start = (name: string, port = 0) =>
  startPostgres({
    ...{ directory: join(folder, name), port, major: 15, systemUser: 'postgres' },
    ...{
      password: `of ${name === 'stranger' ? name : 'shop'}`,
      database: 'shop',
      settings: { fsync: 'off' },
    },
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'former-'));
  await chmod(folder, 0o755);
  process.env.FORMER_TEST_PASSWORD = 'of shop';
  stranger = await start('stranger');
  old = await start('old');
  ({ systemIdentifier } = await identify(old.access, quietly));
  await old.stop();
  await run('cp', ['-a', join(folder, 'old'), join(folder, 'copy')]);
  const data = join(folder, 'copy', 'data');
  await run('runuser', ['-u', 'postgres', '--', 'touch', join(data, 'standby.signal')]);
  old = await start('old');
  copy = await start('copy', await freePort());
});
afterAll(async () => {
  await Promise.all([old?.stop(), copy?.stop(), stranger?.stop()]);
  await rm(folder, { recursive: true, force: true });
});

/** What the watchdog finds where shop lived at these places before. */
async function look(former: Address[], now: Address = { host: '127.0.0.1', port: 1 }): Promise<Problem[]> {
  const config = exampleConfig();
  const { connection } = config.databases.shop ?? {};
  Object.assign(connection ?? {}, { user: 'postgres', password: { env: 'FORMER_TEST_PASSWORD' } });
  const moved = withTopology(config, [
    {
      ...{ formatVersion: 1, database: 'shop', by: 'disaster/shop/1', at: '2026-01-31T12:10:00Z' },
      ...{ site: 'second', host: 'db2', address: now, stanza: 'shop-2', dataDirectory: '/data/2' },
      ...{ socketDirectory: '/run/2', systemUser: 'postgres', systemIdentifier, timeline: 2 },
      former: former.map((address) => ({
        ...{ address, stanza: 'shop', host: 'db1', until: '2026-01-31T12:00:00Z', timeline: 1 },
      })),
    },
  ]);
  const loaded: LoadedConfig = { config: moved, path: 'holdfast.yaml', directory: folder };
  return formerProblems(loaded, { postgres: { identify } }, quietly);
}
const at = ({ access: { host, port } }: RunningPostgres): Address => ({ host, port });

test('an old primary that answers again is a problem, once for each place, and nothing is written to it', async () => {
  const position = () => query(old.access, 'SELECT pg_current_wal_insert_lsn() AS lsn');
  const before = await position();
  const { port } = old.access;
  expect(await look([at(old), at(old)])).toEqual([
    {
      key: `old-primary/shop/127.0.0.1:${port}`,
      database: 'shop',
      severity: 'critical',
      what: `the old primary of shop answers again at 127.0.0.1:${port}: timeline 1, it can be written to`,
      since: null,
      hint: 'stop it: shop lives at 127.0.0.1:1 since 2026-01-31T12:10:00Z, and what is written to the old one is lost',
      told: 'nothing',
    },
  ]);
  expect(await position()).toEqual(before);
});

test('a standby of it cannot be written to; promoted it is on the timeline of now, and so the new server by an old name', async () => {
  expect(await look([at(copy)])).toMatchObject([
    { severity: 'warning', what: expect.stringContaining('timeline 1, it is read-only') },
  ]);
  await query(copy.access, 'SELECT pg_promote()');
  expect(await look([at(copy)])).toEqual([]);
});

test('where the database came back to, where another server is, and where none answers, there is no problem', async () => {
  expect(await look([at(old)], at(old))).toEqual([]);
  expect(await look([{ host: '127.0.0.1', port: 1 }])).toEqual([]);
  await query(stranger.access, "ALTER ROLE postgres PASSWORD 'of shop'");
  expect(await look([at(stranger)])).toEqual([]);
});

test('a server that lets nobody in is told, and one that hangs keeps nobody', async () => {
  process.env.FORMER_TEST_PASSWORD = 'another';
  const [found] = await look([at(old)]);
  expect(found).toMatchObject({ severity: 'warning' });
  expect(found?.what).toMatch(
    /^a server answers at 127\.0\.0\.1:\d+, where shop lived, and does not say who it is: /,
  );
  expect(JSON.stringify(found)).not.toContain('another');
  process.env.FORMER_TEST_PASSWORD = 'of shop';
  process.kill(old.pid, 'SIGSTOP');
  try {
    expect(await look([at(old)])).toEqual([]);
  } finally {
    process.kill(old.pid, 'SIGCONT');
  }
});
