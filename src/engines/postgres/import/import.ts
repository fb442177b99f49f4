import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import type { ImportInput, ImportResult } from '../../engine.ts';
import { ruleOf } from '../../rule-of.ts';
import { checkFolder } from '../compare/differences.ts';
import { insertOrder } from '../compare/insert-order.ts';
import { preferIndexes } from '../compare/lookup.ts';
import { locateTables, requireSupported } from '../compare/rule.ts';
import { describePair, keyNames, requireRule, type TablePair } from '../compare/table-pair.ts';
import { connectionError, withConnection } from '../connection.ts';
import { requireDirect } from '../direct.ts';
import { describeApplied, insertMissing, lockTables } from './apply.ts';
import { committedResult } from './earlier-attempt.ts';
import { importError } from './import-error.ts';
import { advanceSequences } from './sequences.ts';
import { type Stage, stageRows } from './stage.ts';
import { withTriggersOff } from './triggers.ts';

/** How long a cancelled import asks the repository and production what became of its commit. */
const CERTAINTY_MS = 10_000;

/** While the journal is written production's tables are locked: an S3 that is away must not stop its writers for long. */
const IDLE_LIMIT = '20s';

/**
 * Brings the approved rows back: staged in temporary tables, then one transaction. Exactly once, whatever is
 * killed when: the transaction's id and its result are in the journal before the commit, and a later attempt
 * asks production what became of it, as a cancelled one does. Throws PlanChanged (nothing was changed) where an approved row cannot come
 * back any more, LockNotAvailable where the tables are not had in time, CheckFailed, PermissionDenied.
 */
export async function importRows(input: ImportInput, run: Run): Promise<ImportResult> {
  requireSupported(input.conflict);
  try {
    return await attemptImport(input, run);
  } catch (error) {
    const done = run.signal.aborted ? await committedAnyway(input) : null;
    if (done !== null) return done;
    throw error;
  }
}

/** An abort may come while the commit is under way: an import that happened must not be told as cancelled. */
async function committedAnyway(input: ImportInput): Promise<ImportResult | null> {
  const signal = AbortSignal.timeout(input.lockTimeoutMs + CERTAINTY_MS);
  const journal = { ...input.journal, read: () => orAbort(input.journal.read(), signal) };
  const wait = { journal, planDigest: input.planDigest, waitMs: input.lockTimeoutMs };
  const options = { applicationName: 'import', signal, lockTimeoutMs: input.lockTimeoutMs };
  try {
    const { production } = locateTables(input);
    return await withConnection(production, options, (live) => committedResult(live, wait, signal));
  } catch {
    return null;
  }
}

async function attemptImport(input: ImportInput, run: Run): Promise<ImportResult> {
  const { production, restored } = locateTables(input);
  const options = { applicationName: 'import', signal: run.signal, lockTimeoutMs: input.lockTimeoutMs };
  return withConnection(production, options, async (live) => {
    try {
      await requireDirect(live, production);
      await prepareSession(live, input.database);
      const wait = { journal: input.journal, planDigest: input.planDigest, waitMs: input.lockTimeoutMs };
      const earlier = await committedResult(live, wait, run.signal);
      if (earlier !== null) return earlier;
      return await withConnection(restored, { ...options, readOnly: true }, (copy) =>
        // Here, before an error of production is told as one of the restored copy.
        importInto({ production: live, restored: copy }, input, run).catch((error: unknown) => {
          throw importError(error);
        }),
      );
    } catch (error) {
      run.signal.throwIfAborted();
      throw connectionError(importError(error), production);
    }
  });
}

/**
 * The lock keeps two imports into one database apart, and a retry from its own first attempt; the server drops it
 * with the session. A worker that vanished without a word must not hold production's tables for long.
 */
async function prepareSession(client: pg.Client, database: string): Promise<void> {
  const settings = {
    idle_in_transaction_session_timeout: IDLE_LIMIT,
    tcp_keepalives_idle: '15',
    tcp_keepalives_interval: '5',
    tcp_keepalives_count: '3',
    client_min_messages: 'error',
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

async function importInto(
  sides: { production: pg.Client; restored: pg.Client },
  input: ImportInput,
  run: Run,
): Promise<ImportResult> {
  await preferIndexes(sides.restored, true);
  const approved = new Map(input.comparisons.map((comparison) => [comparison.table, comparison]));
  const pairs: TablePair[] = [];
  for (const table of approved.keys())
    pairs.push(await describePair(sides.production, sides.restored, table));
  const stages: Stage[] = [];
  for (const [index, pair] of insertOrder(pairs).entries()) {
    const comparison = approved.get(pair.table);
    if (comparison === undefined) continue;
    const { change, keysSha256 } = ruleOf(comparison, input.conflict);
    requireRule(pair, input.conflict);
    const folder = comparison.keysFolder;
    const { key } = await checkFolder(pair.table, folder, input.conflict, keysSha256);
    refuseOtherKey(pair, key);
    const keys = { folder, count: change.inserts };
    stages.push(await stageRows(sides, pair, keys, index, run));
  }
  await sides.production.query('BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE');
  try {
    const result = await applyStages(sides, input, stages, run);
    await sides.production.query('COMMIT');
    return result;
  } catch (error) {
    await sides.production.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

async function applyStages(
  sides: { production: pg.Client; restored: pg.Client },
  input: ImportInput,
  stages: readonly Stage[],
  run: Run,
): Promise<ImportResult> {
  const client = sides.production;
  await lockTables(client, stages, input.lockTimeoutMs);
  const pairs = stages.map((stage) => stage.pair);
  const applied = await withTriggersOff(client, pairs, async () => {
    await client.query('SET CONSTRAINTS ALL DEFERRED');
    const counts = await insertMissing(client, stages, run);
    // Now, not at the commit: what is written to the journal has to be able to commit.
    await client.query('SET CONSTRAINTS ALL IMMEDIATE');
    return counts;
  });
  for (const stage of stages) await advanceSequences(sides, stage);
  const { rows } = await client.query<{ id: string }>(
    'SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text AS id',
  );
  const transaction = rows[0]?.id as string;
  const result: ImportResult = {
    tables: describeApplied(input.comparisons, applied),
    transaction,
    alreadyDone: false,
    undo: null,
  };
  run.progress({ phase: 'committing' });
  await orAbort(
    input.journal.write({ transaction, planDigest: input.planDigest, result, undo: null }),
    run.signal,
  );
  return result;
}

function refuseOtherKey(pair: TablePair, key: readonly string[]): void {
  if (key.join('\0') === keyNames(pair).join('\0')) return;
  throw new HoldfastError('PlanChanged', `the key of ${pair.table} has changed since the plan was approved`, {
    hint: 'nothing was changed; look at the new plan and approve that',
  });
}

/** The journal knows no signal: an abort ends the wait for it, and with it production's locks. */
async function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
