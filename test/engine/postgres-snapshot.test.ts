import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Dependencies } from '../../src/activities/dependencies.ts';
import { createProtectionActivities } from '../../src/activities/protection.ts';
import type { BackupSummary } from '../../src/activities/publish.ts';
import { createSnapshotActivities } from '../../src/activities/snapshotting.ts';
import { dumpPrograms, postgresProgram } from '../../src/engines/postgres/programs.ts';
import type { Manifest } from '../../src/model/backup.ts';
import { instructionsKey, snapshotFolder } from '../../src/repository/layout.ts';
import { readManifest } from '../../src/repository/manifests.ts';
import { objectsOf } from '../../src/repository/objects.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { readRetention } from '../../src/repository/retention.ts';
import { startS3Proxy } from '../e2e/s3-proxy.ts';
import { ByHand } from './by-hand.ts';
import { mirroredDependencies, openMirrored } from './postgres-mirrored.ts';
import { MAJOR, type Recovery, startRecovery } from './postgres-recovery-fixture.ts';
import { collect } from './repository/fixture.ts';
import { blocksOf } from './restore-document.ts';

const AWS = fileURLToPath(new URL('./postgres-aws.ts', import.meta.url));
const ROWS = `SELECT md5(string_agg(t::text, '|' ORDER BY i)) FROM public.t t`;
const YEAR_MS = 365 * 86_400_000;
const AT = new Date().toISOString();
const madeBy = { workflowId: 'backup/snapshot/shop/1', runId: 'r' };

let recovery: Recovery;
let repository: Repository;
let deps: Dependencies;
let byHand: ByHand;
/** checksums of table t at the end of the differential, and in the dump */
let atDifferential: string;
let atDump: string;
let differential: string;
let dump: string;

beforeAll(async () => {
  recovery = await startRecovery();
  byHand = new ByHand(recovery, {
    psql: await postgresProgram('psql', MAJOR),
    pgCtl: await postgresProgram('pg_ctl', MAJOR),
  });
  const { sql, value } = recovery;
  await sql(`CREATE TABLE public.t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 5000) i`);
  await recovery.backup();
  await sql(`INSERT INTO public.t SELECT i, 'later' FROM generate_series(5001, 6000) i`);
  atDifferential = await value(ROWS);
  differential = await recovery.backup('diff');
  await sql(`INSERT INTO public.t VALUES (6001, 'in no backup of pgBackRest')`);
  atDump = await value(ROWS);
  await recovery.archive();
  deps = mirroredDependencies(recovery);
  repository = await openMirrored(recovery);
  dump = '20260131T020000Z';
  const { takeLogicalBackup } = createProtectionActivities(deps);
  await new MockActivityEnvironment().run(takeLogicalBackup, { database: 'shop', backup: dump, madeBy });
});

afterAll(async () => {
  byHand?.stop();
  repository?.close();
  await recovery?.end();
});

const takeSnapshot = (environment: MockActivityEnvironment, backup: string): Promise<BackupSummary> =>
  environment.run(createSnapshotActivities(deps).takeSnapshot, { database: 'shop', backup, at: AT, madeBy });

async function manifestOf(id: string): Promise<Manifest> {
  const manifest = await readManifest(repository, 'shop', id);
  if (manifest === null) throw new Error(`no manifest of ${id}`);
  return manifest;
}

test('a differential is copied with its full and their logs; an attempt that was killed half way goes on', async () => {
  const killed = new MockActivityEnvironment();
  killed.on('heartbeat', (progress: { done?: number } | null) => {
    if ((progress?.done ?? 0) > 0) killed.cancel('WORKER_SHUTDOWN');
  });
  await expect(takeSnapshot(killed, differential)).rejects.toThrow();
  const folder = snapshotFolder('shop', `snapshot-${differential}`);
  const first = await collect(repository.versions(folder));
  expect(first.length).toBeGreaterThan(0);
  expect(await readManifest(repository, 'shop', `snapshot-${differential}`)).toBeNull();

  const summary = await takeSnapshot(new MockActivityEnvironment(), differential);
  expect(summary).toMatchObject({ id: `snapshot-${differential}`, tier: 'snapshot' });
  const after = await collect(repository.versions(folder));
  const twice = after.filter(({ isLatest, key }) => !isLatest && !/\.info(\.copy)?$/.test(key));
  expect(twice).toEqual([]);
  expect(await repository.uploads(folder)).toEqual([]);
  const source = await manifestOf(differential);
  const names = after.map(({ key }) => key.slice(folder.length));
  for (const label of [differential, ...source.dependsOn])
    expect(names).toContain(`pgbackrest/backup/shop/${label}/backup.manifest`);
  expect(names.filter((name) => /\/[0-9A-F]{24}-/.test(name) && name.includes('/archive/'))).toHaveLength(1);
  expect(names).toContain('relations.json');

  const manifest = await manifestOf(summary.id);
  expect(manifest).toMatchObject({
    ...{ tier: 'snapshot', kind: 'full', dependsOn: [], stanza: 'shop' },
    ...{ copyOf: { tier: 'physical', id: differential }, finishedAt: source.finishedAt },
  });
  const until = new Date(Date.parse(AT) + YEAR_MS).toISOString();
  expect([manifest.lockedUntil, manifest.expiresAt]).toEqual([until, until]);
  for (const { key, versionId } of after.filter(({ isLatest }) => isLatest)) {
    const { lock } = await readRetention(repository, { key, versionId });
    expect([key, lock?.until.slice(0, 19)]).toEqual([key, until.slice(0, 19)]);
  }
  // Asked again, as after a lost answer, it is what it is.
  expect(await takeSnapshot(new MockActivityEnvironment(), differential)).toEqual(summary);
});

test('a dump is copied in exactly the versions of its manifest, by a store that refuses half of the requests', async () => {
  const source = await manifestOf(dump);
  for (const { key } of objectsOf(source)) await repository.put(key, 'forged');
  const proxy = await startS3Proxy(recovery.directory, recovery.s3.endpoint);
  deps.config.config.repository.endpoint = proxy.endpoint;
  proxy.refuseEvery(2);
  const { id } = await takeSnapshot(new MockActivityEnvironment(), dump);
  await proxy.end();
  const manifest = await manifestOf(id);
  expect(manifest.copyOf).toEqual({ tier: 'logical', id: dump });
  const folder = snapshotFolder('shop', id);
  const named = objectsOf({ ...manifest, instructions: null });
  expect(named.map(({ key }) => key.startsWith(folder))).not.toContain(false);
  const shasOf = (of: Manifest) => objectsOf({ ...of, instructions: null }).map(({ sha256 }) => sha256);
  expect(shasOf(manifest)).toEqual(shasOf(source));
});

test('both restore by their own commands when nothing but their folders is left', async () => {
  const physical = await repository.getText(instructionsKey('shop', 'snapshot', `snapshot-${differential}`));
  const logical = await repository.getText(instructionsKey('shop', 'snapshot', `snapshot-${dump}`));
  for await (const { key } of repository.list('')) {
    if (!/^(snapshot|manifest)\//.test(key)) await repository.remove(key);
  }
  const left = await collect(repository.list(''));
  expect([...new Set(left.map(({ key }) => key.split('/')[0]))]).toEqual(['manifest', 'snapshot']);

  const restored = await byHand.follow('by-hand', blocksOf(physical ?? ''));
  expect(byHand.ask(restored, ROWS)).toBe(atDifferential);
  expect(byHand.ask(restored, 'SELECT pg_is_in_recovery()')).toBe('f');
  expect(blocksOf(physical ?? '', 'sh-latest')).toEqual([]);

  // Onto the server that it came from, of which nothing is left.
  const { access } = recovery.production;
  await recovery.sql('DROP DATABASE shop WITH (FORCE)', { ...access, database: 'postgres' });
  const place = join(recovery.directory, 'dump-by-hand');
  await mkdir(place);
  expect(logical).not.toContain('logical/shop');
  // It names the store by the way on which it was copied.
  await writeFile(
    join(place, 'restore.sh'),
    blocksOf(logical ?? '')
      .join('\n')
      .replace(/AWS_ENDPOINT_URL=\S+/, `AWS_ENDPOINT_URL=${recovery.s3.endpoint}`),
  );
  const programs = await dumpPrograms(MAJOR);
  execFileSync('sh', ['-c', `aws() { node ${AWS} "$@"; }; . ./restore.sh`], {
    ...{ cwd: place, stdio: ['ignore', 'pipe', 'pipe'] },
    env: {
      ...{ PATH: `${join(programs.psql, '..')}:${join(process.execPath, '..')}:${process.env.PATH}` },
      ...{ NODE_EXTRA_CA_CERTS: recovery.s3.caFile, LC_ALL: 'C.UTF-8' },
      AWS_ACCESS_KEY_ID: recovery.s3.accessKeyId,
      AWS_SECRET_ACCESS_KEY: recovery.s3.secretAccessKey,
      ...{ PGHOST: access.host, PGPORT: String(access.port), PGUSER: access.user },
      PGPASSWORD: access.password ?? '',
    },
  });
  expect(await recovery.value(ROWS)).toBe(atDump);
});
