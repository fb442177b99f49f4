import { backUp, takeBase } from './backup.ts';
import { dumpPostgresByHand } from './by-hand/dump.ts';
import { recoverByHand } from './by-hand/recover.ts';
import type { LogicalCase } from './logical.ts';
import {
  ACCIDENT,
  deleteRows,
  loadData,
  markRecoverable,
  momentNow,
  requireRows,
  trade,
} from './postgres-data.ts';
import { type PostgresStack, settle } from './postgres-stack.ts';
import type { RecoveryCase } from './recovery.ts';

/** Fills the database, and takes a backup, so that programs and pages are read once before anything is measured. */
export async function prepare(stack: PostgresStack, scale: number, signal: AbortSignal): Promise<number> {
  const bytes = await loadData(stack, scale, signal);
  await backUp(stack, 'shop');
  return bytes;
}

export const logicalCase = (stack: PostgresStack, signal: AbortSignal): LogicalCase => ({
  name: 'logical',
  what: 'logical backup',
  against: '`pg_dump -Fc` piped to an S3 upload, same server',
  byHand: (key) => dumpPostgresByHand(stack, key, signal),
  settle: () => settle(stack, signal),
});

export const recoveryCase = (stack: PostgresStack, scale: number, signal: AbortSignal): RecoveryCase => ({
  name: 'recovery',
  what: 'point-in-time recovery of it, without the wait for approval',
  tables: ACCIDENT.map(({ table }) => table),
  async prepare() {
    await takeBase(stack);
    await trade(stack, scale, signal);
    return momentNow(stack);
  },
  async lose() {
    await deleteRows(stack);
    await markRecoverable(stack, signal);
    await settle(stack, signal);
  },
  byHand: (target) => recoverByHand(stack, target, signal),
  requireRows: () => requireRows(stack),
});
