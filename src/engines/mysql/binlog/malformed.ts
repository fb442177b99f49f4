import { HoldfastError } from '../../../model/failure.ts';

/** Thrown by the decoders of single events; the reader adds the position. */
export class Malformed extends Error {}

/** A file that ends within an event. */
export function truncated(name: string, start: number, length: number | null, bytes: number): HoldfastError {
  const size = length === null ? '' : ` of ${length} bytes`;
  return new HoldfastError(
    'BackupUnusable',
    `${name} ends at ${bytes}, in the middle of the event${size} at ${start}`,
    {
      hint: 'it was cut off, or copied while the server was writing it; take it again from the server if it is still there',
    },
  );
}

export function checksumMismatch(name: string, start: number): HoldfastError {
  return new HoldfastError(
    'ChecksumMismatch',
    `${name} is damaged: wrong checksum of the event at ${start}`,
    {
      hint: 'take the file again from the server, or another copy of it',
    },
  );
}

export function damaged(name: string, start: number, what: string): HoldfastError {
  return new HoldfastError('BackupUnusable', `${name} cannot be read: ${what} in the event at ${start}`, {
    hint: 'take the file again from the server, or another copy of it',
  });
}

export function encrypted(name: string, setting: string): HoldfastError {
  return new HoldfastError('NotSupported', `${name} is encrypted by the server (${setting})`, {
    hint: `its key is the server's alone; set ${setting} to OFF on the server and rotate with FLUSH BINARY LOGS, what is shipped can be encrypted by the repository`,
  });
}

export function notBinlog(name: string): HoldfastError {
  return new HoldfastError('BackupUnusable', `${name} is not a binary log: it does not begin as one`, {
    hint: 'a binary log begins with the bytes fe 62 69 6e',
  });
}
