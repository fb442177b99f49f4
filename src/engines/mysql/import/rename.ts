import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../../model/failure.ts';
import type { Connection } from '../connection.ts';
import { quoteTable } from '../identifier.ts';

export interface MadeTable {
  /** the final name */
  parts: [string, string];
  /** the name it has until then, in the same db */
  making: string;
}

/** Gives tables that were made their names, all at once. Those that have them already are left. Throws LockNotAvailable. */
export async function renameTables(
  session: Connection,
  made: readonly MadeTable[],
  timeoutMs: number,
): Promise<void> {
  const open: string[] = [];
  for (const { parts, making } of made) {
    const there = await session.query(
      'SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?',
      [parts[0], making],
    );
    if (there.length > 0) open.push(`${quoteTable([parts[0], making])} TO ${quoteTable(parts)}`);
  }
  if (open.length === 0) return;
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      await session.execute(`RENAME TABLE ${open.join(', ')}`);
      return;
    } catch (error) {
      // A foreign key locks the parent's definition too, which a long transaction may be using.
      const isLock = error instanceof HoldfastError && error.type === 'LockNotAvailable';
      if (!isLock || Date.now() > deadline) throw error;
      await sleep(200);
    }
  }
}
