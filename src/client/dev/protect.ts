import { Client, Connection } from '@temporalio/client';
import { findDatabase } from '../../config/describe.ts';
import { loadConfig } from '../../config/load.ts';
import { desiredSchedules, ownerOf } from '../../config/schedules.ts';
import type { Config } from '../../config/schema.ts';
import { locateDatabases } from '../../repository/locate.ts';
import { applySchedules, type ScheduleChange } from '../../schedules/apply.ts';
import { type StartedRun, startRun } from '../runbook.ts';
import { DATABASE } from './configuration.ts';
import { shopOf } from './shop.ts';
import type { UpResult } from './stack.ts';
import { type DevDescription, readState, writeState } from './state.ts';

/** It runs on this machine, and was started just now. */
const S3_PATIENCE_MS = 10_000;

/** Runs `work` with a client of the environment's own Temporal server, whatever TEMPORAL_* variables say. */
export async function withTemporal<T>(
  { temporal }: Pick<DevDescription, 'temporal'>,
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
 * Applies the schedules of the configuration and, once, starts the first backups of the sample database, so that
 * there is something to recover from at once. Returns what to tell people, a line each.
 */
export async function protect(directory: string, result: UpResult): Promise<string[]> {
  // A database that was moved is watched where it is, not where the file says.
  const { config } = await locateDatabases(await loadConfig(result.config), S3_PATIENCE_MS);
  return withTemporal(result.description, async (client) => {
    const changes = await scheduleAll(client, config);
    const changed = changes.filter(({ kind }) => kind !== 'keep').length;
    const lines = [
      `${changes.length} schedules${changed === 0 ? '' : `, ${changed} of them new or changed`}`,
    ];
    const state = await readState(directory);
    if (state.protected || !(DATABASE in config.databases)) return lines;
    const runs: StartedRun[] = [];
    const { firstBackups } = await shopOf(result.shop);
    for (const kind of firstBackups) runs.push(await backUp(client, config, kind));
    await writeState(directory, { ...state, protected: true });
    return [...lines, ...runs.map((run) => `first backup started: ${run.workflowId}`)];
  });
}

/** Applies every schedule, and starts the ones that keep a watcher alive now, not minutes later. */
export async function scheduleAll(client: Client, config: Config): Promise<ScheduleChange[]> {
  const desired = desiredSchedules(config);
  const changes = await applySchedules(client, desired, ownerOf(config));
  const created = new Set(changes.filter(({ kind }) => kind === 'create').map(({ id }) => id));
  for (const { id, everyMs, overlap } of desired) {
    // A new one has been started with its creation, and one that runs already is left alone.
    if (everyMs !== null && !created.has(id)) await client.schedule.getHandle(id).trigger(overlap);
  }
  return changes;
}

/** Starts a backup of the sample database. */
export async function backUp(client: Client, config: Config, kind: 'full' | 'logical'): Promise<StartedRun> {
  const { engine } = findDatabase(config, DATABASE);
  if (kind === 'logical') {
    return startRun(client, { type: 'logicalBackup', engine, input: { database: DATABASE } });
  }
  return startRun(client, { type: 'physicalBackup', engine, input: { database: DATABASE, kind } });
}
