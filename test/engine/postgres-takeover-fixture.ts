import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { freePort } from '../../src/client/dev/ports.ts';
import type { ReplayInput, TakeOverInput } from '../../src/engines/engine.ts';
import { replay } from '../../src/engines/postgres/replay.ts';
import { restore } from '../../src/engines/postgres/restore.ts';
import { stop } from '../../src/engines/postgres/server.ts';
import { runTool } from '../../src/engines/process.ts';
import type { InstanceRecord } from '../../src/instances/instance.ts';
import type { Target } from '../../src/model/target.ts';
import { MAJOR, quietly, type Recovery, replayInput, restoreInput } from './postgres-recovery-fixture.ts';

export const PRODUCTION_USER = 'postgres';

/** Restores, replays and moves a server, as the runbook does before it takes over. */
export async function restoreAndMove(
  recovery: Recovery,
  id: string,
  backup: string,
  target: Target,
  change: Partial<ReplayInput> = {},
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
