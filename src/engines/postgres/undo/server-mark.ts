import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import type { ServerMark } from '../../contract/change.ts';
import { transactionStatus } from '../import/earlier-attempt.ts';

const HINT = 'compare the tables with a backup instead: holdfast restore pitr shows what differs';
/** A row's xmin shows the low 32 bits of a transaction's id only. */
const EPOCH = 1n << 32n;

/** Where this server is now, for a later {@link requireSameHistory}. */
export async function markServer(client: pg.Client): Promise<ServerMark> {
  const { rows } = await client.query<ServerMark>(
    `SELECT (SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()) AS "systemIdentifier",
       ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(lsn), 1, 8))::pg_catalog.bit(32)::pg_catalog.int4 AS timeline,
       lsn::pg_catalog.text AS lsn
     FROM pg_catalog.pg_current_wal_insert_lsn() AS lsn`,
  );
  return rows[0] as ServerMark;
}

/**
 * Throws CheckFailed unless this server went through that moment: on another, and on one that was restored to a
 * time before it, the same transaction ids mean other transactions. PermissionDenied where it cannot be told.
 */
export async function requireSameHistory(client: pg.Client, mark: ServerMark): Promise<void> {
  const now = await markServer(client);
  if (now.systemIdentifier !== mark.systemIdentifier) {
    throw notHere('production is another server than the one that the import changed');
  }
  if (now.timeline !== mark.timeline && !(await hasForkedLater(client, now.timeline, mark))) {
    throw notHere('production was restored to a time before the import');
  }
  const { rows } = await client.query<{ behind: boolean }>(
    'SELECT $1::pg_catalog.text::pg_catalog.pg_lsn < $2::pg_catalog.text::pg_catalog.pg_lsn AS behind',
    [now.lsn, mark.lsn],
  );
  if (rows[0]?.behind === true) throw notHere('production was restored to a time before the import');
}

/** The timeline's history names for each of its ancestors where it was left. */
async function hasForkedLater(client: pg.Client, timeline: number, mark: ServerMark): Promise<boolean> {
  const file = `pg_wal/${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
  const { rows } = await client
    .query<{ left: string }>(
      `SELECT fork[2] AS left FROM pg_catalog.regexp_matches(
         pg_catalog.pg_read_file($1, 0, 1000000, true), '^(\\d+)\\s+([0-9A-F]+/[0-9A-F]+)', 'gn') AS fork
       WHERE fork[1]::pg_catalog.int8 = $2
         AND fork[2]::pg_catalog.pg_lsn > $3::pg_catalog.text::pg_catalog.pg_lsn`,
      [file, mark.timeline, mark.lsn],
    )
    .catch((error: { code?: string }) => {
      if (error.code !== '42501') throw error;
      throw new HoldfastError(
        'PermissionDenied',
        'production is on another timeline than at the import, and the configured user may not read where it left that',
        { hint: 'grant EXECUTE on pg_read_file(text, bigint, bigint, boolean), or connect as a superuser' },
      );
    });
  return rows.length > 0;
}

/**
 * How the import's transaction ended, as production knows it: `committed`, or null where it is too long ago. Throws
 * CheckFailed for one that did not commit, LockNotAvailable for one that is still open.
 */
export async function requireCommitted(client: pg.Client, transaction: string): Promise<'committed' | null> {
  const { rows } = await client
    .query<{ status: string | null; next: string }>(
      `SELECT pg_catalog.pg_xact_status($1::pg_catalog.text::pg_catalog.xid8) AS status,
         pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text AS next`,
      [transaction],
    )
    .catch((error: { code?: string }) => {
      if (error.code !== '22023') throw error;
      throw notHere('production has not come as far as the import yet');
    });
  const { status = null, next = '0' } = rows[0] ?? {};
  if (status === 'in progress') {
    throw new HoldfastError('LockNotAvailable', 'the import is still open in production', {
      hint: `it ends by itself; transaction ${transaction} in pg_stat_activity (backend_xid) shows it`,
    });
  }
  if (status === 'aborted') {
    throw new HoldfastError('CheckFailed', 'the import did not commit: there is nothing to take back', {
      hint: 'look at the runbook that was to import',
    });
  }
  if (BigInt(next) - BigInt(transaction) >= EPOCH) {
    throw notHere('too many transactions ago to tell the rows of the import from others');
  }
  return status === 'committed' ? 'committed' : null;
}

/** Throws InvalidInput where another undo has committed, and CheckFailed where production does not know. */
export async function requireNotCommitted(
  client: pg.Client,
  { by, transaction }: { by: string; transaction: string },
): Promise<void> {
  const status = await transactionStatus(client, transaction);
  if (status === 'aborted') return;
  if (status === 'committed') {
    throw new HoldfastError('InvalidInput', `the import was taken back already, by ${by}`, {
      hint: `to have it again, take that back: holdfast undo ${by}`,
    });
  }
  if (status === 'in progress') {
    throw new HoldfastError(
      'LockNotAvailable',
      `an undo of this import by ${by} is still open in production`,
      {
        hint: `it ends by itself; transaction ${transaction} in pg_stat_activity (backend_xid) shows it`,
      },
    );
  }
  throw new HoldfastError('CheckFailed', `production no longer knows whether ${by} took this import back`, {
    hint: HINT,
  });
}

/** As `xmin` shows it. */
export function shortTransaction(transaction: string): string {
  return String(BigInt(transaction) & (EPOCH - 1n));
}

function notHere(what: string): HoldfastError {
  return new HoldfastError('CheckFailed', `this import cannot be taken back: ${what}`, { hint: HINT });
}
