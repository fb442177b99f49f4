import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { runTool, startTool } from '../../../src/engines/process.ts';

const { signal } = new AbortController();
const shell = (script: string, options: Partial<Parameters<typeof runTool>[2]> = {}) =>
  runTool('sh', ['-c', script], { signal, ...options });

describe('a program', () => {
  it('gives its output line by line and as a tail', async () => {
    const lines: string[] = [];
    const result = await shell('echo one; printf two; echo bad >&2', {
      onLine: (line, from) => lines.push(`${from} ${line}`),
    });
    expect(lines.sort()).toEqual(['stderr bad', 'stdout one', 'stdout two']);
    expect(result).toEqual({ stdout: 'one\ntwo', stderr: 'bad' });
  });

  it('keeps no more than a tail of a long output', async () => {
    const { stdout } = await shell('yes 0123456789 | head -n 100000; echo end');
    expect(stdout.length).toBeLessThan(20_000);
    expect(stdout.endsWith('end')).toBe(true);
  });

  it('sees nothing of the worker’s own environment', async () => {
    process.env.HOLDFAST_TEST_SECRET = 'x';
    const { stdout } = await shell('env', { env: { GIVEN: 'yes' } });
    expect(stdout).toContain('GIVEN=yes');
    expect(stdout).not.toContain('HOLDFAST_TEST_SECRET');
  });

  it('that fails is told by name and exit code, without secrets, rows and statements', async () => {
    const script = `printf 'tool: error: no entry with open sesame\nDETAIL: Key (mail)=(a@b.c)\nCommand was: INSERT\nINTO x VALUES (1)\ntool: warning: 1\n' >&2; exit 3`;
    const failure = shell(script, { env: { PGPASSWORD: 'open sesame' } });
    await expect(failure).rejects.toMatchObject({
      type: 'ToolFailed',
      message: 'sh ended with exit code 3: tool: error: no entry with [redacted] / tool: warning: 1',
    });
  });

  it('that is not there is named', async () => {
    await expect(runTool('nonesuch', [], { signal })).rejects.toMatchObject({
      type: 'ToolMissing',
      message: 'nonesuch was not found on PATH',
    });
  });

  it('ends with its whole group when it is cancelled, and only then rejects with the reason', async () => {
    const cancel = new AbortController();
    const pids: number[] = [];
    const running = runTool('sh', ['-c', `trap '' TERM; sleep 1000 & echo $!; echo $$; wait; wait`], {
      ...{ signal: cancel.signal, killDelayMs: 100 },
      onLine: (line) => pids.push(Number(line)),
    });
    while (pids.length < 2) await sleep(10);
    cancel.abort(new Error('no longer wanted'));
    await expect(running).rejects.toThrow('no longer wanted');
    expect(pids.filter(lives)).toEqual([]);
  });

  it('takes its input from a text, a stream or another program', async () => {
    expect((await runTool('cat', [], { signal, stdin: 'some text', stdout: 'text' })).stdout).toBe(
      'some text',
    );
    const first = startTool('printf', ['through the kernel'], { signal, stdout: 'pipe' });
    const second = runTool('cat', [], { signal, stdin: first, stdout: 'text' });
    expect((await second).stdout).toBe('through the kernel');
    await first.finished;
  });

  it('notices that the program behind it has died', async () => {
    const first = startTool('cat', ['/dev/zero'], { signal, stdout: 'pipe' });
    const second = startTool('head', ['-c', '1'], { signal, stdin: first });
    await second.finished;
    await expect(first.finished).rejects.toMatchObject({ type: 'ToolFailed' });
  });

  it.runIf(process.getuid?.() === 0)('runs as another user, and still dies with the worker', async () => {
    const { stdout } = await shell('id -un; id -G | wc -w; grep -i ^CapEff /proc/self/status', {
      user: 'nobody',
    });
    expect(stdout).toMatch(/^nobody\n1\nCapEff:\s+0+$/);
    const script = `import { startTool } from '${new URL('../../../src/engines/process.ts', import.meta.url).href}';
      const tool = startTool('sleep', ['1000'], { signal: new AbortController().signal, user: 'nobody' });
      setTimeout(() => { process.stdout.write(String(tool.pid)); process.kill(process.pid, 'SIGKILL'); }, 300);`;
    const worker = startTool(process.execPath, ['--input-type=module', '-e', script], {
      signal,
      user: userInfo().username,
    });
    let pid = 0;
    await worker.finished.catch((error: Error) => {
      pid = Number(/: (\d+)$/.exec(error.message)?.[1]);
    });
    expect(pid).toBeGreaterThan(1);
    for (let round = 0; round < 100 && lives(pid); round += 1) await sleep(20);
    expect(lives(pid)).toBe(false);
  });
});

function lives(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
