import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ObjectSink } from '../../src/engines/contract/backup.ts';

/** A sink into a folder: a stream that breaks off leaves no file, as the repository's leaves no object. */
export function fileSink(folder: string): ObjectSink & { names(): Promise<string[]> } {
  return {
    async put(name, content) {
      const hash = createHash('sha256');
      let sizeBytes = 0;
      const tap = new PassThrough();
      tap.on('data', (piece: Buffer) => {
        hash.update(piece);
        sizeBytes += piece.length;
      });
      const part = join(folder, `${name}.part`);
      try {
        await pipeline(content, tap, createWriteStream(part));
      } catch (error) {
        await rm(part, { force: true });
        throw error;
      }
      await rename(part, join(folder, name));
      return [{ key: name, versionId: null, sizeBytes, sha256: hash.digest('hex') }];
    },
    names: () => readdir(folder),
  };
}
