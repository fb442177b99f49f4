import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect } from 'vitest';
import type { Manifest, StoredObject } from '../../src/model/backup.ts';
import type { Check } from '../../src/model/evidence.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import type { Verification } from '../../src/model/verification.ts';
import { listManifests, writeManifest } from '../../src/repository/manifests.ts';
import { expectNothingLeft } from './nothing-left.ts';
import type { Stack } from './stack.ts';

/** Verifies through the command line, follows it to its end, and looks whether anything is left. */
export async function verify(stack: Stack, database: string, ...more: string[]): Promise<Verification> {
  const answer = await stack.holdfast('verify', database, ...more, '--wait', '--output', 'json');
  expect(answer.stderr).toBe('');
  const { workflowId } = JSON.parse(answer.stdout) as RunbookStatus;
  const found = (await stack.temporal.workflow.getHandle(workflowId).result()) as Verification;
  expect(answer.code).toBe(found.verdict === 'pass' ? 0 : 1);
  await expectNothingLeft(stack);
  return found;
}

/** `logical: rows: pass`, in the order in which they were looked at. */
export const named = (checks: readonly Check[]): string[] =>
  checks.map(({ name, verdict }) => `${name}: ${verdict}`);

/** The newest backup of a tier. */
export async function newestOf(stack: Stack, tier: Manifest['tier']): Promise<Manifest> {
  const found = (await listManifests(stack.repository, 'shop')).find((one) => one.tier === tier);
  if (found === undefined) throw new Error(`there is no ${tier} backup`);
  return found;
}

/**
 * Publishes a backup that is like another, save for what `change` makes of it: the versions of a real one are locked, and
 * nobody can change them.
 */
export async function forge(
  stack: Stack,
  real: Manifest,
  change: (manifest: Manifest) => void | Promise<void>,
): Promise<string> {
  const forged = structuredClone(real);
  forged.id = `forged-${randomUUID().slice(0, 8)}`;
  await change(forged);
  await writeManifest(stack.repository, forged);
  return forged.id;
}

/** The object that holds the rows of the shop. */
export function dumpOf(manifest: Manifest): StoredObject {
  const object = manifest.databases.find(({ name }) => name === 'shop')?.objects[0];
  if (object === undefined) throw new Error('there is no dump');
  return object;
}

/** Writes other bytes under the same key; gives the version that they have. */
export async function overwrite(
  stack: Stack,
  object: Pick<StoredObject, 'key' | 'versionId' | 'sizeBytes'>,
  change: (bytes: Buffer) => Buffer,
): Promise<string | null> {
  const pieces: Buffer[] = [];
  for await (const piece of stack.repository.stream(object)) pieces.push(piece as Buffer);
  const { versionId } = await stack.repository.put(object.key, change(Buffer.concat(pieces)));
  return versionId;
}

/** A server on loopback that takes connections and never answers. */
export async function listenSilently(): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => void sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Flips one bit in the middle. */
export function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const middle = Math.floor(copy.length / 2);
  copy[middle] = (copy[middle] as number) ^ 1;
  return copy;
}
