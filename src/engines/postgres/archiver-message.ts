import { open } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type pg from 'pg';
import { withoutPasswords } from '../../model/redact.ts';

const TAIL_BYTES = 64 * 1024;
const LONGEST = 300;
const LINES_BACK = 200;

/** The server's own words for a failed command, and, where it speaks another language, none. */
const FAILURE =
  /archive command (?:failed with (exit code \d+)|was (terminated by signal \d+)|exited with (unrecognized status \d+))/;
/** pgBackRest's: one blank behind the colon, where the server's own lines have two. */
const TOOL_ERROR = /^(?:P\d+ +)?ERROR: \[\d+\]: /;
const SERVER_LINE =
  /\b(?:LOG|DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LOCATION|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DEBUG\d?): {2}/;

/**
 * What an archiver that fails said last: pg_stat_archiver only counts. Read from the end of the server's log on this
 * host: `serverLog`, or where the server's own collector writes. Null where there is none, or it may not be read.
 */
export async function readArchiverMessage(
  client: pg.ClientBase,
  place: { dataDirectory: string; serverLog: string | null },
): Promise<string | null> {
  try {
    const collected = await collectedLog(client, place.dataDirectory);
    const file = collected ?? place.serverLog;
    return file === null ? null : archiverMessage(await readTail(file));
  } catch {
    // Whatever keeps us from reading it: that archiving fails is said all the same.
    return null;
  }
}

/** One line, without secrets: what the command wrote before it failed, and how it ended. Null: nothing of it is there. */
export function archiverMessage(log: string): string | null {
  const lines = log.split('\n');
  const at = lines.findLastIndex((line) => FAILURE.test(line));
  const how = at < 0 ? undefined : (FAILURE.exec(lines[at] as string) ?? []).slice(1).find((one) => one);
  const said = wordsBefore(lines, at < 0 ? lines.length : at, at < 0);
  const parts = [how, said].filter((part) => part !== undefined && part !== '');
  if (parts.length === 0) return null;
  const text = withoutPasswords(parts.join(': ')).replaceAll(/\s+/g, ' ');
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/**
 * What a program wrote between the server's own lines. Its stderr goes into the server's log as it is; `toolOnly` takes
 * nothing but what is pgBackRest's without doubt.
 */
function wordsBefore(lines: readonly string[], end: number, toolOnly: boolean): string {
  const words: string[] = [];
  for (let index = end - 1; index >= Math.max(0, end - LINES_BACK); index -= 1) {
    const line = lines[index] as string;
    if (FAILURE.test(line)) break;
    if (SERVER_LINE.test(line) || line.trim() === '') continue;
    words.unshift(line.trim());
    if (TOOL_ERROR.test(line.trim())) return withoutRequests(words);
  }
  return toolOnly ? '' : words.slice(-2).join(' ');
}

/** pgBackRest writes down whole requests and answers of S3, and hints for its own command line: the code says it. */
function withoutRequests(words: readonly string[]): string {
  const isDump = (line: string) => line.startsWith('*** ');
  const begun = words.findIndex(isDump);
  const head = (begun < 0 ? words : words.slice(0, begun)).filter((line) => !line.startsWith('HINT: '));
  const [, code] = /<Code>([^<]+)<\/Code>/.exec(words.join(' ')) ?? [];
  return [...head, ...(code === undefined ? [] : [code])].join(' ');
}

/** Where logging_collector writes now; null where it is off, or may not be asked. */
async function collectedLog(client: pg.ClientBase, dataDirectory: string): Promise<string | null> {
  const may = await client.query<{ may: boolean }>(
    `SELECT pg_catalog.has_function_privilege('pg_catalog.pg_current_logfile()', 'EXECUTE') AS may`,
  );
  if (may.rows[0]?.may !== true) return null;
  const { rows } = await client.query<{ file: string | null }>(
    'SELECT pg_catalog.pg_current_logfile() AS file',
  );
  const file = rows[0]?.file ?? null;
  return file === null || isAbsolute(file) ? file : join(dataDirectory, file);
}

async function readTail(file: string): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, TAIL_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.subarray(0, bytesRead).toString('utf8');
  } finally {
    await handle.close();
  }
}
