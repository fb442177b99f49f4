import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { HoldfastError } from '../../../model/failure.ts';
import type { FindArchivedInput, LogFile } from '../../contract/read.ts';
import { startTool } from '../../process.ts';
import { startRepositoryFile } from '../pgbackrest.ts';

/** What undoes pgBackRest's compression, by the end of a file's name. */
const DECOMPRESSION: Record<string, [string, ...string[]]> = {
  zst: ['zstd', '--decompress', '--quiet', '--stdout', '-'],
  gz: ['gzip', '--decompress', '--stdout'],
  lz4: ['lz4', '-dc', '-', '-'],
  bz2: ['bzip2', '--decompress', '--stdout'],
};

/**
 * Puts one archived log into the directory, whole, under its own name. (`archive-get` would want a data directory
 * of the server; the repository's files can be had without one.)
 */
export async function fetchLog(input: FindArchivedInput, log: LogFile, signal: AbortSignal): Promise<void> {
  const { repository, stanza, directory } = input;
  const extension = /-[0-9a-f]{40}\.(\w+)$/.exec(log.path)?.[1];
  const decompression = extension === undefined ? undefined : DECOMPRESSION[extension];
  if (extension !== undefined && decompression === undefined) {
    throw new HoldfastError('NotSupported', `log ${log.name} is compressed with ${extension}`, {
      hint: `pgBackRest's compress-type may be one of ${Object.keys(DECOMPRESSION).join(', ')}, none`,
    });
  }
  const file = startRepositoryFile(log.path, { repository, stanza, signal, user: null });
  const [program, ...args] = decompression ?? [];
  const plain =
    program === undefined ? file : startTool(program, args, { signal, stdin: file, stdout: 'pipe' });
  const written = pipeline(plain.stdout, createWriteStream(join(directory, log.name), { mode: 0o600 }));
  const [fetching, decompressing, writing] = await Promise.allSettled([
    file.finished,
    plain.finished,
    written,
  ]);
  // A decompression that gets nothing fails too: the first in the pipe says why.
  for (const end of [fetching, decompressing, writing]) if (end.status === 'rejected') throw end.reason;
}
