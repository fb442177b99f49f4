import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress, zstdDecompressSync } from 'node:zlib';
import type { EventStream } from './event-stream.ts';
import type { PayloadHead } from './payload-event.ts';

/** Up to this size, before and after, a transaction is decompressed at once. */
const AT_ONCE_LIMIT = 4 * 1024 * 1024;

export interface Decompressed {
  bytes: AsyncIterable<Uint8Array>;
  /** settled once the compressed bytes are read, or were given up */
  finished: Promise<unknown>;
}

/** The bytes of a compressed transaction. A small one that is damaged is told by the checksum before, not by zstd. */
export async function decompressed(stream: EventStream, head: PayloadHead): Promise<Decompressed> {
  const { compression, payloadBytes, uncompressedBytes } = head;
  if (compression === 'none') return { bytes: stream.pieces(payloadBytes), finished: Promise.resolve() };
  if (payloadBytes <= AT_ONCE_LIMIT && uncompressedBytes <= AT_ONCE_LIMIT) {
    const payload = await stream.peek(payloadBytes);
    const plain = zstdDecompressSync(payload, { maxOutputLength: Math.max(1, uncompressedBytes) });
    stream.take(payload.length);
    return { bytes: once(plain), finished: Promise.resolve() };
  }
  const plain = createZstdDecompress();
  const finished = pipeline(Readable.from(stream.pieces(payloadBytes), { objectMode: false }), plain);
  // Who reads the bytes gets the failure there.
  finished.catch(() => {});
  return { bytes: plain, finished };
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer, void> {
  yield bytes;
}
