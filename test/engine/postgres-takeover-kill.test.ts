import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TakeOverInput } from '../../src/engines/contract/restore.ts';
import { serverPid } from '../../src/engines/postgres/instance-processes.ts';
import { closeLog } from '../../src/engines/postgres/log.ts';
import { ensureRunning } from '../../src/engines/postgres/server.ts';
import { takeOver } from '../../src/engines/postgres/takeover/take-over.ts';
import { quietly, type Recovery, startRecovery } from './postgres-recovery-fixture.ts';
import {
  archived,
  expectTakenOverFromFullLogs,
  restoreAndMove,
  takeOverInput,
} from './postgres-takeover-fixture.ts';

/** The oldest server that is supported. */
const OLDEST = 13;

let recovery: Recovery;
let backup: string;
let lastLog: string;

beforeAll(async () => {
  recovery = await startRecovery({}, OLDEST);
  await standInForControlData(recovery.directory);
  const { sql } = recovery;
  await sql('CREATE TABLE public.orders (id int PRIMARY KEY, note text)');
  await sql('INSERT INTO public.orders SELECT n FROM generate_series(1, 1000) n');
  backup = await recovery.backup();
  await sql('INSERT INTO public.orders SELECT n FROM generate_series(1001, 1100) n');
  lastLog = await recovery.archive();
});
afterAll(() => recovery?.end());

/** The package of old servers for the tests has no pg_controldata: these are the defaults, which this server has. */
async function standInForControlData(directory: string): Promise<void> {
  const path = join(directory, 'pg_controldata');
  await writeFile(
    path,
    `#!/bin/sh
[ "$1" = --version ] && exec echo 'pg_controldata (PostgreSQL) ${OLDEST}.0'
echo 'max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           0
max_locks_per_xact setting:           64'
`,
  );
  await chmod(path, 0o755);
  process.env.PATH = `${process.env.PATH}:${directory}`;
}

const rows = (access: Parameters<Recovery['value']>[1]) =>
  recovery.value('SELECT count(*) FROM public.orders', access);

const moved = (id: string) =>
  restoreAndMove(recovery, id, backup, { latest: true }, { lastLog, serverMajor: OLDEST });

test('a worker that is killed in every stage: the next one goes on, and nobody is let in before it is proved', async () => {
  const { replayed, moved: place } = await moved('killed');
  const input = await takeOverInput(recovery, place, { serverMajor: OLDEST });
  const client = { ...recovery.production.access, port: input.server.port };
  const pids: (number | null)[] = [];
  for (const phase of [
    'starting the server',
    'replaying its own logs',
    'ending the recovery',
    'proving where it begins',
  ]) {
    await killAt(phase, input);
    pids.push(await serverPid(place));
    await expect(recovery.value('SELECT 1', client)).rejects.toThrow();
  }
  // Each found the server of the one before.
  expect(pids[0]).toBe(null);
  expect(new Set(pids.slice(1)).size).toBe(1);

  const taken = await takeOver(input, quietly);
  expect(taken).toMatchObject({ timeline: 2, switchedAt: replayed.lsn });
  expect([await serverPid(place), await rows(client)]).toEqual([pids[1], '1100']);

  // It crashes before its first log is archived.
  await recovery.sql('INSERT INTO public.orders VALUES (7777)', client);
  process.kill((await serverPid(place)) as number, 'SIGKILL');
  await expect.poll(() => serverPid(place)).toBe(null);
  await ensureRunning(place, quietly);
  expect(await rows(client)).toBe('1101');
  const { log } = await closeLog(taken.access, quietly);
  await expect
    .poll(() => archived(recovery, input.stanza))
    .toEqual(expect.arrayContaining(['00000002.history', log]));
  await recovery.remove('killed');
});

/** Takes over in a worker of its own, which stands still at this phase and is killed there. */
async function killAt(phase: string, input: TakeOverInput): Promise<void> {
  const program = fileURLToPath(new URL('./postgres-recovery-worker.ts', import.meta.url));
  const worker = spawn(process.execPath, [program, 'takeOver', phase], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  worker.stdin.end(JSON.stringify(input));
  const exit = once(worker, 'exit');
  let isThere = false;
  for await (const line of createInterface({ input: worker.stdout })) {
    isThere = line === `progress ${phase}`;
    if (isThere) break;
  }
  expect([phase, isThere]).toEqual([phase, true]);
  worker.kill('SIGKILL');
  await exit;
}

test('one that is cancelled leaves no process, and the next one goes on', async () => {
  const { replayed, moved: place } = await moved('cancelled');
  const input = await takeOverInput(recovery, place, { serverMajor: OLDEST });
  for (const last of ['replaying its own logs', 'proving where it begins']) {
    const controller = new AbortController();
    const run = {
      signal: controller.signal,
      progress: ({ phase }: { phase: string }) => phase === last && controller.abort(new Error('cancelled')),
    };
    await expect(takeOver(input, { ...run, progress: (now) => void run.progress(now) })).rejects.toThrow(
      'cancelled',
    );
    expect(await serverPid(place)).toBe(null);
  }
  const taken = await takeOver(input, quietly);
  expect([taken.timeline, taken.switchedAt, await rows(taken.access)]).toEqual([2, replayed.lsn, '1100']);
  await recovery.remove('cancelled');
});

test('one that somebody promoted in between is not taken for the target', async () => {
  const { moved: place } = await moved('promoted');
  const input = await takeOverInput(recovery, place, { serverMajor: OLDEST });
  await killAt('replaying its own logs', input);
  const access = {
    ...recovery.production.access,
    host: `${place.directory}/socket`,
    port: input.server.port,
  };
  await expect.poll(() => recovery.value('SELECT pg_promote()', access).catch(() => '')).toBe('true');
  await expect(takeOver(input, quietly)).rejects.toMatchObject({
    type: 'InstanceLost',
    message: expect.stringContaining('somebody has promoted it'),
  });
  expect(await serverPid(place)).toBe(null);
  await recovery.remove('promoted');
});

test('logs that end in the middle of a record, as those of a server that was lost do', () =>
  expectTakenOverFromFullLogs(recovery, backup, OLDEST));
