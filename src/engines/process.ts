import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { userInfo } from 'node:os';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { HoldfastError } from '../model/failure.ts';
import { onLines, Tail } from './process-output.ts';

export interface ToolOptions {
  signal: AbortSignal;
  /** added to a minimal environment: nothing of the worker's own secrets reaches a tool */
  env?: Record<string, string>;
  /** operating-system user to run as; null: the worker's own */
  user?: string | null;
  cwd?: string;
  /** text to be written, a stream to be read, or another tool's untouched stdout, which then is a kernel pipe */
  stdin?: string | Readable | StartedTool;
  /**
   * `lines`: to onLine and the tail (default). `text`: kept whole, up to 64 MiB. `pipe`: untouched, the caller
   * takes `stdout`: it must hand it to another tool at once, or read it to its end.
   */
  stdout?: 'lines' | 'text' | 'pipe';
  onLine?: (line: string, from: 'stdout' | 'stderr') => void;
  /** texts that must not appear in an error, beside the values of `env` that look like secrets */
  secrets?: readonly string[];
  /** how long a tool may take to end after SIGTERM, in milliseconds (default 5 s); then SIGKILL */
  killDelayMs?: number;
  /** turns a failure into a more exact error; undefined: ToolFailed */
  classify?: (failure: { exitCode: number | null; output: string }) => HoldfastError | undefined;
}

export interface ToolResult {
  /** the whole output with `stdout: 'text'`, else its tail */
  stdout: string;
  stderr: string;
}

export interface StartedTool {
  readonly program: string;
  readonly pid: number | undefined;
  readonly stdout: Readable;
  /** resolves after exit 0; rejects when the tool has ended otherwise, with the signal's reason after an abort */
  readonly finished: Promise<ToolResult>;
}

const TEXT_LIMIT = 64 * 1024 * 1024;
const TAIL_LIMIT = 16 * 1024;

/**
 * Runs a program to its end. Throws ToolMissing, ToolFailed (with the redacted tail of its output) or the
 * signal's reason, always after the whole process group has ended. A worker that is killed takes the
 * program with it (Linux: parent death signal).
 */
export function runTool(file: string, args: readonly string[], options: ToolOptions): Promise<ToolResult> {
  return startTool(file, args, options).finished;
}

/**
 * Starts a program; see {@link runTool}. Two in a pipe:
 * `const dump = startTool('pg_dump', …, {stdout: 'pipe'}); const zstd = startTool('zstd', …, {stdin: dump, stdout: 'pipe'})`
 * in the same tick, so that no byte of the pipe passes through Node.
 */
export function startTool(file: string, args: readonly string[], options: ToolOptions): StartedTool {
  options.signal.throwIfAborted();
  const program = basename(file);
  const [command, ...rest] = withUser(file, args, options.user ?? null);
  const piped = isStarted(options.stdin) ? options.stdin.stdout : undefined;
  const child = spawn(command as string, rest, {
    cwd: options.cwd ?? '/',
    env: { ...minimalEnvironment(), ...options.env },
    // A group of its own, so that all of it can be killed.
    detached: true,
    stdio: [piped ?? (options.stdin === undefined ? 'ignore' : 'pipe'), 'pipe', 'pipe'],
  });
  // Our copy of the pipe's end would keep the first program from seeing that the second has died.
  piped?.destroy();
  if (options.stdin !== undefined && piped === undefined) feed(child, options.stdin as string | Readable);
  const finished = follow(child, program, file, options);
  finished.catch(() => {});
  return { program, pid: child.pid, stdout: child.stdout as Readable, finished };
}

function isStarted(stdin: ToolOptions['stdin']): stdin is StartedTool {
  return typeof stdin === 'object' && 'finished' in stdin;
}

function feed(child: ChildProcess, stdin: string | Readable): void {
  const target = child.stdin;
  if (target === null) return;
  if (typeof stdin === 'string') {
    // A program that ends early closes the pipe; its exit code tells what happened.
    target.on('error', () => {});
    target.end(stdin);
  } else {
    pipeline(stdin, target).catch(() => child.pid !== undefined && killGroup(child.pid, 'SIGTERM'));
  }
}

async function follow(
  child: ChildProcess,
  program: string,
  file: string,
  options: ToolOptions,
): Promise<ToolResult> {
  const { signal, onLine } = options;
  const stdout = new Tail(options.stdout === 'text' ? TEXT_LIMIT : TAIL_LIMIT);
  const stderr = new Tail(TAIL_LIMIT);
  const pieces: Buffer[] = [];
  if (options.stdout === 'text') child.stdout?.on('data', (piece: Buffer) => pieces.push(piece));
  else if (options.stdout !== 'pipe') {
    onLines(child.stdout, (line) => {
      stdout.add(line);
      onLine?.(line, 'stdout');
    });
  }
  onLines(child.stderr, (line) => {
    stderr.add(line);
    onLine?.(line, 'stderr');
  });

  let forced: NodeJS.Timeout | undefined;
  const abort = () => {
    if (child.pid === undefined) return;
    killGroup(child.pid, 'SIGTERM');
    forced = setTimeout(() => killGroup(child.pid as number, 'SIGKILL'), options.killDelayMs ?? 5_000);
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    const { code, signalName } = await ended(child, signal);
    const output = redact(`${stderr.text()}\n${stdout.text()}`, secretsOf(options)).trim();
    if (signal.aborted) throw signal.reason;
    if (code === 0) {
      const text = options.stdout === 'text' ? Buffer.concat(pieces).toString('utf8') : stdout.text();
      return { stdout: text, stderr: stderr.text() };
    }
    if (output.startsWith('setpriv: failed to execute') && /No such file/.test(output)) {
      throw toolMissing(program, file);
    }
    throw (
      options.classify?.({ exitCode: code, output }) ??
      new HoldfastError(
        'ToolFailed',
        `${program} ended with ${code === null ? `signal ${signalName}` : `exit code ${code}`}: ${publicTail(output)}`,
      )
    );
  } catch (error) {
    if (error instanceof HoldfastError || signal.aborted) throw error;
    throw startFailure(error, program, file);
  } finally {
    clearTimeout(forced);
    signal.removeEventListener('abort', abort);
  }
}

/** Waits for the exit and for the output's end; after an abort nothing of the group is left behind. */
function ended(
  child: ChildProcess,
  signal: AbortSignal,
): Promise<{ code: number | null; signalName: string | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => child.pid === undefined && reject(error));
    child.once('exit', () => {
      if (!signal.aborted) return;
      killGroup(child.pid as number, 'SIGKILL');
      child.stdout?.destroy();
      child.stderr?.destroy();
    });
    child.once('close', (code, signalName) => resolve({ code, signalName }));
  });
}

function killGroup(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // already gone
  }
}

function minimalEnvironment(): Record<string, string> {
  const { PATH = '/usr/local/bin:/usr/bin:/bin', TMPDIR } = process.env;
  // English messages, since some are read; UTC, since some times are printed without an offset.
  return { PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC', ...(TMPDIR === undefined ? {} : { TMPDIR }) };
}

/**
 * The command line that runs a program as a user, and that lets the kernel kill it when the worker dies.
 * setpriv sets the death signal after the change of user, which would clear it.
 */
function withUser(file: string, args: readonly string[], user: string | null): string[] {
  const other = user !== null && user !== userInfo().username ? user : null;
  if (process.platform !== 'linux') {
    if (other !== null) throw notPermitted(file, other);
    return [file, ...args];
  }
  const change: string[] = [];
  if (other !== null) {
    if (process.getuid?.() !== 0) throw notPermitted(file, other);
    const { uid, gid } = userIds(other);
    change.push(`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups');
  }
  return ['setpriv', '--pdeathsig', 'KILL', ...change, '--', file, ...args];
}

function notPermitted(file: string, user: string): HoldfastError {
  return new HoldfastError('PermissionDenied', `cannot run ${basename(file)} as ${user}`, {
    hint: `run the worker as root, or as ${user} itself`,
  });
}

const known = new Map<string, { uid: number; gid: number }>();

/** Numbers of an operating-system user. Throws InvalidConfiguration where there is none. */
export function userIds(user: string): { uid: number; gid: number } {
  const cached = known.get(user);
  if (cached !== undefined) return cached;
  const id = (flag: string) =>
    Number(execFileSync('id', [flag, '--', user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  try {
    const ids = { uid: id('-u'), gid: id('-g') };
    known.set(user, ids);
    return ids;
  } catch (cause) {
    throw new HoldfastError('InvalidConfiguration', `there is no operating-system user ${user}`, {
      hint: 'create it (useradd --system --no-create-home), or name another one in the configuration',
      cause,
    });
  }
}

function startFailure(error: unknown, program: string, file: string): HoldfastError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return toolMissing(program, file);
  return new HoldfastError('ToolFailed', `${program} could not be started (${code ?? 'unknown error'})`);
}

function toolMissing(program: string, file: string): HoldfastError {
  return new HoldfastError('ToolMissing', `${program} was not found${file === program ? ' on PATH' : ''}`, {
    hint: `install ${program} on this host and put it on the worker's PATH (scripts/setup.sh --check shows what is missing)`,
  });
}

function secretsOf(options: ToolOptions): string[] {
  const fromEnvironment = Object.entries(options.env ?? {})
    .filter(([name]) => /PASS|SECRET|TOKEN|KEY/.test(name))
    .map(([, value]) => value);
  return [...(options.secrets ?? []), ...fromEnvironment].filter((secret) => secret.length > 3);
}

function redact(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text);
}

/** The last lines, without those in which PostgreSQL's tools quote rows and statements. */
function publicTail(output: string): string {
  const lines: string[] = [];
  let quoting = false;
  for (const line of output.split('\n')) {
    if (/^Command was:/.test(line)) quoting = true;
    else if (/^[\w./-]+: /.test(line)) quoting = false;
    if (!quoting && line.trim() !== '' && !/\b(?:CONTEXT|DETAIL|STATEMENT|QUERY): /.test(line))
      lines.push(line);
  }
  return lines.slice(-5).join(' / ').slice(-1_500) || 'it said nothing';
}
