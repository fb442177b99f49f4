import { setTimeout as sleep } from 'node:timers/promises';
import { resolveAccess } from '../config/access.ts';
import { sameAddress } from '../endpoints/address.ts';
import type { Endpoint } from '../endpoints/endpoint.ts';
import { endpointFailed } from '../endpoints/failure.ts';
import { openEndpoints } from '../endpoints/open.ts';
import { type Probing, verifyAddress, verifyEndpoint } from '../endpoints/verify.ts';
import type { Check } from '../model/evidence.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { type Address, formatAddress } from '../model/topology.ts';
import { databaseOf } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { asActivity } from './run.ts';

/** What an endpoint says, or is to say. */
export interface EndpointValue<A = Address | null> {
  name: string;
  address: A;
}

/** PgBouncer tries a server that it could not reach again after `server_login_retry`, 15 s. */
const PATIENCE_MS = 30_000;

/** How clients are sent to another server, on the host that has their files and poolers. */
export const createEndpointActivities = (deps: Dependencies, patienceMs = PATIENCE_MS) => {
  const endpointsOf = (database: string) => openEndpoints(databaseOf(deps, database), deps.config.directory);
  const named = (database: string, values: readonly EndpointValue[]) => {
    const endpoints = endpointsOf(database);
    return values.map(({ name, address }) => ({
      ...{ name, address },
      endpoint: endpoints.find((endpoint) => endpoint.name === name),
    }));
  };

  return {
    async readEndpoints(input: { database: string }): Promise<EndpointValue[]> {
      return asActivity(async (run) => {
        const found: EndpointValue[] = [];
        for (const endpoint of endpointsOf(input.database)) {
          found.push({
            name: endpoint.name,
            address: await naming(endpoint.name, run, () => endpoint.read(run)),
          });
        }
        return found;
      });
    },

    /** In this order; the first that fails ends it, and names itself. What is set already is success. */
    async setEndpoints(input: { database: string; values: EndpointValue<Address>[] }): Promise<void> {
      return asActivity(async (run) => {
        const all = named(input.database, input.values);
        const unknown = all.find(({ endpoint }) => endpoint === undefined);
        if (unknown !== undefined) throw gone(unknown.name);
        for (const [index, { name, address, endpoint }] of all.entries()) {
          run.progress({ phase: 'switching clients', detail: name, done: index, total: all.length });
          await naming(name, run, () => (endpoint as Endpoint).write(address as Address, run));
        }
      });
    },

    /** Every one, whatever happened to those before; a problem is told, not thrown. */
    async restoreEndpoints(input: {
      database: string;
      values: EndpointValue[];
    }): Promise<{ name: string; problem: string | null }[]> {
      return asActivity(async (run) => {
        const all = named(input.database, input.values);
        const restored: { name: string; problem: string | null }[] = [];
        for (const [index, { name, address, endpoint }] of all.entries()) {
          run.progress({ phase: 'switching clients back', detail: name, done: index, total: all.length });
          // Asked once: one whose value is back, but which clients were not told of, is no such one.
          const untouched = await isUntouched(endpoint, address, run);
          const tries = untouched ? 1 : TRIES;
          const problem = await problemOf(run, { patienceMs, tries }, () => restore(endpoint, address, run));
          restored.push({ name, problem: untouched ? null : problem });
        }
        return restored;
      });
    },

    /** The new server through the eyes of its clients; a server that is away is a check that failed. */
    async verifyEndpoints(input: {
      database: string;
      address: Address;
      systemIdentifier: string;
      timeline: number;
    }): Promise<Check[]> {
      return asActivity(async (run) => {
        const { database, address } = input;
        const { config, engine } = databaseOf(deps, database);
        const there = { ...config, connection: { ...config.connection, ...address } };
        const probing: Probing = {
          probe: engine.probe,
          access: await resolveAccess(there, deps.config.directory),
          patienceMs,
        };
        const checks = [await verifyAddress(input, probing, run)];
        for (const endpoint of endpointsOf(database)) {
          run.progress({ phase: 'looking through the eyes of clients', detail: endpoint.name });
          checks.push(await verifyEndpoint(endpoint, input, probing, run));
        }
        return checks;
      });
    },
  };
};

/** `EndpointFailed` says of which endpoint. */
async function naming<T>(name: string, run: Run, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    run.signal.throwIfAborted();
    if (!(error instanceof HoldfastError)) throw error;
    const { message, hint = 'see the endpoint in the configuration', retryable } = error;
    throw endpointFailed(`${name}: ${message}`, hint, { retryable, cause: error });
  }
}

/** One that could not be switched cannot be set back either, and need not be. */
async function isUntouched(
  endpoint: Endpoint | undefined,
  address: Address | null,
  run: Run,
): Promise<boolean> {
  if (endpoint === undefined || address === null) return false;
  return endpoint.read(run).then(
    (now) => sameAddress(now, address),
    () => false,
  );
}

async function restore(endpoint: Endpoint | undefined, address: Address | null, run: Run): Promise<void> {
  if (endpoint === undefined) throw gone('it');
  if (address !== null) return endpoint.write(address, run);
  const now = await endpoint.read(run);
  if (sameAddress(now, null)) return;
  throw endpointFailed(
    `it said nothing before, and says ${formatAddress(now as Address)} now`,
    'unset it by hand',
  );
}

const TRIES = 3;

async function problemOf(
  { signal }: Run,
  { patienceMs, tries: most }: { patienceMs: number; tries: number },
  work: () => Promise<void>,
): Promise<string | null> {
  for (let tries = 1; ; tries += 1) {
    try {
      await work();
      return null;
    } catch (error) {
      signal.throwIfAborted();
      const message = error instanceof Error ? error.message : String(error);
      if (tries === most || !(error instanceof HoldfastError) || !error.retryable) return message;
      await sleep(patienceMs / most, undefined, { signal });
    }
  }
}

function gone(name: string): HoldfastError {
  return endpointFailed(`${name} is not in the configuration any more`, 'put it back, or set it by hand');
}
