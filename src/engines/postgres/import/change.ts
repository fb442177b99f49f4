import type pg from 'pg';
import type { ServerAccess } from '../../../model/access.ts';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import type { AppliedChange, ChangeInput, ImportResult, UndoData } from '../../contract/change.ts';
import { orAbort } from '../../or-abort.ts';
import { connectionError, withConnection } from '../connection.ts';
import { requireDirect } from '../direct.ts';
import { committedResult } from './earlier-attempt.ts';
import { importError } from './import-error.ts';
import { beginLocked, type Locks } from './locks.ts';

/** How long a cancelled change asks the repository and production what became of its commit. */
const CERTAINTY_MS = 10_000;

/** How long an attempt waits for another that is still open; the lock on the db is asked for as long. */
const EARLIER_MS = 5_000;

/** While the journal is written production's tables are locked: an S3 that is away must not stop its writers for long. */
const IDLE_LIMIT = '20s';

/** What a change did: all of the result but what the frame itself knows. */
export interface Changed {
  tables: AppliedChange[];
  undo: UndoData | null;
}

/**
 * The frame of every change of production, an import or its undo: a session that is safe to change things in, the
 * one lock of the database's changes, and the result of an earlier attempt where that committed. `work` ends with
 * {@link commitLocked}. Exactly once, whatever is killed when; a cancelled change asks production what became of
 * its commit. Errors of production come out as Holdfast's, without its words.
 */
export async function changeProduction(
  access: ServerAccess,
  input: ChangeInput,
  run: Run,
  work: (client: pg.Client) => Promise<ImportResult>,
): Promise<ImportResult> {
  try {
    return await attempt(access, input, run, work);
  } catch (error) {
    const done = run.signal.aborted ? await committedAnyway(access, input) : null;
    if (done !== null) return done;
    throw error;
  }
}

/**
 * The transaction itself: takes the locks without ever being part of a deadlock, lets `apply` change what is to be
 * changed, writes what it did into the journal, and commits. `apply` may use no savepoint for what it writes: rows
 * are recognised later by the transaction's own id. Without an open transaction before and after.
 */
export async function commitLocked(
  client: pg.Client,
  input: ChangeInput,
  locks: Locks,
  run: Run,
  apply: () => Promise<Changed>,
): Promise<ImportResult> {
  await beginLocked(client, locks, input.lockTimeoutMs, run);
  try {
    const { tables, undo } = await apply();
    const transaction = await currentTransaction(client);
    const reference = undo && {
      folder: undo.folder,
      expiresAt: undo.expiresAt,
      sizeBytes: undo.sizeBytes,
    };
    const result: ImportResult = { tables, transaction, alreadyDone: false, undo: reference };
    run.progress({ phase: 'committing' });
    const record = { transaction, planDigest: input.planDigest, result, undo };
    await orAbort(input.journal.write(record), run.signal);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** The open transaction's id, with its epoch; one is assigned where it had none. */
export async function currentTransaction(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ id: string }>(
    'SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text AS id',
  );
  return rows[0]?.id as string;
}

/** An abort may come while the commit is under way: a change that happened must not be told as cancelled. */
async function committedAnyway(access: ServerAccess, input: ChangeInput): Promise<ImportResult | null> {
  const waitMs = earlierMs(input);
  const signal = AbortSignal.timeout(waitMs + CERTAINTY_MS);
  const journal = { ...input.journal, read: () => orAbort(input.journal.read(), signal) };
  const wait = { journal, planDigest: input.planDigest, waitMs };
  const options = { applicationName: 'import', signal, lockTimeoutMs: waitMs };
  try {
    return await withConnection(access, options, (live) => committedResult(live, wait, signal));
  } catch {
    return null;
  }
}

const earlierMs = ({ lockTimeoutMs }: ChangeInput) => Math.min(lockTimeoutMs, EARLIER_MS);

async function attempt(
  access: ServerAccess,
  input: ChangeInput,
  run: Run,
  work: (client: pg.Client) => Promise<ImportResult>,
): Promise<ImportResult> {
  const waitMs = earlierMs(input);
  const options = { applicationName: 'import', signal: run.signal, lockTimeoutMs: waitMs };
  return withConnection(access, options, async (client) => {
    try {
      await requireDirect(client, access);
      await prepareSession(client, input.database);
      const wait = { journal: input.journal, planDigest: input.planDigest, waitMs };
      return (await committedResult(client, wait, run.signal)) ?? (await work(client));
    } catch (error) {
      run.signal.throwIfAborted();
      throw connectionError(importError(error), access);
    }
  });
}

/**
 * The lock keeps two changes of one database apart, and a retry from its own first attempt; the server drops it
 * with the session. A worker that vanished without a word must not hold production's tables for long.
 */
async function prepareSession(client: pg.Client, database: string): Promise<void> {
  const settings = {
    idle_in_transaction_session_timeout: IDLE_LIMIT,
    tcp_keepalives_idle: '15',
    tcp_keepalives_interval: '5',
    tcp_keepalives_count: '3',
    client_min_messages: 'error',
    // The staged rows are joined with the tables while these are locked.
    work_mem: '64MB',
    jit: 'off',
  };
  const names = Object.keys(settings);
  await client.query(
    `SELECT pg_catalog.set_config(name, value, false)
     FROM unnest($1::pg_catalog.text[], $2::pg_catalog.text[]) AS s(name, value)`,
    [names, Object.values(settings)],
  );
  // A commit that was reported must outlive a crash of the server; foreign keys hold whatever a role or db has set.
  await client.query(
    `SELECT pg_catalog.set_config(name, wanted, false)
     FROM (VALUES ('synchronous_commit', 'off', 'on'), ('session_replication_role', 'replica', 'origin'))
       AS s(name, unwanted, wanted)
     WHERE pg_catalog.current_setting(name) = unwanted`,
  );
  // Event triggers must not fire either; nobody else may turn them off, and the plan says so.
  await client.query(
    `SELECT pg_catalog.set_config(name, 'off', false) FROM pg_catalog.pg_settings
     WHERE name = 'event_triggers' AND pg_catalog.current_setting('is_superuser') = 'on'`,
  );
  await client
    .query('SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended($1, 0))', [
      `holdfast import ${database}`,
    ])
    .catch((error: { code?: string }) => {
      if (error.code !== '55P03') throw error;
      throw new HoldfastError('LockNotAvailable', `another import into ${database} is under way`, {
        hint: 'it can be tried again once that has ended',
      });
    });
}
