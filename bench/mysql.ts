import { backUp } from './backup.ts';
import { dumpMysqlByHand } from './by-hand/dump.ts';
import { recoverMysqlByHand } from './by-hand/mysql-recover.ts';
import type { LogicalCase } from './logical.ts';
import { ACCIDENT, deleteRows, loadData, momentNow, requireRows, shipAll, trade } from './mysql-data.ts';
import { type MysqlStack, settle } from './mysql-stack.ts';
import type { RecoveryCase } from './recovery.ts';

/** Fills the database, and takes a backup, so that programs and pages are read once before anything is measured. */
export async function prepare(stack: MysqlStack, scale: number): Promise<number> {
  const bytes = await loadData(stack, scale);
  await backUp(stack, 'shop');
  return bytes;
}

export const logicalCase = (stack: MysqlStack, signal: AbortSignal): LogicalCase => ({
  name: 'mysql-logical',
  what: 'logical backup of MySQL',
  against: '`mysqldump | gzip` piped to an S3 upload, same server',
  byHand: (key) => dumpMysqlByHand(stack, key, signal),
  settle: () => settle(stack, signal),
});

export const recoveryCase = (stack: MysqlStack, scale: number, signal: AbortSignal): RecoveryCase => ({
  name: 'mysql-recovery',
  what: 'point-in-time recovery of MySQL, without the wait for approval',
  tables: ACCIDENT.map(({ table }) => `shop.${table}`),
  async prepare() {
    await backUp(stack, 'shop');
    await trade(stack, scale, signal);
    return momentNow(stack);
  },
  async lose() {
    await deleteRows(stack);
    await shipAll(stack, signal);
    await settle(stack, signal);
  },
  byHand: (target) => recoverMysqlByHand(stack, target, signal),
  requireRows: () => requireRows(stack),
});
