import { spawn } from 'node:child_process';
import { close, mkdirSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../model/failure.ts';

export interface DetachedProgram {
  file: string;
  args: readonly string[];
  env?: NodeJS.ProcessEnv;
  directory?: string;
  /** receives stdout and stderr, appended */
  log: string;
}

/**
 * Starts a program that lives on after this process: its own session, its output in a file.
 * Throws `ToolMissing` where there is no such program.
 */
export async function startDetached(program: DetachedProgram): Promise<number> {
  mkdirSync(dirname(program.log), { recursive: true });
  const log = openSync(program.log, 'a', 0o600);
  try {
    const child = spawn(program.file, program.args, {
      cwd: program.directory,
      detached: true,
      env: program.env ?? process.env,
      stdio: ['ignore', log, log],
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) =>
        reject(
          new HoldfastError('ToolMissing', `${program.file} could not be started`, {
            hint: 'run scripts/setup.sh, which puts it under .tools/bin',
            cause,
          }),
        ),
      );
    });
    child.unref();
    return child.pid as number;
  } finally {
    close(log);
  }
}

/**
 * Waits until a started program answers. Throws `ToolFailed` with the end of its log where it ended or did not answer
 * within `limitMs`.
 */
export async function waitUntilReady(
  name: string,
  program: { pid: number; log: string },
  answers: () => Promise<boolean>,
  { limitMs = 60_000, signal }: { limitMs?: number; signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const end = Date.now() + limitMs;
  for (;;) {
    if (await answers().catch(() => false)) return;
    signal?.throwIfAborted();
    const ended = !isAlive(program.pid);
    if (ended || Date.now() > end) {
      throw new HoldfastError(
        'ToolFailed',
        `${name} ${ended ? 'ended while it was starting' : `did not answer within ${limitMs / 1_000} s`}: ${await lastLines(program.log)}`,
        { hint: `its log is ${program.log}`, retryable: false },
      );
    }
    await sleep(100, undefined, { signal });
  }
}

/** Whether a process of this id exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The last words of a program that say what is wrong, or else just its last ones. */
async function lastLines(log: string): Promise<string> {
  const text = await readFile(log, 'utf8').catch(() => '');
  // A program of Go says it before the many lines of its stack.
  const lines = text.trim().split('\n').slice(-200);
  const wrong = lines.filter((line) => /error|fatal|panic|hint:/i.test(line));
  return (wrong.length > 0 ? wrong : lines).slice(-3).join(' / ').slice(-600) || 'it wrote nothing';
}
