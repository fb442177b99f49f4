import type { Manifest } from '../../../../src/model/backup.ts';
import { logFolder } from '../../../../src/repository/layout.ts';
import { parseRecordKey, recordKey, type ShippedLog } from '../../../../src/repository/shipped/name.ts';

/** A clock for tests, by the server. */
export const EPOCH = Date.parse('2026-01-31T00:00:00Z');
export const isoAt = (seconds: number): string => new Date(EPOCH + seconds * 1_000).toISOString();

export const SERVER = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
export const OTHER = '9a22fb58-71ca-11e1-9e33-c80aa9429562';

export const logName = (number: number): string => `binlog.${String(number).padStart(6, '0')}`;

export interface LogOptions {
  lineage?: string;
  /** transactions before it and at its end, as the last number; null: without GTIDs */
  gtids?: [number, number] | null;
}

const setOf = (last: number): string => (last === 0 ? '' : `${SERVER}:1-${last}`);

/** Log `number`, from one second to another, by its record's name alone. */
export function shipped(number: number, from: number, to: number, options: LogOptions = {}): ShippedLog {
  const { lineage = `${SERVER}.1`, gtids = null } = options;
  const key = recordKey(
    { database: 'shop', lineage, log: logName(number) },
    {
      ...{ createdAt: isoAt(from), lastAt: isoAt(to) },
      gtids: gtids === null ? null : { before: setOf(gtids[0]), after: setOf(gtids[1]) },
    },
  );
  const log = parseRecordKey(logFolder('shop'), key);
  if (log === null) throw new Error(`${key} is no record`);
  // The clock of S3 is another one, and nothing may depend on it.
  return { ...log, shippedAt: isoAt(to - 7_200) };
}

/** Ten seconds each: log 3 is written from second 30 to second 40. */
export const tenSeconds = (numbers: readonly number[], lineage = `${SERVER}.1`): ShippedLog[] =>
  numbers.map((number) => shipped(number, number * 10, number * 10 + 10, { lineage }));

/** A logical backup whose snapshot is of this second, in this log. */
export function dump(
  id: string,
  at: number,
  startLog: number,
  changes: { server?: string; gtid?: string | null; position?: number; finishedAt?: number } = {},
): Manifest {
  const { server = SERVER, gtid = null, position = 197, finishedAt = at + 3 } = changes;
  const start = `${logName(startLog)}:${position}`;
  return {
    formatVersion: 1,
    ...{ id, database: 'shop', engine: 'mysql', tier: 'logical', kind: 'full' },
    ...{ startedAt: isoAt(at - 1), finishedAt: isoAt(finishedAt) },
    ...{ sizeBytes: 1, databaseBytes: 1, dependsOn: [], lockedUntil: null },
    ...{ serverVersion: '8.0.31', systemIdentifier: server, tools: {} },
    encryption: { kmsKeyId: null, repositoryCipher: false },
    positions: {
      ...{ timeline: null, start, stop: start, startLog: logName(startLog), stopLog: logName(startLog) },
      ...{ gtid, at: isoAt(at) },
    },
    ...{ databases: [], globals: null, instructions: null, notices: [] },
    madeBy: { workflowId: 'w', runId: 'r' },
  };
}
