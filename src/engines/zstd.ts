import type { Readable } from 'node:stream';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { runTool, type StartedTool, startTool } from './process.ts';

/** For the manifest: `1.5.7`. Throws ToolMissing. */
export async function zstdVersion(run: Run): Promise<string> {
  const { stdout } = await runTool('zstd', ['--version'], { signal: run.signal });
  return /v?(\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? 'unknown';
}

/** A dump that is being decompressed. */
export interface Decompressing {
  zstd: StartedTool;
  /** why the dump could not be read any further, once it cannot */
  broken: Promise<unknown>;
  /** why decompressing failed; null: it ended well. Never rejects */
  ended: Promise<unknown>;
  /** Ends all of it. */
  close(): Promise<void>;
}

/** Reads a dump as it lies in the repository. `onBytes` takes how many bytes of it are read by now. */
export function decompress(
  dump: { backup: string; open(signal: AbortSignal): Readable },
  options: { signal: AbortSignal; cwd?: string; onBytes?: (bytes: number) => void },
): Decompressing {
  const over = new AbortController();
  const signal = AbortSignal.any([options.signal, over.signal]);
  const content = dump.open(signal);
  const broken = new Promise<unknown>((resolve) => content.once('error', resolve));
  let bytes = 0;
  content.on('data', (piece: Buffer) => {
    bytes += piece.length;
    options.onBytes?.(bytes);
  });
  const zstd = startTool('zstd', ['--decompress', '--quiet', '--stdout', '-'], {
    ...{ signal, stdin: content, stdout: 'pipe', cwd: options.cwd },
    classify: ({ output }) =>
      /decoding error|corrupt|checksum|unsupported format|premature/i.test(output)
        ? damaged(dump.backup, 'it cannot be decompressed')
        : undefined,
  });
  const ended = zstd.finished.then(
    () => null,
    (error: unknown) => error,
  );
  const close = async () => {
    over.abort();
    content.destroy();
    await ended;
  };
  return { zstd, broken, ended, close };
}

export function damaged(backup: string, why: string): HoldfastError {
  return new HoldfastError('BackupUnusable', `the dump of backup ${backup} is damaged: ${why}`, {
    hint: 'use another backup: holdfast catalog lists them',
  });
}
