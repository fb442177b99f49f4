import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { Verdict } from '../../src/client/demo/story.ts';
import { HAS_MYSQL_CLIENTS } from '../engine/mysql-server.ts';

const DEMO = fileURLToPath(new URL('../../src/client/demo/main.ts', import.meta.url));

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'demo-'));
  await chmod(directory, 0o755);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

function demo(...args: string[]) {
  return execa('node', [DEMO, ...args], {
    cwd: directory,
    reject: false,
    stdin: 'ignore',
    env: { HOLDFAST_WORKFLOW_BUNDLE: inject('workflowBundle') ?? '' },
  });
}

test('without a terminal and without --yes it starts nothing', async () => {
  const answer = await demo();
  expect(answer.exitCode).toBe(2);
  expect(answer.stderr).toContain('HINT: npm run demo -- --yes');
  expect(await readdir(directory)).toEqual([]);
});

test('an interrupted demo ends and removes what it started', async () => {
  const running = demo('--yes');
  running.stdout?.once('data', () => setTimeout(() => running.kill('SIGINT'), 4_000));
  const answer = await running;
  expect(answer.exitCode).toBe(1);
  expect(answer.stderr).toContain('interrupted');
  expect(answer.stdout.trim().split('\n').at(-1)).toBe('{"ok":false}');
  expect(await readdir(directory)).toEqual([]);
});

// A server that it left running would fail the whole run: see test/leaks.ts.
test.each(['postgres', HAS_MYSQL_CLIENTS ? 'mysql' : 'mariadb'])(
  'of %s brings every deleted row back, keeps every newer one and leaves nothing behind',
  async (engine) => {
    const answer = await demo('--yes', '--engine', engine);
    expect(answer.stderr).toBe('');
    const verdict = JSON.parse(answer.stdout.trim().split('\n').at(-1) ?? '') as Verdict;
    expect(verdict).toMatchObject({ ok: true, outcome: 'completed', rowsWrittenMissing: 0 });
    expect(verdict.rowsDeleted).toBeGreaterThan(50_000);
    expect(verdict.rowsRestored).toBe(verdict.rowsDeleted);
    expect(verdict.rowsWrittenMeanwhile).toBeGreaterThan(0);
    expect(verdict.recoverySeconds).toBeLessThan(verdict.rtoSeconds ?? 0);
    expect(answer.exitCode).toBe(0);
    expect(await readdir(directory)).toEqual([]);
  },
  300_000,
);
