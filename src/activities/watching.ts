import type { DatabaseView } from '../config/describe.ts';
import { readSecret } from '../config/secrets.ts';
import type { Catalog } from '../model/backup.ts';
import type { Found, WatchdogReport } from '../model/problem.ts';
import { ping } from '../notify/post.ts';
import { readCatalog } from '../repository/catalog.ts';
import { openRepository } from '../repository/repository.ts';
import { readCatalogs } from '../watchdog/catalogs.ts';
import { formerProblems } from '../watchdog/former.ts';
import { lastResult } from '../watchdog/last-result.ts';
import { lookForProblems } from '../watchdog/look.ts';
import type { Dependencies } from './dependencies.ts';
import { measureLook } from './measuring.ts';
import { asActivity } from './run.ts';

export interface Look {
  found: Found;
  /** what the last run returned; null: there was none */
  before: WatchdogReport | null;
  /** somebody hears of problems */
  tells: boolean;
  /** somebody hears that there was a look at all */
  pings: boolean;
}

/** What the watchdog does outside of its workflow. */
export const createWatchdogActivities = (deps: Dependencies) => ({
  async lookForProblems(_: object): Promise<Look> {
    return asActivity(async (run) => {
      const { client } = deps;
      const { config } = deps.config;
      run.progress({ phase: 'reading the catalogs' });
      const catalogs = await readCatalogs(config, (database) => catalogOf(deps, database));
      run.progress({ phase: 'looking at schedules and runs' });
      const report = await lastResult<WatchdogReport>(client, 'watchdog');
      const before = report?.problems ?? [];
      run.progress({ phase: 'asking the servers that databases have left' });
      const former = await formerProblems(deps.config, deps.engines, run);
      const now = new Date();
      const gapLooks = report?.gapLooks ?? {};
      const found = await lookForProblems({ config, client, catalogs, former, before, gapLooks, now });
      measureLook(deps.metrics, config, { catalogs, problems: found.problems, now });
      const { channels, deadManSwitch } = config.notify;
      return {
        ...{ found, before: report },
        ...{ tells: channels.length > 0, pings: deadManSwitch !== undefined },
      };
    });
  },

  /** Tells somebody outside that Temporal, the workers and the watchdog are there. */
  async pingDeadManSwitch(_: object): Promise<void> {
    return asActivity(async (run) => {
      const { deadManSwitch } = deps.config.config.notify;
      if (deadManSwitch === undefined) return;
      await ping("the dead man's switch", await readSecret(deadManSwitch, deps.config.directory), run.signal);
    });
  },
});

/** A repository that does not answer is a finding: nobody waits for it. */
const PATIENCE_MS = 5_000;

async function catalogOf({ config: loaded }: Dependencies, database: DatabaseView): Promise<Catalog> {
  const repository = await openRepository(loaded.config.repository, {
    use: 'restore',
    baseDirectory: loaded.directory,
    patienceMs: PATIENCE_MS,
  });
  try {
    return await readCatalog(repository, database.name, { ...database, now: new Date() });
  } finally {
    repository.close();
  }
}
