import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { expect } from 'vitest';
import { layoutOf } from '../../src/client/dev/configuration.ts';
import { withClient } from '../../src/client/dev/postgres-shop.ts';
import { resolveAccess } from '../../src/config/access.ts';
import { describeDatabase } from '../../src/config/describe.ts';
import { loadConfig } from '../../src/config/load.ts';
import { postgres } from '../../src/engines/postgres/postgres.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { writeHeartbeat } from '../../src/repository/heartbeats.ts';
import { listArchivedLogs } from '../../src/repository/logs.ts';
import { pause, type Stack } from './stack.ts';

/** Starts a disaster recovery at the second site, as a person does; returns the workflow id. */
export async function startDisaster(stack: Stack, ...more: string[]): Promise<string> {
  const started = await stack.json<{ workflowId: string }>(
    ...['restore', 'full', 'shop', '--site', 'second', '--reason', 'the first site burnt down', ...more],
  );
  return started.workflowId;
}

/** Waits for a decision, and gives what it would decide. */
export async function awaitDecision(
  stack: Stack,
  workflowId: string,
  name: 'recover' | 'switch',
): Promise<RunbookStatus> {
  for (;;) {
    const status = await stack.waitForOutcome(workflowId, 'waiting-for-decision');
    if (status.waitingFor === name) return status;
    await pause(100);
  }
}

/** Approves one of the two decisions when it is asked for. */
export async function approveAt(
  stack: Stack,
  workflowId: string,
  name: 'recover' | 'switch',
): Promise<RunbookStatus> {
  const status = await awaitDecision(stack, workflowId, name);
  await stack.json('approve', workflowId, '--plan', status.plan?.digest as string, '--by', 'ben');
  return status;
}

/** What the log watch does every minute, until it is in the repository: every moment before now can be recovered. Gives the log. */
export async function archiveNow(
  stack: Stack,
  server: { port?: number; stanza?: string } = {},
): Promise<string> {
  const { config, directory } = await loadConfig(stack.config);
  const configured = await resolveAccess(describeDatabase(config, 'shop').config, directory);
  const access = { ...configured, port: server.port ?? configured.port };
  const closed = await postgres.closeLog(access, { signal: AbortSignal.timeout(60_000), progress: () => {} });
  await writeHeartbeat(stack.repository, 'shop', closed);
  for (let tries = 0; tries < 600; tries += 1) {
    const logs = await listArchivedLogs(stack.repository, server.stanza ?? 'shop');
    if (logs.some(({ name }) => name === closed.log)) return closed.log;
    await pause(100);
  }
  throw new Error(`log ${closed.log} was never archived`);
}

/** The address of the second site's server, as the database's user. */
export function takenOverUrl(stack: Stack, port: number): string {
  const url = new URL(stack.description.databases.shop?.url as string);
  url.port = String(port);
  return url.href;
}

export async function ask<T extends pg.QueryResultRow>(url: string, sql: string): Promise<T[]> {
  return withClient(url, async (client) => (await client.query<T>(sql)).rows);
}

/** Names of what lies where restored servers, and where those that took over, live at the second site. */
export async function placesOf({ directory }: Stack): Promise<{ instances: string[]; production: string[] }> {
  const { instances, production } = layoutOf(directory).second;
  return { instances: await readdir(instances), production: await readdir(production) };
}

export const endpointFile = ({ directory }: Stack) => layoutOf(directory).endpoint;

/** What a rejected recovery offers expires: the reaper takes it then, and its port is free again. */
export async function removeCandidate(stack: Stack): Promise<void> {
  const [name] = (await placesOf(stack)).production;
  const record = join(layoutOf(stack.directory).second.production, name as string, 'instance.json');
  const candidate = JSON.parse(await readFile(record, 'utf8')) as { role: string; expiresAt: string };
  expect(candidate.role).toBe('candidate');
  await writeFile(record, JSON.stringify({ ...candidate, expiresAt: new Date().toISOString() }));
  const { removed } = await stack.temporal.workflow.execute('instanceReaper', {
    ...{ args: [{}], taskQueue: 'holdfast', workflowId: `reaper/${crypto.randomUUID()}` },
  });
  expect(removed).toEqual([name]);
}
