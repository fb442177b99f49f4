import { createHash } from 'node:crypto';
import type { ServerAccess } from '../../../model/access.ts';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import { parseNameParts } from '../../../model/table.ts';
import type {
  AppliedChange,
  ChangeInput,
  ImportRecord,
  ImportResult,
  UndoData,
} from '../../contract/change.ts';
import { orAbort } from '../../or-abort.ts';
import { formatNeed } from '../compare/needs.ts';
import { type Connection, withConnection } from '../connection.ts';
import { requireDirect } from '../direct.ts';
import { importError } from './import-error.ts';
import {
  createMarker,
  dropLeftovers,
  dropMarker,
  fateOf,
  fillMarker,
  formatMarker,
  type Marker,
  makingName,
  newMarker,
  openRecords,
  parseMarker,
  voidRecord,
} from './marker.ts';
import { renameTables } from './rename.ts';

/** How long a failed or cancelled change asks the repository and production what became of its commit. */
const CERTAINTY_MS = 15_000;
/** How long an attempt waits for another that is still open. */
const EARLIER_MS = 5_000;
/** Production ends a session that says nothing for so long, with its locks: an S3 that is away must not stop writers. */
const IDLE_SECONDS = 30;
/** While nothing is locked, or a table is read again as long as that takes. */
const PATIENT_SECONDS = 3_600;
/** How long production waits for us to take rows that we asked for. */
const SLOW_SECONDS = 120;

/** What a change did: all of the result but what the frame itself knows. */
export interface Changed {
  tables: AppliedChange[];
  undo: UndoData | null;
}

/** Whose change it is. */
export interface Changing {
  /** where its marker lies, and where earlier attempts may have left something: dbs; the first is the marker's */
  schemas: readonly string[];
  /** tells it from other runbooks' */
  id: string;
}

/**
 * The frame of every change of production, an import or its undo: a session that is safe to change things in, the one
 * lock of the database's changes, the result of an earlier attempt where that committed, and nothing left behind where an
 * attempt is known to have failed. `work` ends with {@link commitMarked}. Exactly once, whatever is killed when.
 */
export async function changeProduction(
  access: ServerAccess,
  input: ChangeInput,
  changing: Changing,
  run: Run,
  work: (session: Connection, marker: Marker) => Promise<ImportResult>,
): Promise<ImportResult> {
  const marker = newMarker(changing.schemas[0] as string, changing.id);
  let reached = false;
  try {
    return await inSession({ ...access, database: marker.schema }, input, run.signal, async (session) => {
      const done = await settleEarlier(session, input, changing);
      if (done !== null) return done;
      reached = true;
      return work(session, marker);
    });
  } catch (error) {
    if (!reached) throw error;
    const done = await settleAfter(access, input, changing);
    if (done !== null) return { ...done, alreadyDone: false };
    throw error;
  }
}

/**
 * The transaction itself: `apply` locks and changes, what it did is written into the journal, then it commits, and tables
 * that were made get their names. Without an open transaction before and after.
 */
export async function commitMarked(
  session: Connection,
  input: ChangeInput,
  marker: Marker,
  run: Run,
  apply: () => Promise<Changed>,
): Promise<ImportResult> {
  await createMarker(session, marker);
  const { tables, undo } = await apply();
  await fillMarker(session, marker);
  const transaction = formatMarker(marker);
  const reference = undo && { folder: undo.folder, expiresAt: undo.expiresAt, sizeBytes: undo.sizeBytes };
  const result: ImportResult = { tables, transaction, alreadyDone: false, undo: reference };
  run.progress({ phase: 'committing' });
  await orAbort(input.journal.write({ transaction, planDigest: input.planDigest, result, undo }), run.signal);
  await session.execute('COMMIT');
  await finish(session, result, marker, input.lockTimeoutMs);
  return result;
}

/** What is left to do after a commit; done already is success. */
async function finish(
  session: Connection,
  { tables }: ImportResult,
  marker: Marker,
  timeoutMs: number,
): Promise<void> {
  const made = tables.flatMap(({ created }, index) => {
    if (created === null) return [];
    const parts = parseNameParts(created) as [string, string];
    return [{ parts, making: makingName(marker, index) }];
  });
  await renameTables(session, made, timeoutMs);
  await dropMarker(session, marker);
}

/** The result of an attempt at this plan that committed; without one, whatever earlier attempts left is removed. */
async function settleEarlier(
  session: Connection,
  input: ChangeInput,
  changing: Changing,
): Promise<ImportResult | null> {
  let done: ImportRecord | null = null;
  for (const record of await openRecords(input.journal, input.planDigest)) {
    const marker = parseMarker(record.transaction);
    const fate = await fateOf(session, marker);
    if (fate === 'committed') await finish(session, record.result, marker, input.lockTimeoutMs);
    if (fate === 'rolled back') await voidRecord(input.journal, record.transaction);
    if (fate !== 'rolled back') done ??= record;
  }
  await dropLeftovers(session, changing.schemas, changing.id);
  return done && { ...done.result, alreadyDone: true };
}

/** After a failure, and after an abort, which may come while the commit is under way. null: not known, or not committed. */
async function settleAfter(
  access: ServerAccess,
  input: ChangeInput,
  changing: Changing,
): Promise<ImportResult | null> {
  const signal = AbortSignal.timeout(CERTAINTY_MS);
  const journal = { read: () => orAbort(input.journal.read(), signal), write: input.journal.write };
  try {
    return await inSession(
      { ...access, database: changing.schemas[0] as string },
      { ...input, journal },
      signal,
      (session) => settleEarlier(session, { ...input, journal }, changing),
    );
  } catch {
    return null;
  }
}

async function inSession<T>(
  access: ServerAccess,
  input: ChangeInput,
  signal: AbortSignal,
  work: (session: Connection) => Promise<T>,
): Promise<T> {
  const waitMs = Math.min(input.lockTimeoutMs, EARLIER_MS);
  const options = { applicationName: 'import', lockTimeoutMs: waitMs };
  return withConnection(
    access,
    { signal },
    async (session) => {
      requireDirect(session, access);
      await prepareSession(session, input.database, waitMs);
      return work(session).catch((error: unknown) => {
        throw importError(error);
      });
    },
    options,
  );
}

/**
 * The lock keeps two changes of one database apart, and a retry from its own first attempt: the server drops it with the
 * session, after its transaction.
 */
async function prepareSession(session: Connection, database: string, waitMs: number): Promise<void> {
  await session.execute(`SET SESSION net_write_timeout = ${SLOW_SECONDS}`);
  await bePatient(session, true);
  await logRows(session);
  const name = `holdfast_${createHash('sha256').update(database).digest('hex').slice(0, 40)}`;
  const [lock] = await session.query<{ got: string | number | null }>('SELECT GET_LOCK(?, ?) AS got', [
    name,
    Math.max(1, Math.ceil(waitMs / 1000)),
  ]);
  if (Number(lock?.got) === 1) return;
  throw new HoldfastError('LockNotAvailable', `another import into ${database} is under way`, {
    hint: 'it can be tried again once that has ended',
  });
}

/** Has rows logged as rows, and so no temporary table. Throws PermissionDenied. */
export async function logRows(session: Connection): Promise<void> {
  const [format] = await session.query<{ format: string; log: string }>(
    'SELECT @@binlog_format AS format, @@GLOBAL.log_bin AS log',
  );
  if (format?.format !== 'ROW' && format?.log !== '0') {
    await session.execute("SET SESSION binlog_format = 'ROW'").catch((error: unknown) => {
      if (!(error instanceof HoldfastError) || error.type !== 'PermissionDenied') throw error;
      const [right] = formatNeed(session.server).rights;
      throw new HoldfastError(
        'PermissionDenied',
        `the server logs statements (binlog_format ${format?.format}), and the configured user may not have its rows logged instead`,
        { hint: `grant ${right} on *.*, or set binlog_format to ROW` },
      );
    });
  }
}

/** Whether production may wait long for our next word, or ends the session soon. */
export async function bePatient(session: Connection, patient: boolean): Promise<void> {
  await session.execute(`SET SESSION wait_timeout = ${patient ? PATIENT_SECONDS : IDLE_SECONDS}`);
}
