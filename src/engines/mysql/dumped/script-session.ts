import type { ServerAccess } from '../../../model/access.ts';
import { type FailureType, HoldfastError } from '../../../model/failure.ts';
import { type Driver, openDriver } from '../driver.ts';
import { serverError } from '../error.ts';
import { type Flavour, parseServer } from '../flavour.ts';
import { makeTimeZone, unknownZone } from '../time-zone.ts';

/** A session that takes statements as bytes, as a script has them. */
export interface ScriptSession {
  readonly flavour: Flavour;
  /** Null: done. Else the number by which the server refused it; its words may quote rows. Throws where it is lost. */
  refusal(statement: string): Promise<number | null>;
  rows<T>(statement: string): Promise<T[]>;
  close(): Promise<void>;
}

const DAY = 86_400;
/** Also for rows that were there before a key or a check was: a copy has what production has. */
const SETTINGS = [
  "sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
  "time_zone = '+00:00'",
  'foreign_key_checks = 0',
  'unique_checks = 0',
  ...['wait_timeout', 'net_read_timeout', 'net_write_timeout', 'lock_wait_timeout'].map(
    (name) => `${name} = ${DAY}`,
  ),
];
const OF_MARIADB = 'check_constraint_checks = 0';
/** collation `binary`: to the driver each character is one byte, and none is converted */
const BYTES = 63;
/** A statement of comments alone, as those of the other flavour are to a server. */
const EMPTY = 1065;

export async function openScriptSession(
  access: ServerAccess,
  run: { signal: AbortSignal },
): Promise<ScriptSession> {
  run.signal.throwIfAborted();
  const driver = openDriver(access, { connectTimeoutMs: 10_000, program: 'load' });
  const abort = () => driver.drop();
  run.signal.addEventListener('abort', abort, { once: true });
  const failed = (error: unknown) => {
    run.signal.throwIfAborted();
    return serverError(error, access);
  };
  const close = async () => {
    run.signal.removeEventListener('abort', abort);
    await driver.end();
  };
  try {
    const flavour = await prepare(driver);
    return {
      flavour,
      async refusal(statement) {
        const error = await attempt(driver, statement);
        if (error === null) return null;
        const zone = unknownZone(error.message);
        if (zone !== null && (await makeTimeZone((one) => driver.rows(one), zone))) {
          return (await attempt(driver, statement)) === null ? null : (error.errno ?? 0);
        }
        const errno = error.sqlState === undefined ? 0 : (error.errno ?? 0);
        const mapped = failed(error);
        const isOfServer = mapped instanceof HoldfastError && OF_THE_SERVER.includes(mapped.type);
        if (errno === 0 || isOfServer) throw mapped;
        return errno;
      },
      rows: <T>(statement: string) =>
        driver.rows<T>(statement).catch((error: unknown) => {
          throw failed(error);
        }),
      close,
    };
  } catch (error) {
    await close();
    throw failed(error);
  }
}

interface DriverError extends Error {
  errno?: number;
  sqlState?: string;
}

/** The server itself is in trouble, not the statement. */
const OF_THE_SERVER: readonly FailureType[] = ['ConnectionFailed', 'NotEnoughSpace'];

async function attempt(driver: Driver, statement: string): Promise<DriverError | null> {
  return driver.execute(statement).then(
    () => null,
    (error: DriverError) => (error.errno === EMPTY ? null : error),
  );
}

async function prepare(driver: Driver): Promise<Flavour> {
  await driver.ready;
  const [facts] = await driver.rows<{ version: string; comment: string }>(
    'SELECT VERSION() AS version, @@version_comment AS comment',
  );
  const { flavour } = parseServer(facts?.version ?? '', facts?.comment ?? '');
  await driver.rows('SET NAMES utf8mb4');
  const settings = flavour === 'mariadb' ? [...SETTINGS, OF_MARIADB] : SETTINGS;
  await driver.rows(`SET ${settings.map((one) => `SESSION ${one}`).join(', ')}`);
  // Fixed: the driver follows each SET NAMES of a script, and would convert what follows it.
  Object.defineProperty(driver.mysql2.config, 'charsetNumber', { get: () => BYTES, set: () => {} });
  return flavour;
}
