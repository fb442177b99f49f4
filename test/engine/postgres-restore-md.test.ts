import { chown, mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { postgresProgram } from '../../src/engines/postgres/programs.ts';
import { userIds } from '../../src/engines/process.ts';
import { instructionsKey, toolArchiveFolder } from '../../src/repository/layout.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { ByHand } from './by-hand.ts';
import { openMirrored } from './postgres-mirrored.ts';
import { MAJOR, type Recovery, STANZA, startRecovery } from './postgres-recovery-fixture.ts';
import { collect } from './repository/fixture.ts';
import { blocksOf } from './restore-document.ts';

const ROWS = `SELECT md5(string_agg(t::text, '|' ORDER BY i)) FROM public.t t`;

let recovery: Recovery;
let repository: Repository;
let document: string;
let byHand: ByHand;
/** checksums of table t at the backup's end, and at the moment */
let atBackup: string;
let atMoment: string;
let moment: string;

beforeAll(async () => {
  // What production must not hand down to a restored server.
  recovery = await startRecovery({ max_connections: '150', listen_addresses: '127.0.0.1' });
  const { directory, sql, value } = recovery;
  byHand = new ByHand(recovery, {
    psql: await postgresProgram('psql', MAJOR),
    pgCtl: await postgresProgram('pg_ctl', MAJOR),
  });
  await sql(`ALTER SYSTEM SET shared_preload_libraries = 'auto_explain'`);
  await sql(`ALTER SYSTEM SET archive_mode = 'on'`);
  await sql(`ALTER SYSTEM SET max_worker_processes = 12`);
  const space = join(directory, 'space');
  await mkdir(space, { mode: 0o700 });
  const { uid, gid } = userIds('postgres');
  await chown(space, uid, gid);
  await sql(`CREATE TABLESPACE space LOCATION '${space}'`);
  await sql(
    `CREATE TABLE public.t TABLESPACE space AS SELECT i, md5(i::text) AS m FROM generate_series(1, 5000) i`,
  );
  await recovery.restart();
  atBackup = await value(ROWS);
  const id = await recovery.backup();
  await sql(`INSERT INTO public.t SELECT i, 'later' FROM generate_series(5001, 6000) i`);
  atMoment = await value(ROWS);
  moment = await value('SELECT clock_timestamp()::text');
  await sql('DELETE FROM public.t');
  await recovery.archive();

  repository = await openMirrored(recovery);
  document = (await repository.getText(instructionsKey('shop', 'physical', id))) as string;

  await recovery.production.stop();
  await rename(join(directory, 'production'), join(directory, 'gone'));
  await rename(space, `${space}-gone`);
});

afterAll(async () => {
  byHand?.stop();
  repository?.close();
  await recovery?.end();
});

/** It is a server of its own: whatever it writes stays with it. */
async function expectIsolated(restored: string): Promise<void> {
  const archived = async () => (await collect(repository.list(toolArchiveFolder(STANZA)))).length;
  const before = await archived();
  expect(before).toBeGreaterThan(0);
  expect(byHand.ask(restored, 'CREATE TABLE public.written AS SELECT 1')).toBe('SELECT 1');
  byHand.ask(restored, 'SELECT pg_switch_wal()');
  byHand.ask(restored, 'CHECKPOINT');
  expect(await archived()).toBe(before);
  const settings = ['archive_mode', 'listen_addresses', 'shared_preload_libraries', 'primary_conninfo'];
  expect(settings.map((name) => byHand.ask(restored, `SELECT current_setting('${name}')`))).toEqual([
    'off',
    '',
    '',
    '',
  ]);
  expect(
    byHand.ask(restored, `SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'space'`),
  ).toMatch(new RegExp(`^${restored}/`));
  expect(await readFile(join(restored, 'data', 'postgresql.auto.conf'), 'utf8')).not.toContain(
    'auto_explain',
  );
}

it('restores by its own commands, as another user, with production gone', async () => {
  const restored = await byHand.follow('by-hand', blocksOf(document));
  expect(byHand.ask(restored, 'SELECT pg_is_in_recovery()')).toBe('f');
  expect(byHand.ask(restored, ROWS)).toBe(atBackup);
  await expectIsolated(restored);
});

it('restores to a moment by its other command', async () => {
  const [access, , ...rest] = blocksOf(document) as [string, string, ...string[]];
  const other = blocksOf(document, 'sh-other');
  expect(other).toHaveLength(1);
  const restored = await byHand.follow('to-a-moment', [access, ...other, ...rest], { RECOVER_TO: moment });
  expect(byHand.ask(restored, ROWS)).toBe(atMoment);
  await expectIsolated(restored);
});

it('stops at once, and names it, where a variable is not set', async () => {
  await expect(byHand.follow('nothing-set', blocksOf(document), { RESTORED: '' })).rejects.toThrow(
    /RESTORED: an empty directory/,
  );
});
