import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';

/** A table as LOCK TABLE needs it: `relation.ts` says what the two are. */
export interface TableLock {
  qualified: string;
  source: string;
  mode: LockMode;
}

/**
 * The weakest first, each stronger than all before: where rows are only looked at, nobody changes the table's form;
 * nobody makes a part of it; nobody writes; nobody locks a row either; nobody even reads.
 */
const MODES = [
  ...(['ROW SHARE', 'SHARE UPDATE EXCLUSIVE', 'SHARE ROW EXCLUSIVE'] as const),
  ...(['EXCLUSIVE', 'ACCESS EXCLUSIVE'] as const),
];
type LockMode = (typeof MODES)[number];

/** One lock for each table, the strongest that is asked for. */
export function strongest(locks: readonly TableLock[]): TableLock[] {
  const tables = new Map<string, TableLock>();
  for (const lock of locks) {
    const other = tables.get(lock.qualified);
    if (other === undefined || MODES.indexOf(other.mode) < MODES.indexOf(lock.mode)) {
      tables.set(lock.qualified, lock);
    }
  }
  return [...tables.values()];
}

/** A statement that locks rows with NOWAIT. */
export interface RowLock {
  sql: string;
  /** the table whose rows these are, {@link TableLock.qualified} */
  qualified: string;
}

export interface Locks {
  tables: readonly TableLock[];
  rows: readonly RowLock[];
}

/** How long one try waits while it holds nothing; behind it in the queue, production's writers wait too. */
const WAIT_MS = 500;
/**
 * How long what is in flight may take to end while locks are held, in turns: mostly it ends at once, or never, since
 * it needs what is locked. Another try then finds other transactions in flight.
 */
const DRAIN_MS = [20, 20, 20, 200];
const DRAIN_PAUSE_MS = 2;
/** How long all tables are then asked for at once, again and again, without waiting for any. */
const SPIN_MS = 150;
/**
 * After the first lock nothing should wait. What does all the same ends so soon that hardly anybody looks for a
 * deadlock meanwhile: a session of production that waits for us may have waited for most of its deadlock_timeout.
 */
const GUARD_MS = 5;
/** Who has not had the locks by then tries more rarely: behind each try that waits, production's writers wait too. */
const EAGER_MS = 5_000;
const RARELY_MS = 1_500;
const NOT_AVAILABLE = '55P03';
const BEGIN = 'BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE';

/**
 * Opens a transaction that holds all these locks. It can never be part of a deadlock, so that no session of
 * production is ever ended for one: it waits only while it holds nothing, for one table, and takes all the rest
 * with NOWAIT; where that fails it lets go of everything and tries again, first waiting for what was busy. Where
 * production takes the tables in more than one order, to wait for one always leaves somebody in the middle with
 * another: then only a moment in which nobody holds any will do, and all are asked for at once. Throws
 * LockNotAvailable when the time is over; then no transaction is open.
 */
export async function beginLocked(
  client: pg.Client,
  locks: Locks,
  timeoutMs: number,
  run: Run,
): Promise<void> {
  const started = Date.now();
  const deadline = started + timeoutMs;
  const tables = [...locks.tables].sort((one, other) => (one.qualified < other.qualified ? -1 : 1));
  const tries = new Tries(client, { tables, rows: locks.rows });
  for (let attempt = 1; ; attempt += 1) {
    run.progress({ phase: 'waiting for locks' });
    const remaining = deadline - Date.now();
    if (attempt > 1 && remaining <= 0) {
      throw new HoldfastError(
        'LockNotAvailable',
        'the tables were not had in time: other sessions hold locks on them',
        {
          hint: 'nothing was changed; it can be tried again as it is; pg_locks in production shows who holds them',
        },
      );
    }
    if (await tries.attempt(Math.max(1, Math.min(remaining, await tries.waitMs())))) return;
    if (await tries.spin(Date.now() + Math.min(SPIN_MS, deadline - Date.now()), run.signal)) return;
    // Not in step with anybody else who tries again.
    const pause =
      Date.now() - started < EAGER_MS ? 5 : Math.min(RARELY_MS, Math.max(5, deadline - Date.now()));
    await sleep(pause + Math.random() * 20, undefined, { signal: run.signal });
  }
}

class Tries {
  private readonly client: pg.Client;
  private readonly locks: Locks;
  /** the table to wait for first, and whether to wait for those too who have only locked rows of it */
  private first: string | undefined;
  private drainsRows = false;
  private failures = 0;

  constructor(client: pg.Client, locks: Locks) {
    this.client = client;
    this.locks = locks;
    this.first = locks.tables.find((lock) => lock.mode !== 'ROW SHARE')?.qualified;
  }

  /** An automatic VACUUM makes room only for those who wait longer than the time after which deadlocks are looked for. */
  async waitMs(): Promise<number> {
    if (this.failures === 0) return WAIT_MS;
    const { rows } = await this.client.query<{ wait: string }>(
      `SELECT s.setting AS wait FROM pg_catalog.pg_settings s
       WHERE s.name = 'deadlock_timeout' AND EXISTS (SELECT FROM pg_catalog.pg_locks l
         JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
         WHERE l.mode = 'ShareUpdateExclusiveLock' AND l.granted AND a.backend_type = 'autovacuum worker'
           AND l.relation = ANY ($1::pg_catalog.regclass[]))`,
      [this.locks.tables.filter(({ mode }) => mode !== 'ROW SHARE').map(({ qualified }) => qualified)],
    );
    return rows[0] === undefined ? WAIT_MS : Number(rows[0].wait) + WAIT_MS;
  }

  /** One try, waiting for the first table; false: something was busy, and everything has been let go. */
  async attempt(waitMs: number): Promise<boolean> {
    const { client } = this;
    const drained = () => Date.now() + (DRAIN_MS[this.failures % DRAIN_MS.length] as number);
    await client.query(BEGIN);
    let busy = this.first;
    try {
      await client.query(`SET LOCAL lock_timeout = ${Math.trunc(waitMs)}`);
      const first = this.locks.tables.find(({ qualified }) => qualified === this.first);
      if (first !== undefined) {
        await client.query(`LOCK TABLE ONLY ${first.qualified} IN ${this.strength(first)} MODE`);
      }
      await client.query(`SET LOCAL lock_timeout = ${GUARD_MS}`);
      const until = drained();
      for (const lock of this.locks.tables) {
        busy = lock.qualified;
        await this.insist(this.withoutWaiting(lock), until);
      }
    } catch (error) {
      return this.letGo(error, busy);
    }
    return this.lockRows(drained());
  }

  /** Asks for all tables at once until a moment, without waiting: nobody is held up by it. */
  async spin(until: number, signal: AbortSignal): Promise<boolean> {
    const all = this.locks.tables.map((lock) => this.withoutWaiting(lock));
    const statements = [BEGIN, `SET LOCAL lock_timeout = ${GUARD_MS}`, ...all].join('; ');
    while (this.locks.tables.length > 1 && Date.now() < until) {
      signal.throwIfAborted();
      try {
        await this.client.query(statements);
      } catch (error) {
        await this.letGo(error, undefined);
        continue;
      }
      if (await this.lockRows(Date.now() + (DRAIN_MS[0] as number))) return true;
    }
    return false;
  }

  private withoutWaiting(lock: TableLock): string {
    return `LOCK TABLE ${lock.source} IN ${this.strength(lock)} MODE NOWAIT`;
  }

  private strength({ mode }: TableLock): TableLock['mode'] {
    return this.drainsRows && mode === 'SHARE ROW EXCLUSIVE' ? 'EXCLUSIVE' : mode;
  }

  private async lockRows(until: number): Promise<boolean> {
    for (const { qualified, sql } of this.locks.rows) {
      try {
        await this.insist(sql, until);
      } catch (error) {
        this.drainsRows = true;
        return this.letGo(error, qualified);
      }
    }
    return true;
  }

  /** Throws what is no matter of locks. */
  private async letGo(error: unknown, busy: string | undefined): Promise<false> {
    await this.client.query('ROLLBACK').catch(() => {});
    if ((error as { code?: string }).code !== NOT_AVAILABLE) throw error;
    this.failures += 1;
    const waitable = this.locks.tables.some((lock) => lock.qualified === busy && lock.mode !== 'ROW SHARE');
    if (waitable) this.first = busy;
    return false;
  }

  /** Tries with NOWAIT until a moment: transactions in flight end, unless they need what is locked by now. */
  private async insist(sql: string, until: number): Promise<void> {
    for (;;) {
      await this.client.query('SAVEPOINT holdfast_lock');
      try {
        await this.client.query(sql);
        await this.client.query('RELEASE SAVEPOINT holdfast_lock');
        return;
      } catch (error) {
        if ((error as { code?: string }).code !== NOT_AVAILABLE || Date.now() >= until) throw error;
        await this.client.query('ROLLBACK TO SAVEPOINT holdfast_lock');
        await sleep(DRAIN_PAUSE_MS);
      }
    }
  }
}
