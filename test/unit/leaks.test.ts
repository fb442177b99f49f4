import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { describeLeaks, findLeaks, RUN_VARIABLE } from '../leaks.ts';

const RUN = 'run-of-this-test';
const LISTEN = "require('node:net').createServer().listen(0, '127.0.0.1', () => console.log('up'))";

let directory: string;
let child: ChildProcess | null = null;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-leaks-'));
});
afterEach(async () => {
  if (child !== null) {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    child = null;
  }
  await rm(directory, { recursive: true, force: true });
});

async function start(script: string, environment: NodeJS.ProcessEnv, cwd = '/'): Promise<ChildProcess> {
  child = spawn(process.execPath, ['-e', script], {
    env: environment,
    cwd,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.stdout !== null) await once(child.stdout, 'data');
  return child;
}

test('a run that left nothing has no leaks, whatever else runs here', async () => {
  await start(LISTEN, { [RUN_VARIABLE]: 'another-run' });
  expect(await findLeaks({ run: RUN, directory }, 0)).toEqual({ processes: [], files: [] });
});

test('a process that inherited the marker is found, with its port', async () => {
  const { pid } = await start(LISTEN, { [RUN_VARIABLE]: RUN });
  const leaks = await findLeaks({ run: RUN, directory }, 0);
  expect(leaks.processes).toEqual([
    { pid, command: expect.stringContaining('createServer'), ports: [expect.any(Number)] },
  ]);
  expect(describeLeaks(leaks)).toMatch(new RegExp(`- process ${pid}: .*listening on \\d+`));
});

test('a process without the marker is found by the folder that it works in', async () => {
  const { pid } = await start(LISTEN, {}, directory);
  expect((await findLeaks({ run: RUN, directory }, 0)).processes.map((each) => each.pid)).toEqual([pid]);
});

test('files are named', async () => {
  await writeFile(join(directory, 'holdfast-x'), '');
  expect(describeLeaks(await findLeaks({ run: RUN, directory }, 0))).toBe(
    '- temporary file or folder: holdfast-x',
  );
});
