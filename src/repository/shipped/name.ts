import { createHash } from 'node:crypto';
import type { LogFacts } from '../../engines/contract/ship.ts';
import { numberOf } from '../../model/log-position.ts';
import { shippedFolder } from '../layout.ts';

/**
 * A log that we have brought into the repository, known by the name of its record alone: so that listing tells what can
 * be recovered.
 */
export interface ShippedLog {
  /** who wrote it: a server, and how often it has begun to count its logs anew. Names of two say nothing about each other */
  lineage: string;
  /** as the server calls it, `binlog.000004`, and the number in it */
  name: string;
  number: number;
  /** ISO 8601: when it was begun, and its last event, to the second: whatever committed earlier is here or before */
  createdAt: string;
  lastAt: string;
  /** digests of the GTIDs before it and up to its end: those of neighbours agree. Null: the server has none */
  before: string | null;
  after: string | null;
  /** ISO 8601: by S3's clock */
  shippedAt: string;
  /** of its record */
  key: string;
}

const DIGEST_LENGTH = 12;
const RECORD = /^(\d{8}T\d{6}Z)_(\d{8}T\d{6}Z)_([0-9a-f]{12}|none)_([0-9a-f]{12}|none)\.json$/;
const LINEAGE = /^[0-9A-Za-z-]+\.\d+$/;

/** `log/shop/3e11….1/binlog.000004/20260131T140500Z_20260131T140730Z_a1b2…_c3d4….json` */
export function recordKey(
  { database, lineage, log }: { database: string; lineage: string; log: string },
  { createdAt, lastAt, gtids }: Pick<LogFacts, 'createdAt' | 'lastAt' | 'gtids'>,
): string {
  const [before, after] = [digestOf(gtids?.before), digestOf(gtids?.after)];
  return `${shippedFolder(database, lineage, log)}${stampOf(createdAt)}_${stampOf(lastAt)}_${before}_${after}.json`;
}

/** Null for what is no record of a shipped log. `folder`: of all logs of the database. */
export function parseRecordKey(folder: string, key: string): Omit<ShippedLog, 'shippedAt'> | null {
  const [lineage = '', encoded = '', record = '', ...more] = key.slice(folder.length).split('/');
  const parts = RECORD.exec(record);
  const name = decoded(encoded);
  const number = numberOf(name);
  if (parts === null || number === null || more.length > 0 || !LINEAGE.test(lineage)) return null;
  const [, createdAt, lastAt, before, after] = parts as unknown as string[];
  return {
    ...{ lineage, name, number, key },
    ...{ createdAt: timeOf(createdAt as string), lastAt: timeOf(lastAt as string) },
    ...{
      before: before === 'none' ? null : (before as string),
      after: after === 'none' ? null : (after as string),
    },
  };
}

/** Whoever can write can write a key that is none. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}

const DIGITS = 6;

/** The name of another log of the same server: six digits, and more once they are used up (MySQL: The Binary Log). */
export function siblingOf(name: string, number: number): string {
  return `${name.slice(0, name.lastIndexOf('.') + 1)}${String(number).padStart(DIGITS, '0')}`;
}

/** The server of a lineage. */
export const serverOf = (lineage: string): string => lineage.slice(0, lineage.lastIndexOf('.'));

/** How often the server had begun to count anew. */
export const generationOf = (lineage: string): number => Number(lineage.slice(lineage.lastIndexOf('.') + 1));

/** A server as lineages name it. */
export const serverNameOf = (systemIdentifier: string): string =>
  systemIdentifier.replaceAll(/[^0-9A-Za-z-]/g, '-');

export const lineageOf = (systemIdentifier: string, generation: number): string =>
  `${serverNameOf(systemIdentifier)}.${generation}`;

/** A number that stands for a lineage where people and programs expect a timeline. */
export const timelineOf = (lineage: string): number =>
  Number.parseInt(createHash('sha256').update(lineage).digest('hex').slice(0, 7), 16);

const digestOf = (gtids: string | undefined): string =>
  gtids === undefined ? 'none' : createHash('sha256').update(gtids).digest('hex').slice(0, DIGEST_LENGTH);

/** Whole seconds, cut off: a log's end is never said to be later than it is. */
const stampOf = (at: string): string =>
  `${new Date(Date.parse(at)).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;

/** As names say it. */
export const wholeSeconds = (at: string): string => timeOf(stampOf(at));

const timeOf = (stamp: string): string =>
  stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6.000Z');
