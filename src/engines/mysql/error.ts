import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';

/** The server's own number of a refused statement, as the cause of a HoldfastError: its words may quote rows. */
export class ServerRefusal extends Error {
  readonly errno: number;
  readonly sqlState: string;

  constructor(errno: number, sqlState: string) {
    super(`error ${errno} (${sqlState})`);
    this.name = 'ServerRefusal';
    this.errno = errno;
    this.sqlState = sqlState;
  }
}

/** The number by which the server refused, as 1146 for a table that is not there; null for any other failure. */
export function refusalOf(error: unknown): number | null {
  const cause = error instanceof HoldfastError ? error.cause : error;
  return cause instanceof ServerRefusal ? cause.errno : null;
}

// Numbers: "Server Error Message Reference" of MySQL's manual, "MariaDB Error Codes" of MariaDB's.
const AUTHENTICATION = [1045, 1130, 1251, 1396, 1524, 1698, 1820, 1862, 3118, 3955, 4151];
const PERMISSION = [1044, 1142, 1143, 1227, 1370, 1419, 1549, 1873];
const CONNECTION = [
  1040, 1042, 1043, 1053, 1077, 1080, 1129, 1152, 1153, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1927, 2006,
  2013, 3169, 4031,
];
const LOCK = [1205, 1213, 3058, 3572, 3132];
const FULL_DISK = [1021, 1114, 3170];
/** What these say holds names and nothing else. */
const NAMES_ONLY = [1049, 1051, 1054, 1091, 1109, 1146, 1305, 1356, 1290, 1792, 1836, 1193, 1231];

interface DriverError extends Error {
  code?: string;
  errno?: number;
  sqlState?: string;
}

/**
 * An error of the driver or the server as Holdfast's; a HoldfastError stays what it is. Nothing of a statement, a row or
 * a password is in it: the driver's own has the statement as a property, so it is not kept as the cause.
 */
export function serverError(error: unknown, access: ServerAccess): unknown {
  if (error instanceof HoldfastError || !(error instanceof Error)) return error;
  const { code = '', errno = 0, sqlState = '', message } = error as DriverError;
  const where = placeOf(access);
  // Only what the server sent has a state; the driver's and the system's own numbers are others.
  if (sqlState !== '') return refusal(new ServerRefusal(errno, sqlState), code, message, access, where);
  if (isConnectionTrouble(code, message)) {
    return new HoldfastError(
      'ConnectionFailed',
      `the server at ${where} cannot be reached (${code || 'lost'})`,
      {
        hint: 'check that the server runs, and host, port and TLS of the connection',
      },
    );
  }
  if (/plugin|AUTH_SWITCH|auth/i.test(`${code} ${message}`)) {
    return new HoldfastError(
      'AuthenticationFailed',
      `the server at ${where} wants another way to prove who ${access.user} is than Holdfast has`,
      { hint: 'use caching_sha2_password (MySQL) or mysql_native_password (MariaDB) for that user' },
    );
  }
  return error;
}

/** For people: address and port, or the socket. */
export function placeOf({ host, port }: Pick<ServerAccess, 'host' | 'port'>): string {
  return host.startsWith('/') ? host : `${host}:${port}`;
}

function refusal(
  cause: ServerRefusal,
  code: string,
  message: string,
  access: ServerAccess,
  where: string,
): HoldfastError {
  const { errno } = cause;
  const fail = (type: ConstructorParameters<typeof HoldfastError>[0], what: string, hint: string) =>
    new HoldfastError(type, what, { hint, cause });
  if (errno === 1049 && access.database !== '' && message.includes(`'${access.database}'`)) {
    const hint = 'correct connection.database in the configuration';
    return fail('InvalidConfiguration', `there is no db "${access.database}" at ${where}`, hint);
  }
  if (errno === 3159) {
    const hint = 'leave out `tls: off` (require_secure_transport is on at the server)';
    return fail('InvalidConfiguration', `the server at ${where} takes encrypted connections only`, hint);
  }
  if (AUTHENTICATION.includes(errno)) {
    const hint = `check the password that the configuration refers to for user ${access.user}, and from which hosts the server lets that user in`;
    return fail(
      'AuthenticationFailed',
      `the server at ${where} refused user ${access.user} (error ${errno})`,
      hint,
    );
  }
  if (PERMISSION.includes(errno)) {
    const hint = `see SHOW GRANTS of ${access.user}, and grant it`;
    return fail('PermissionDenied', `user ${access.user} lacks a right at ${where}${missing(message)}`, hint);
  }
  if (LOCK.includes(errno)) {
    const hint = 'see SHOW PROCESSLIST for the session that holds it, and try again';
    return fail('LockNotAvailable', `a lock at ${where} was not had in time (error ${errno})`, hint);
  }
  if (FULL_DISK.includes(errno) || /Errcode: 28\b|No space left on device/.test(message)) {
    const hint =
      'make space on the disk of the server, or raise its limits (tmp_table_size, max_heap_table_size)';
    return fail('NotEnoughSpace', `the server at ${where} has no space left (error ${errno})`, hint);
  }
  if (CONNECTION.includes(errno) || cause.sqlState.startsWith('08')) {
    const hint = 'check that the server runs and takes further connections (max_connections)';
    return fail('ConnectionFailed', `the connection to the server at ${where} failed (error ${errno})`, hint);
  }
  const said = NAMES_ONLY.includes(errno) ? `: ${message.slice(0, 200)}` : ` (${code}, error ${errno})`;
  const hint = "the server's words may hold row data, and so only some are repeated here";
  return fail('ToolFailed', `the server at ${where} refused a statement${said}`, hint);
}

/** The right by its name, which the server says in places without data: `(at least one of) the RELOAD privilege`. */
function missing(message: string): string {
  const right = /the (.{1,100}?) privilege\(s\)/.exec(message)?.[1];
  if (right !== undefined) return `: ${right}`;
  const command = /^([A-Z ,]+) command denied/.exec(message)?.[1];
  return command === undefined ? '' : `: ${command}`;
}

function isConnectionTrouble(code: string, message: string): boolean {
  if (/^(?:ECONN|EHOST|ENET|ETIMEDOUT|ENOTFOUND|EAI_|ENOENT|EPIPE|EACCES|ENOTSOCK|EADDR)/.test(code))
    return true;
  if (/CERT|TLS|SSL|PROTOCOL_(?:CONNECTION_LOST|INCORRECT|SEQUENCE)|HANDSHAKE/.test(code)) return true;
  return /closed state|connection.*(?:lost|closed|timeout)|certificate|secure connection/i.test(message);
}
