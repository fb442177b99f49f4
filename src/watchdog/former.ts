import { resolveAccess } from '../config/access.ts';
import { type DatabaseView, describeDatabase } from '../config/describe.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Engine } from '../engines/engine.ts';
import type { EngineKind } from '../model/engine.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Problem } from '../model/problem.ts';
import type { Run } from '../model/progress.ts';
import { type Address, formatAddress } from '../model/topology.ts';
import { mapBounded } from '../repository/bounded.ts';

type Engines = Partial<Record<EngineKind, Pick<Engine, 'identify'>>>;

const AT_ONCE = 16;
/** Most of these servers are gone, and so may be the network to them: nobody waits long. */
const PATIENCE_MS = 3_000;

/** Old primaries that answer again where databases lived before a disaster recovery. They are only asked who they are. */
export async function formerProblems(loaded: LoadedConfig, engines: Engines, run: Run): Promise<Problem[]> {
  const places = Object.keys(loaded.config.databases).flatMap((name) => {
    const database = describeDatabase(loaded.config, name);
    return formerAddresses(database).map((address) => ({ database, address }));
  });
  const found = await mapBounded(places, AT_ONCE, ({ database, address }) =>
    ask(loaded.directory, engines, database, address, run),
  );
  return found.flat();
}

/** Each once, and not that of now: a database may have come back to where it was. */
function formerAddresses({ former, topology }: DatabaseView): Address[] {
  const seen = new Set(topology === null ? [] : [formatAddress(topology.address)]);
  return former.flatMap(({ address }) => {
    const place = formatAddress(address);
    if (seen.has(place)) return [];
    seen.add(place);
    return [address];
  });
}

async function ask(
  directory: string,
  engines: Engines,
  { name, config, topology }: DatabaseView,
  address: Address,
  run: Run,
): Promise<Problem[]> {
  const where = formatAddress(address);
  const patience = AbortSignal.any([run.signal, AbortSignal.timeout(PATIENCE_MS)]);
  try {
    const connection = { ...config.connection, ...address };
    const access = await resolveAccess({ ...config, connection }, directory);
    const who = await engines[config.engine]?.identify(access, { ...run, signal: patience });
    if (who === undefined || topology === null) return [];
    const { systemIdentifier, timeline, writable } = who;
    // Its name may have been given to the new server, which is on a later timeline.
    if (systemIdentifier !== topology.systemIdentifier || timeline >= topology.timeline) return [];
    const state = writable ? 'it can be written to' : 'it is read-only';
    return [
      problemOf(name, where, {
        severity: writable ? 'critical' : 'warning',
        what: `the old primary of ${name} answers again at ${where}: timeline ${timeline}, ${state}`,
        hint: `stop it: ${name} lives at ${formatAddress(topology.address)} since ${topology.at}, and what is written to the old one is lost`,
      }),
    ];
  } catch (error) {
    run.signal.throwIfAborted();
    if (patience.aborted || !(error instanceof HoldfastError)) return [];
    if (error.type !== 'AuthenticationFailed' && error.type !== 'PermissionDenied') return [];
    return [
      problemOf(name, where, {
        severity: 'warning',
        what: `a server answers at ${where}, where ${name} lived, and does not say who it is: ${error.message}`,
        hint: 'make sure that it is not the old primary, which nobody may write to any more',
      }),
    ];
  }
}

function problemOf(
  database: string,
  where: string,
  said: Pick<Problem, 'severity' | 'what' | 'hint'>,
): Problem {
  return { key: `old-primary/${database}/${where}`, database, ...said, since: null, told: 'nothing' };
}
