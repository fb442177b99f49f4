import type { StartedRun } from '../src/client/runbook.ts';
import { startRun } from '../src/client/runbook.ts';
import { findDatabase } from '../src/config/describe.ts';
import type { BenchStack } from './stack.ts';

/** One whole `logicalBackup` workflow. */
export async function backUp(stack: BenchStack, database: string): Promise<void> {
  const { engine } = findDatabase(stack.config.config, database);
  await ended(stack, await startRun(stack.temporal, { type: 'logicalBackup', engine, input: { database } }));
}

/** One whole `physicalBackup` workflow. */
export async function takeBase(stack: BenchStack): Promise<void> {
  const input = { database: 'shop', kind: 'full' } as const;
  await ended(stack, await startRun(stack.temporal, { type: 'physicalBackup', engine: 'postgres', input }));
}

async function ended({ temporal }: BenchStack, { workflowId }: StartedRun): Promise<void> {
  await temporal.workflow.getHandle(workflowId).result();
}
