// Measured on two cores with everything on loopback; a first word to a person, not a promise.
const RESTORE_BYTES_PER_SECOND = 60e6;
const LOGS_PER_SECOND = 8;
const START_SECONDS = 10;

/** Seconds for restore and replay, before anything of this database was measured. */
export function estimateSeconds(work: { databaseBytes: number; logs: number }): number {
  return Math.ceil(
    START_SECONDS + work.databaseBytes / RESTORE_BYTES_PER_SECOND + work.logs / LOGS_PER_SECOND,
  );
}
