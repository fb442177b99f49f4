import { setTimeout as sleep } from 'node:timers/promises';
import { isLocal } from '../config/access.ts';
import type { ServerAccess } from '../model/access.ts';
import type { Check } from '../model/evidence.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { type Address, formatAddress } from '../model/topology.ts';
import { sameAddress } from './address.ts';
import type { Endpoint } from './endpoint.ts';

/** The server that clients are to reach. */
export interface Expected {
  address: Address;
  systemIdentifier: string;
  timeline: number;
}

export interface Probing {
  /** a session of the database's user that commits, and says on which server */
  probe(access: ServerAccess, run: Run): Promise<{ systemIdentifier: string; timeline: number }>;
  /** of the database's user, at the new address */
  access: ServerAccess;
  /** how long a pooler may take until it tries a server again that it could not reach */
  patienceMs: number;
}

const RETRY_MS = 500;

/** The new address by itself. */
export function verifyAddress(expected: Expected, probing: Probing, run: Run): Promise<Check> {
  const name = `address ${formatAddress(expected.address)}`;
  return probed({ name, access: probing.access, pooled: false }, expected, probing, run);
}

/** What an endpoint says, and which server a session through it reaches where one can go through it. */
export async function verifyEndpoint(
  endpoint: Endpoint,
  expected: Expected,
  probing: Probing,
  run: Run,
): Promise<Check> {
  const { name, pooler } = endpoint;
  try {
    const said = await endpoint.read(run);
    if (!sameAddress(said, expected.address)) {
      return failed(name, `it says ${said === null ? 'nothing' : formatAddress(said)}`);
    }
  } catch (error) {
    run.signal.throwIfAborted();
    return failed(name, messageOf(error));
  }
  if (pooler === null) return passed(name, `it says ${formatAddress(expected.address)}`);
  const { host, port, database } = pooler;
  const tls = isLocal(host) ? null : { ca: null, serverName: null };
  const through = { ...probing.access, host, port, database, tls };
  return probed({ name, access: through, pooled: true }, expected, probing, run);
}

async function probed(
  way: { name: string; access: ServerAccess; pooled: boolean },
  expected: Expected,
  probing: Probing,
  run: Run,
): Promise<Check> {
  const { name, access, pooled } = way;
  const until = Date.now() + probing.patienceMs;
  for (;;) {
    try {
      const found = await probing.probe(access, run);
      if (found.systemIdentifier !== expected.systemIdentifier) {
        return failed(name, `a session reaches another server: system identifier ${found.systemIdentifier}`);
      }
      if (found.timeline !== expected.timeline) {
        return failed(name, `a session reaches timeline ${found.timeline}, not ${expected.timeline}`);
      }
      return passed(name, `a session of ${access.user} reaches the new server, and commits`);
    } catch (error) {
      run.signal.throwIfAborted();
      // A pooler that does not know the database's user says nothing about its applications.
      if (pooled && error instanceof HoldfastError && error.type === 'AuthenticationFailed') {
        return { name, verdict: 'inconclusive', detail: error.message };
      }
      if (Date.now() >= until) return failed(name, messageOf(error));
      await sleep(RETRY_MS, undefined, { signal: run.signal });
    }
  }
}

const passed = (name: string, detail: string): Check => ({ name, verdict: 'pass', detail });
const failed = (name: string, detail: string): Check => ({ name, verdict: 'fail', detail });
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
