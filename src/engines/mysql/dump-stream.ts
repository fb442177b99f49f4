import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import type { StoredObject } from '../../model/backup.ts';
import { type StartedTool, startTool } from '../process.ts';
import type { DumpSplitter, Section } from './dump-split.ts';

/** So much waits for the compressor at most. */
const AHEAD_BYTES = 4 * 1024 * 1024;
/** At the end of every section, as mysqldump has it at the end of all. */
const FOOTER = '\n-- Dump completed\n';

export interface SectionStreams {
  splitter: DumpSplitter;
  /** dbs that have views; nothing is stored of the views of the others */
  withViews: ReadonlySet<string>;
  /** before every section, after what mysqldump says before the first one */
  heading: string;
  put(section: Section, content: Readable): Promise<StoredObject[]>;
  /** what has to be true before the last section may become an object, when the dump has ended well */
  checks(): Promise<void>;
  onSection(section: Section): void;
  onBytes(bytes: number): void;
}

interface OpenSection {
  section: Section;
  input: PassThrough;
  /** lets the object be completed, or keeps it from that */
  settle: { complete(): void; fail(error: unknown): void };
  stored: Promise<StoredObject[]>;
  /** the compressor has ended, well or not */
  ended: Promise<unknown>;
}

/**
 * Stores each section of a dump through a `zstd -1` of its own. An object is completed when the next one begins, and the
 * last after exit 0 and the checks: a dump that breaks off leaves none of what was being written, since a compressor whose
 * input ends early would end well. Returns the objects by section, in order; `signal` has to end `source` too.
 */
export async function storeSections(
  source: StartedTool,
  streams: SectionStreams,
  signal: AbortSignal,
): Promise<{ section: Section; objects: StoredObject[] }[]> {
  const { splitter } = streams;
  const done: { section: Section; objects: StoredObject[] }[] = [];
  let open: OpenSection | null = null;
  let writing = false;
  const finish = async (checks?: () => Promise<void>) => {
    if (open === null) return;
    const { section, input, settle, stored } = open;
    // The program's own end stands in what was written last.
    input.end(checks !== undefined && writing ? undefined : FOOTER);
    await checks?.();
    settle.complete();
    done.push({ section, objects: await stored });
    open = null;
  };
  try {
    for await (const chunk of source.stdout as AsyncIterable<Buffer>) {
      for (const piece of splitter.push(chunk)) {
        if ('bytes' in piece) {
          if (writing && open !== null) await write(open, piece.bytes);
          continue;
        }
        writing = piece.begins.part === 'tables' || streams.withViews.has(piece.begins.database);
        if (!writing) continue;
        await finish();
        streams.onSection(piece.begins);
        open = openSection(piece.begins, streams, signal);
        await write(open, Buffer.concat([headOf(splitter.head), Buffer.from(streams.heading)]));
      }
    }
    await source.finished;
    for (const piece of splitter.end(streams.withViews.size > 0)) {
      if ('bytes' in piece && writing && open !== null) await write(open, piece.bytes);
    }
    await finish(streams.checks);
    return done;
  } catch (error) {
    const left = open as OpenSection | null;
    if (left === null) throw error;
    // Where the writing broke, what read it says why.
    const broken = left.input.errored !== null;
    left.settle.fail(error);
    left.input.destroy();
    const cause = await left.stored.then(
      () => error,
      (reason: unknown) => reason,
    );
    await left.ended;
    throw broken ? cause : error;
  }
}

/**
 * What mysqldump says before the first db, save for two things. Clients older than the program stop at its first line,
 * which only tells newer ones to run no commands of the shell. And a date such as 2020-02-30, which a server may hold by
 * ALLOW_INVALID_DATES, would come back as 0000-00-00 without a word (measured on both flavours).
 */
function headOf(head: Buffer): Buffer {
  const text = head
    .toString('utf8')
    .replace(/^\/\*M!999999\\- enable the sandbox mode \*\/ ?\n/, '')
    .replace("SQL_MODE='NO_AUTO_VALUE_ON_ZERO'", "SQL_MODE='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'");
  return Buffer.from(text);
}

async function write(open: OpenSection, bytes: Buffer): Promise<void> {
  const { input } = open;
  if (input.errored !== null) throw input.errored;
  if (!input.write(bytes)) await once(input, 'drain');
}

function openSection(section: Section, streams: SectionStreams, signal: AbortSignal): OpenSection {
  const input = new PassThrough({ highWaterMark: AHEAD_BYTES });
  const { promise: completed, resolve, reject } = Promise.withResolvers<void>();
  completed.catch(() => {});
  const zstd = startTool('zstd', ['-1', '--quiet', '--stdout', '-'], {
    signal,
    stdin: input,
    stdout: 'pipe',
  });
  async function* guarded(): AsyncGenerator<Buffer> {
    for await (const piece of zstd.stdout as AsyncIterable<Buffer>) {
      streams.onBytes(piece.length);
      yield piece;
    }
    await zstd.finished;
    await completed;
  }
  const content = Readable.from(guarded(), { objectMode: false, highWaterMark: 1024 * 1024 });
  const stored = streams.put(section, content);
  // What ends the object ends the writing to it.
  stored.catch((error: unknown) => input.destroy(error instanceof Error ? error : new Error(String(error))));
  input.on('error', () => {});
  const ended = zstd.finished.catch(() => {});
  return { section, input, settle: { complete: resolve, fail: reject }, stored, ended };
}
