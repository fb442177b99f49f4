import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import type { ImportJournal, ImportResult } from '../../contract/change.ts';

/**
 * The result of an attempt at this plan that committed, as the journal and production itself know it. An attempt
 * that is still open is waited for, bounded. null: none committed, and none can any more.
 */
export async function committedResult(
  client: pg.Client,
  input: { journal: ImportJournal; planDigest: string; waitMs: number },
  signal: AbortSignal,
): Promise<ImportResult | null> {
  const records = (await input.journal.read()).filter((record) => record.planDigest === input.planDigest);
  for (const record of records) {
    const status = await settledStatus(client, record.transaction, input.waitMs, signal);
    if (status === 'committed') return { ...record.result, alreadyDone: true };
    if (status !== 'aborted') {
      throw new HoldfastError(
        'CheckFailed',
        `production no longer knows whether transaction ${record.transaction} of an earlier attempt committed`,
        { hint: 'look whether the rows are there; if not, start the recovery again' },
      );
    }
  }
  return null;
}

async function settledStatus(
  client: pg.Client,
  transaction: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<string | null> {
  const deadline = Date.now() + waitMs;
  for (;;) {
    const status = await transactionStatus(client, transaction);
    if (status !== 'in progress') return status;
    if (Date.now() >= deadline) {
      throw new HoldfastError(
        'LockNotAvailable',
        'an earlier attempt at this import is still open in production',
        {
          hint: `it ends by itself; transaction ${transaction} in pg_stat_activity (backend_xid) shows it`,
        },
      );
    }
    await sleep(200, undefined, { signal });
  }
}

/** A transaction of the future belongs to a server that production has been failed over from: not done here. */
export async function transactionStatus(client: pg.Client, transaction: string): Promise<string | null> {
  try {
    const { rows } = await client.query<{ status: string | null }>(
      'SELECT pg_catalog.pg_xact_status($1::pg_catalog.text::pg_catalog.xid8) AS status',
      [transaction],
    );
    return rows[0]?.status ?? null;
  } catch (error) {
    if ((error as { code?: string }).code === '22023') return 'aborted';
    throw error;
  }
}
