import { isLocal } from '../config/access.ts';
import type { DatabaseConfig } from '../config/schema.ts';
import type { ServerAccess } from '../model/access.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import type { Address } from '../model/topology.ts';
import { databaseOf, productionAccess } from './access.ts';
import type { Dependencies } from './dependencies.ts';

/** What can be known from here of the server that production runs on until it is replaced. */
export interface OldServer {
  address: Address;
  /** `writable`: it answers, and nothing says that it could not be written to */
  state: 'silent' | 'read-only' | 'writable';
  /** for people */
  detail: string;
}

/** Asks it; reads only. A server that answers, but lets nobody in, may still be written to by others. */
export async function askOldServer(deps: Dependencies, database: string, run: Run): Promise<OldServer> {
  const { engine, config } = databaseOf(deps, database);
  const { host, port } = config.connection;
  const where = { address: { host, port } };
  try {
    const access = await productionAccess(deps, database).catch((error: unknown) => {
      if (!(error instanceof HoldfastError) || error.type !== 'InvalidConfiguration') throw error;
      return withoutSecrets(config.connection);
    });
    const { writable, timeline } = await engine.identify(access, run);
    const state = writable ? 'writable' : 'read-only';
    return { ...where, state, detail: `it answers at ${host}:${port}, ${state}, on timeline ${timeline}` };
  } catch (error) {
    run.signal.throwIfAborted();
    if (!(error instanceof HoldfastError)) throw error;
    if (error.type === 'ConnectionFailed') {
      return { ...where, state: 'silent', detail: `it does not answer at ${host}:${port}` };
    }
    return { ...where, state: 'writable', detail: `it answers at ${host}:${port}: ${error.message}` };
  }
}

/** The secrets of a site that is gone may be gone with it: whether anybody answers is known without them. */
const withoutSecrets = ({ host, port, user, database }: DatabaseConfig['connection']): ServerAccess => ({
  ...{ host, port, user, database, password: null },
  tls: isLocal(host) ? null : { ca: null, serverName: null },
});
