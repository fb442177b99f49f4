import type { QueryContent } from './event.ts';
import { Fields } from './fields.ts';

const FLAGS2 = 0;
const SQL_MODE = 1;
const AUTO_INCREMENT = 3;
const CHARSET = 4;
const CATALOG = 6;
const ANSI_QUOTES = 0x4n;
/** ids of latin1's collations: INFORMATION_SCHEMA.COLLATIONS of both flavours */
const LATIN1: ReadonlySet<number> = new Set([5, 8, 15, 31, 47, 48, 49, 94]);

export interface QueryHead extends Omit<QueryContent, 'sql' | 'isCut'> {
  encoding: 'utf-8' | 'windows-1252';
  /** where the statement begins */
  sqlOffset: number;
}

/** Everything before the statement takes at most so many bytes. */
export const QUERY_HEAD_LIMIT = 13 + 13 + 65_536 + 256;

/**
 * What stands before the statement itself. Source: `Query_event` of MySQL's statement_events.h; LOAD DATA has 13 bytes
 * more (`Execute_load_query_event`).
 */
export function decodeQueryHead(body: Buffer, isLoad: boolean): QueryHead {
  const fields = new Fields(body);
  fields.skip(4);
  const seconds = fields.number(4);
  const dbLength = fields.number(1);
  const errorCode = fields.number(2);
  const variablesLength = fields.number(2);
  if (isLoad) fields.skip(13);
  const { mode, charset } = variablesOf(fields.bytes(variablesLength));
  const db = fields.text(dbLength);
  fields.skip(1);
  return {
    type: 'query',
    ...{ db, errorCode, seconds, isLoad },
    hasAnsiQuotes: (mode & ANSI_QUOTES) !== 0n,
    encoding: LATIN1.has(charset) ? 'windows-1252' : 'utf-8',
    sqlOffset: body.length - fields.left,
  };
}

/** Variables of the session; they stand in the order of `Query_log_event::write`, each after its number. */
function variablesOf(bytes: Buffer): { mode: bigint; charset: number } {
  const fields = new Fields(bytes);
  let mode = 0n;
  while (fields.left > 0) {
    const code = fields.number(1);
    if (code === FLAGS2 || code === AUTO_INCREMENT) fields.skip(4);
    else if (code === SQL_MODE) mode = fields.big(8);
    else if (code === CATALOG) fields.skip(fields.number(1));
    else if (code === CHARSET) return { mode, charset: fields.number(2) };
    else break;
  }
  return { mode, charset: 0 };
}

export function queryOf(head: QueryHead, sql: Buffer, isCut: boolean): QueryContent {
  const { encoding, sqlOffset: _, ...content } = head;
  return { ...content, sql: new TextDecoder(encoding).decode(sql), isCut };
}
