import type { Logger } from 'pino';
import type { Dependencies } from '../activities/dependencies.ts';
import { toFailure } from '../activities/run.ts';
import type { LoadedConfig } from '../config/load.ts';
import { locateDatabases } from '../repository/locate.ts';

/** An S3 that does not answer holds an activity up for this long, and the next ones not at all for a while. */
const PATIENCE_MS = 2_000;
const NOT_AGAIN_MS = 4_000;

/** What has to go on with an S3 away that was away when the worker started: it does not ask where a database lives. */
const ANYWHERE = [
  ...['removeInstance', 'reapInstances', 'listPlaces', 'removeExpiredUndo'],
  ...['describeChannels', 'sendAlert', 'lookForProblems', 'pingDeadManSwitch'],
];

/** The configuration with databases where they live now; what was known last where the repository does not say. */
export type Located = (options: { orFile: boolean }) => Promise<LoadedConfig>;

/**
 * Asks the repository each time, without a cache: the next activity after a database was moved, on whatever worker, has to
 * find it at its new place.
 */
export function followTopology(
  file: LoadedConfig,
  logger: Logger,
  locate: (file: LoadedConfig) => Promise<LoadedConfig> = (loaded) => locateDatabases(loaded, PATIENCE_MS),
): Located {
  let known: LoadedConfig | null = null;
  let askAgainAt = 0;
  return async ({ orFile }) => {
    const fallback = known ?? (orFile ? file : null);
    if (fallback !== null && Date.now() < askAgainAt) return fallback;
    try {
      const located = await locate(file);
      known = located;
      askAgainAt = 0;
      return located;
    } catch (error) {
      askAgainAt = Date.now() + NOT_AGAIN_MS;
      logger.warn({ reason: (error as Error).message }, 'where databases live cannot be read: as known last');
      if (fallback === null) throw error;
      return fallback;
    }
  };
}

type Activities = Record<string, (...input: never[]) => Promise<unknown>>;

/** Activities that each begin with the configuration of that moment, and keep it to their end. */
export function following<A extends Activities>(
  create: (deps: Dependencies) => A,
  deps: Dependencies,
  located: Located,
): A {
  const follow =
    (name: string) =>
    async (...input: never[]) => {
      const config = await located({ orFile: ANYWHERE.includes(name) }).catch((error: unknown) => {
        throw toFailure(error);
      });
      return create({ ...deps, config })[name]?.(...input);
    };
  return Object.fromEntries(Object.keys(create(deps)).map((name) => [name, follow(name)])) as unknown as A;
}
