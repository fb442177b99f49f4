import { Client, Connection } from '@temporalio/client';
import { type StartedRun, startRun } from '../runbook.ts';
import { DATABASE } from './configuration.ts';
import type { UpResult } from './stack.ts';
import { type DevDescription, readState, writeState } from './state.ts';

/** Runs `work` with a client of the environment's own Temporal server, whatever TEMPORAL_* variables say. */
export async function withTemporal<T>(
  { temporal }: DevDescription,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const connection = await Connection.connect({ address: temporal.address });
  try {
    return await work(new Client({ connection, namespace: temporal.namespace }));
  } finally {
    await connection.close();
  }
}

/**
 * Starts the first backups of the sample database, once, so that there is something to recover from at once.
 * Returns what to tell people, a line each.
 */
export async function protect(directory: string, result: UpResult): Promise<string[]> {
  const state = await readState(directory);
  if (state.protected) return [];
  const runs = await withTemporal(result.description, startFirstBackups);
  await writeState(directory, { ...state, protected: true });
  return runs.map((run) => `first backup started: ${run.workflowId}`);
}

/** A full physical backup and a logical one of the sample database, as workflows. */
export async function startFirstBackups(client: Client): Promise<StartedRun[]> {
  const engine = 'postgres';
  return [
    await startRun(client, { type: 'physicalBackup', engine, input: { database: DATABASE, kind: 'full' } }),
    await startRun(client, { type: 'logicalBackup', engine, input: { database: DATABASE } }),
  ];
}
