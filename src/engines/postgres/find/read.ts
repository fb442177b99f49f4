import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { Run } from '../../../model/progress.ts';
import {
  formatLsn,
  formatSegmentName,
  parseLsn,
  parseSegmentName,
  type Segment,
  segmentOf,
  segmentStart,
} from '../../../model/wal.ts';
import type { FindArchivedInput, LogFile } from '../../contract/read.ts';
import { startTool } from '../../process.ts';
import { postgresProgram } from '../programs.ts';
import { fetchLog } from './fetch.ts';
import { type LogRecord, parseRecord, RESOURCE_MANAGERS } from './record.ts';

/** Logs that lie on the disk at a time; a record may go over from one to the next. */
const LOGS_AT_ONCE = 8;
const FETCHES_AT_ONCE = 4;
/** From this version on pg_waldump takes several resource managers. */
const FILTERS_SINCE = 15;

type NumberedLog = LogFile & { segment: Segment };

/** Reads every record of the logs in order. Throws RepositoryUnavailable, ToolMissing, ToolFailed. */
export async function readLogs(
  input: FindArchivedInput,
  onRecord: (record: LogRecord, timeline: number) => void,
  run: Run,
): Promise<void> {
  const program = await postgresProgram('pg_waldump', input.serverMajor);
  const total = input.logs.length;
  let done = 0;
  let passed = -1n;
  for (const stretch of stretchesOf(input)) {
    let position: bigint | null = null;
    for (let start = 0; start < stretch.length; start += LOGS_AT_ONCE) {
      const batch = stretch.slice(start, start + LOGS_AT_ONCE);
      run.progress({ phase: 'searching the log', done, total, unit: 'segments' });
      await fetchAll(input, batch, run.signal);
      const last = batch.at(-1) as NumberedLog;
      const from: { lsn: bigint | null; segment: Segment } =
        position === null
          ? { lsn: null, segment: (stretch[0] as NumberedLog).segment }
          : { lsn: position, segment: segmentAt(position, last.segment.timeline, input.segmentBytes) };
      await dumpLogs({ program, input, from, to: last.name }, run, (record) => {
        position = parseLsn(record.lsn);
        // The last record of a batch is the first of the next; a new timeline repeats the end of the one before.
        if (position <= passed) return;
        passed = position;
        onRecord(record, last.segment.timeline);
      });
      done += batch.length;
      await removeBefore(input, stretch, start, position);
    }
    for (const { name } of stretch) await rm(join(input.directory, name), { force: true });
  }
  run.progress({ phase: 'searching the log', done, total, unit: 'segments' });
}

function segmentAt(position: bigint, timeline: number, segmentBytes: number): Segment {
  return { timeline, number: segmentOf(position, segmentBytes) };
}

/** Consecutive logs of one timeline. */
function stretchesOf({ logs, segmentBytes }: FindArchivedInput): NumberedLog[][] {
  const stretches: NumberedLog[][] = [];
  for (const log of logs) {
    const segment = parseSegmentName(log.name, segmentBytes);
    if (segment === null) continue;
    const before = stretches.at(-1)?.at(-1)?.segment;
    const goesOn = before?.timeline === segment.timeline && before.number + 1n === segment.number;
    if (goesOn) stretches.at(-1)?.push({ ...log, segment });
    else stretches.push([{ ...log, segment }]);
  }
  return stretches;
}

async function fetchAll(
  input: FindArchivedInput,
  logs: readonly LogFile[],
  signal: AbortSignal,
): Promise<void> {
  for (let start = 0; start < logs.length; start += FETCHES_AT_ONCE) {
    const some = logs.slice(start, start + FETCHES_AT_ONCE);
    const fetched = await Promise.allSettled(some.map((log) => fetchLog(input, log, signal)));
    for (const one of fetched) if (one.status === 'rejected') throw one.reason;
  }
}

/** Removes what has been read: all before the log in which the last record begins. */
async function removeBefore(
  input: FindArchivedInput,
  stretch: readonly NumberedLog[],
  start: number,
  position: bigint | null,
): Promise<void> {
  if (position === null) return;
  const keep = segmentOf(position, input.segmentBytes);
  for (const { name, segment } of stretch.slice(0, start + LOGS_AT_ONCE)) {
    if (segment.number < keep) await rm(join(input.directory, name), { force: true });
  }
}

interface Dump {
  program: string;
  input: FindArchivedInput;
  from: { lsn: bigint | null; segment: Segment };
  to: string;
}

async function dumpLogs(dump: Dump, run: Run, onRecord: (record: LogRecord) => void): Promise<void> {
  const { program, input, from, to } = dump;
  const { directory, segmentBytes, serverMajor } = input;
  const filters = serverMajor < FILTERS_SINCE ? [] : RESOURCE_MANAGERS.map((name) => `--rmgr=${name}`);
  const starts =
    from.lsn === null || from.lsn === segmentStart(from.segment.number, segmentBytes)
      ? []
      : [`--start=${formatLsn(from.lsn)}`];
  const tool = startTool(
    program,
    [...filters, ...starts, `--path=${directory}`, formatSegmentName(from.segment, segmentBytes), to],
    { signal: run.signal, stdout: 'pipe' },
  );
  const [read, ended] = await Promise.allSettled([
    eachLine(tool.stdout, (line) => {
      const record = parseRecord(line);
      if (record !== null) onRecord(record);
    }),
    tool.finished,
  ]);
  for (const end of [ended, read]) if (end.status === 'rejected') throw end.reason;
}

/** Whole lines, however long: a commit names all its subtransactions in one. */
async function eachLine(stream: Readable, onLine: (line: string) => void): Promise<void> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const piece of stream as AsyncIterable<Buffer>) {
    const lines = (rest + decoder.write(piece)).split('\n');
    rest = lines.pop() as string;
    for (const line of lines) onLine(line);
  }
  if (rest !== '') onLine(rest);
}
