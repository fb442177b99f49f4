import type { ServerAccess } from '../../model/access.ts';
import { type Driver, openDriver } from './driver.ts';
import { serverError } from './error.ts';
import { parseServer, type Server } from './flavour.ts';
import { quoteBytes, quoteLiteral } from './identifier.ts';
import { killSession, SERVER_MARK, type SessionName } from './kill-session.ts';
import { type Row, streamRows } from './row-stream.ts';
import { type SessionOptions, sessionStatements } from './session.ts';

export type { Row } from './row-stream.ts';
export type ConnectOptions = SessionOptions;

/** What a `?` in a statement can stand for. */
export type Param = string | number | bigint | boolean | Uint8Array | null;

/**
 * A session at a server. Dates, times, JSON, DECIMAL and BIGINT (so COUNT(*) too) come as text, other integers and
 * floats as numbers, binary columns and BIT as Buffers. One statement at a time.
 */
export interface Connection {
  readonly server: Server;
  /** the server's number of this session; empty where a pooler answers in its place */
  readonly id: string;
  /** the rows; none for a statement that has none */
  query<T = Record<string, unknown>>(sql: string, params?: readonly Param[]): Promise<T[]>;
  /** rows that a change found, changed or not, and the warnings that it left */
  execute(sql: string, params?: readonly Param[]): Promise<{ foundRows: number; warnings: number }>;
  /**
   * The rows as they arrive, in memory that does not grow with them: the server waits for the loop. Leaving the loop
   * early ends the session, since what is left of the rows would have to be read.
   */
  stream(sql: string, params?: readonly Param[]): AsyncIterable<Row>;
  /** never throws; what was not committed is rolled back */
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Opens a session in which every setting that changes how values are written or compared is pinned. An abort of the
 * signal ends the session at the server too, and what it runs. Throws ConnectionFailed, AuthenticationFailed,
 * PermissionDenied, NotSupported (an older server), InvalidConfiguration; the signal's reason after an abort.
 */
export async function connect(
  access: ServerAccess,
  run: { signal: AbortSignal },
  options: ConnectOptions = {},
): Promise<Connection> {
  const { signal } = run;
  signal.throwIfAborted();
  const driver = openDriver(access, {
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    program: options.applicationName ?? 'session',
  });
  const session = new Session(access, driver, signal);
  try {
    await driver.ready;
    await session.prepare(options);
    return session;
  } catch (error) {
    await session.close();
    signal.throwIfAborted();
    throw serverError(error, access);
  }
}

/** Runs work in a session of its own and closes it, whatever happens; errors of the server are mapped. */
export async function withConnection<T>(
  access: ServerAccess,
  run: { signal: AbortSignal },
  work: (connection: Connection) => Promise<T>,
  options: ConnectOptions = {},
): Promise<T> {
  const connection = await connect(access, run, options);
  try {
    return await work(connection);
  } catch (error) {
    run.signal.throwIfAborted();
    throw serverError(error, access);
  } finally {
    await connection.close();
  }
}

class Session implements Connection {
  server: Server = { flavour: 'mysql', version: '', series: 0 };
  id = '';
  readonly #access: ServerAccess;
  readonly #driver: Driver;
  readonly #signal: AbortSignal;
  readonly #abort = () => this.#end();
  #name: SessionName = { id: '', server: '' };
  #killing: Promise<void> | null = null;
  #streaming = false;

  constructor(access: ServerAccess, driver: Driver, signal: AbortSignal) {
    this.#access = access;
    this.#driver = driver;
    this.#signal = signal;
    signal.addEventListener('abort', this.#abort, { once: true });
  }

  async prepare(options: ConnectOptions): Promise<void> {
    const [facts] = await this.#driver.rows<{ version: string; comment: string; id: string; mark: string }>(
      `SELECT VERSION() AS version, @@version_comment AS comment, CONNECTION_ID() AS id, ${SERVER_MARK} AS mark`,
    );
    if (facts === undefined) throw new Error('the server said nothing of itself');
    this.server = parseServer(facts.version, facts.comment);
    // The greeting has 32 bits of the number; a pooler's greeting has its own.
    const direct = (BigInt(facts.id) & 0xffffffffn) === BigInt(this.#driver.mysql2.threadId);
    this.id = direct ? String(facts.id) : '';
    this.#name = { id: this.id, server: facts.mark };
    for (const statement of sessionStatements(this.server.flavour, options)) {
      await this.#driver.rows(statement);
    }
  }

  query<T>(sql: string, params: readonly Param[] = []): Promise<T[]> {
    return this.#ask(() => this.#driver.rows<T>(fill(sql, params)));
  }

  async execute(
    sql: string,
    params: readonly Param[] = [],
  ): Promise<{ foundRows: number; warnings: number }> {
    const result = await this.#ask(() => this.#driver.execute(fill(sql, params)));
    return { foundRows: result.affectedRows ?? 0, warnings: result.warningStatus ?? 0 };
  }

  async *stream(sql: string, params: readonly Param[] = []): AsyncGenerator<Row, void, void> {
    this.#requireIdle();
    this.#streaming = true;
    let ended = false;
    try {
      yield* streamRows(this.#driver.mysql2, fill(sql, params));
      ended = true;
    } catch (error) {
      ended = true;
      this.#signal.throwIfAborted();
      throw serverError(error, this.#access);
    } finally {
      this.#streaming = false;
      if (!ended) this.#end();
    }
  }

  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#abort);
    if (this.#streaming) this.#end();
    await this.#driver.end();
    await this.#killing;
  }

  async #ask<T>(work: () => Promise<T>): Promise<T> {
    this.#requireIdle();
    try {
      return await work();
    } catch (error) {
      this.#signal.throwIfAborted();
      throw serverError(error, this.#access);
    }
  }

  #requireIdle(): void {
    this.#signal.throwIfAborted();
    // The driver would keep the statement until the stream's end, which may wait for the statement.
    if (this.#streaming) throw new Error('the session is busy with the rows of another statement');
  }

  #end(): void {
    this.#killing ??= killSession(this.#access, this.#name);
    this.#driver.drop();
  }
}

/** The statement with its values in place of each `?` that is not in a quoted name or text. */
function fill(sql: string, params: readonly Param[]): string {
  if (params.length === 0) return sql;
  let used = 0;
  const filled = sql.replace(/`[^`]*`|'(?:[^'\\]|\\.)*'|\?/gs, (found) => {
    if (found !== '?') return found;
    used += 1;
    return literal(params[used - 1]);
  });
  if (used !== params.length) throw new RangeError('a statement needs as many values as it has ?');
  return filled;
}

function literal(value: Param | undefined): string {
  if (value === undefined) throw new RangeError('a statement needs as many values as it has ?');
  if (value === null) return 'NULL';
  if (typeof value === 'string') return quoteLiteral(value);
  if (value instanceof Uint8Array) return quoteBytes(value);
  if (typeof value === 'number' && !Number.isFinite(value)) throw new RangeError('no such number in SQL');
  return String(value);
}
