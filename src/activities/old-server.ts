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
    const { writable, timeline } = await engine.identify(await productionAccess(deps, database), run);
    const state = writable ? 'writable' : 'read-only';
    return { ...where, state, detail: `it answers at ${host}:${port}, ${state}, on timeline ${timeline}` };
  } catch (error) {
    run.signal.throwIfAborted();
    if (!(error instanceof HoldfastError)) throw error;
    // The secrets of a site that is gone may be gone with it.
    if (error.type === 'ConnectionFailed' || error.type === 'InvalidConfiguration') {
      return { ...where, state: 'silent', detail: `it does not answer at ${host}:${port}` };
    }
    return { ...where, state: 'writable', detail: `it answers at ${host}:${port}: ${error.message}` };
  }
}
