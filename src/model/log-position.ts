/** A place in a log of MySQL or MariaDB, of its text `binlog.000004:1234`. */
export interface LogPosition {
  log: string;
  position: number;
}

/** Null for what is none, such as PostgreSQL's `0/3000148`. */
export function readPosition(text: string): LogPosition | null {
  const [, log, position] = /^(.+):(\d+)$/.exec(text) ?? [];
  return log === undefined ? null : { log, position: Number(position) };
}

export const formatPosition = ({ log, position }: LogPosition): string => `${log}:${position}`;

/** The number of a log, by which a server counts them, beyond six digits where it has to; null for what is no log's name. */
export function numberOf(log: string): number | null {
  const digits = /\.(\d{1,15})$/.exec(log)?.[1];
  return digits === undefined ? null : Number(digits);
}

export function isBefore(a: LogPosition, b: LogPosition): boolean {
  const [x, y] = [numberOf(a.log) ?? 0, numberOf(b.log) ?? 0];
  return x < y || (x === y && a.position < b.position);
}
