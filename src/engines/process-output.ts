import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

const LINE_LIMIT = 64 * 1024;

/** Calls back for each line of a stream; a line beyond 64 KiB is cut, so that memory stays bounded. */
export function onLines(stream: Readable | null, line: (text: string) => void): void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  stream?.on('data', (piece: Buffer) => {
    const lines = (rest + decoder.write(piece)).split('\n');
    rest = (lines.pop() as string).slice(0, LINE_LIMIT);
    for (const text of lines) line(text.replace(/\r$/, ''));
  });
  stream?.on('end', () => {
    if (rest !== '') line(rest);
  });
}

/** The last lines of an output, at most `limit` characters of them. */
export class Tail {
  private readonly limit: number;
  private lines: string[] = [];
  private size = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  add(line: string): void {
    this.lines.push(line);
    this.size += line.length + 1;
    while (this.size > this.limit && this.lines.length > 1) {
      this.size -= (this.lines.shift() as string).length + 1;
    }
  }

  text(): string {
    return this.lines.join('\n');
  }
}
