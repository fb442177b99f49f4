import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { freePort } from '../../src/client/dev/ports.ts';
import type { ReplayArchivedInput, TakeOverInput } from '../../src/engines/contract/restore.ts';
import { serverPid } from '../../src/engines/postgres/instance-processes.ts';
import { replay } from '../../src/engines/postgres/replay.ts';
import { restore } from '../../src/engines/postgres/restore.ts';
import { ensureRunning, stop } from '../../src/engines/postgres/server.ts';
import { takeOver } from '../../src/engines/postgres/takeover/take-over.ts';
import { runTool } from '../../src/engines/process.ts';
import type { InstanceRecord } from '../../src/instances/instance.ts';
import type { Target } from '../../src/model/target.ts';
import { DEFAULT_SEGMENT_BYTES, parseLsn } from '../../src/model/wal.ts';
import { MAJOR, quietly, type Recovery, replayInput, restoreInput } from './postgres-recovery-fixture.ts';

export const PRODUCTION_USER = 'postgres';

/** Restores, replays and moves a server, as the runbook does before it takes over. */
export async function restoreAndMove(
  recovery: Recovery,
  id: string,
  backup: string,
  target: Target,
  change: Partial<ReplayArchivedInput> = {},
) {
  const place = await recovery.provision(id);
  const serverMajor = change.serverMajor ?? MAJOR;
  await restore({ ...restoreInput(recovery, place, backup), serverMajor }, quietly);
  const replayed = await replay(replayInput(recovery, place, target, { durable: true, ...change }), quietly);
  expect(await recovery.value('SHOW fsync', replayed.access)).toBe('on');
  await stop(place);
  const moved = await recovery.site.moveToProduction(id, PRODUCTION_USER);
  return { before: place, replayed, moved };
}

export async function takeOverInput(
  recovery: Recovery,
  place: InstanceRecord,
  change: Partial<TakeOverInput> & { settings?: TakeOverInput['server']['settings'] } = {},
): Promise<TakeOverInput> {
  const { settings, ...rest } = change;
  return {
    place: { directory: place.directory, user: place.user },
    name: 'shop',
    repository: recovery.repository,
    stanza: `shop-${place.id}`,
    serverMajor: MAJOR,
    ...{ user: 'postgres', database: 'shop' },
    server: {
      ...{ listen: '127.0.0.1', port: await freePort(), tls: null },
      hba: ['host all all 127.0.0.1/32 scram-sha-256'],
      settings: { shared_buffers: '64MB', ...settings },
    },
    ...rest,
  };
}

/** Every file of a stanza in the repository, with its checksum. */
export async function stanzaTree(recovery: Recovery, stanza: string): Promise<string> {
  const root = join(recovery.directory, 's3', 'data', recovery.s3.bucket, 'pgbackrest');
  const { stdout } = await runTool(
    'find',
    [
      ...[join(root, 'archive', stanza), join(root, 'backup', stanza), '-type', 'f'],
      ...['-exec', 'sha256sum', '{}', '+'],
    ],
    { signal: quietly.signal, stdout: 'text' },
  );
  return stdout.split('\n').sort().join('\n');
}

/** Names in the archive of a stanza, without their checksums. */
export async function archived(recovery: Recovery, stanza: string): Promise<string[]> {
  return [
    ...new Set(
      [
        ...(await stanzaTree(recovery, stanza)).matchAll(/\/([0-9A-F]{24}|[0-9A-F]{8}\.history)(?=[-/\n])/g),
      ].map(([, name]) => name as string),
    ),
  ].sort();
}

export function userOf(pid: number): string {
  const uid = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] as string;
  return execFileSync('id', ['-nu', uid], { encoding: 'utf8' }).trim();
}

/** Writes until logs are full, as when a server is lost: the last one in the archive ends in the middle of a record. */
export async function fillLogs(recovery: Recovery): Promise<string> {
  const last = () => recovery.value("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver");
  const before = await last();
  await recovery.sql('CREATE TABLE public.filling (id int, note text)');
  await recovery.sql(
    "INSERT INTO public.filling SELECT n, repeat('x', 1900) FROM generate_series(1, 12000) n",
  );
  await expect.poll(last).toSatisfy((name: string) => name > before && /^[0-9A-F]{24}$/.test(name));
  return last();
}

/** Such logs become production too, and what it writes there outlives a crash. */
export async function expectTakenOverFromFullLogs(recovery: Recovery, backup: string, serverMajor: number) {
  const lastLog = await fillLogs(recovery);
  const { replayed, moved } = await restoreAndMove(
    recovery,
    'full',
    backup,
    { latest: true },
    { lastLog, serverMajor },
  );
  const taken = await takeOver(await takeOverInput(recovery, moved, { serverMajor }), quietly);
  expect(taken.switchedAt).toBe(replayed.lsn);
  expect(parseLsn(taken.switchedAt) % BigInt(DEFAULT_SEGMENT_BYTES)).not.toBe(0n);
  await recovery.sql('INSERT INTO public.orders VALUES (7777)', taken.access);
  process.kill((await serverPid(moved)) as number, 'SIGKILL');
  await expect.poll(() => serverPid(moved)).toBe(null);
  await ensureRunning(moved, quietly);
  expect(await recovery.value('SELECT count(*) FROM public.orders WHERE id = 7777', taken.access)).toBe('1');
  await recovery.remove('full');
}
