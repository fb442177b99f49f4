import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import type { Connection } from '../connection.ts';
import { quoteIdentifier } from '../identifier.ts';
import { importError } from './import-error.ts';
import { referenceLocks } from './references.ts';
import { isRow, type Stage } from './stage.ts';

/**
 * Opens a transaction that holds the rows of the change, the gaps where rows are to come (REPEATABLE READ locks those that
 * a lookup does not find), under `replace` the whole table, and the rows on the other side of foreign keys. Nothing here
 * waits for a row: who waits while it holds others' rows can be part of a deadlock, for which InnoDB may end a session of
 * production. `more` are further queries of that kind. Where one is not had it lets go of all and tries again. Throws LockNotAvailable when the time is over.
 */
export async function beginLocked(
  session: Connection,
  stages: readonly Stage[],
  timeoutMs: number,
  run: Run,
  more: readonly string[] = [],
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  const locks = [...stages.flatMap((stage) => [lockOf(stage), ...referenceLocks(session, stage)]), ...more];
  for (;;) {
    run.progress({ phase: 'waiting for locks' });
    try {
      await session.execute('START TRANSACTION READ WRITE');
      for (const lock of locks) await session.query(lock);
      return;
    } catch (error) {
      await session.execute('ROLLBACK');
      const known = importError(error);
      const isLock = known instanceof HoldfastError && known.type === 'LockNotAvailable';
      if (!isLock || Date.now() > deadline) throw known;
      // Not in step with anybody else who tries again.
      await sleep(20 + Math.random() * 80, undefined, { signal: run.signal });
    }
  }
}

function lockOf({ compared, rule, rows }: Stage): string {
  const { pair } = compared;
  const table = `${pair.production.qualified} AS t`;
  if (pair.key === null) return `SELECT COUNT(*) FROM ${table} FOR UPDATE NOWAIT`;
  const index = quoteIdentifier(pair.keyIndex);
  if (rule === 'replace') return `SELECT COUNT(*) FROM ${table} FORCE INDEX (${index}) FOR UPDATE NOWAIT`;
  const column = quoteIdentifier(pair.key[0] as string);
  return `SELECT COUNT(t.${column}) FROM ${rows} AS s LEFT JOIN ${table} FORCE INDEX (${index}) ON ${isRow(compared, 't', 's')} FOR UPDATE NOWAIT`;
}
