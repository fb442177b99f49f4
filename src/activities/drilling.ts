import type { DatabaseView } from '../config/describe.ts';
import { SEARCH_ATTRIBUTES } from '../model/attribute.ts';
import type { Manifest } from '../model/backup.ts';
import type { DrillChoice, Drilled, DrillRecord } from '../model/drill.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { readRecoverability } from '../repository/catalog.ts';
import type { Recoverability } from '../repository/chain.ts';
import { chooseBackup } from '../repository/choice.ts';
import { readDrills, writeDrill } from '../repository/drills.ts';
import { readRelations } from '../repository/relations.ts';
import type { Repository } from '../repository/repository.ts';
import { databaseOf, productionAccess, withRepository } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { basesOf, chooseDrilled, randomMoment, shuffled } from './drill-choice.ts';
import { asActivity } from './run.ts';
import { archivedIn } from './thawing.ts';

/** How often a drill looks whether it is in the way of a recovery. */
const LOOK_EVERY_MS = 15_000;
/** Tables of a backup that production is asked for, one after the other, before none is taken. */
const MOST_TABLES_ASKED = 20;
/** Moments that are drawn until the base of one is not archived. */
const MOST_MOMENTS_DRAWN = 5;
/** Drills that a new one is compared with. */
const EARLIER = 12;

/** What a drill works on, beside what its runbook does. */
export interface DrillPlan {
  choice: DrillChoice;
  /** seconds of earlier drills of the same runbook that came to an end, newest first */
  earlier: number[];
  lookEveryMs: number;
}

/** Runbooks that matter more than a drill. */
const RECOVERIES = ['pointInTimeRecovery', 'selectiveTableRestore', 'fullDisasterRecovery', 'undoImport'];

export const createDrillActivities = (deps: Dependencies) => ({
  /** Chooses at random what is recovered. Throws UnknownBackup where there is nothing to recover from. */
  async chooseDrill(input: {
    database: string;
    runbook: Drilled | null;
    site: string | null;
  }): Promise<DrillPlan> {
    return asActivity((run) =>
      withRepository(deps, 'restore', async (repository) => {
        const { database } = input;
        const known = await readRecoverability(repository, database, databaseOf(deps, database));
        const drills = await readDrills(repository, database);
        const takeovers = Object.keys(databaseOf(deps, database).config.takeover);
        const runbook = input.runbook ?? chooseDrilled(known.manifests, drills, takeovers);
        const moment =
          runbook === 'pointInTimeRecovery'
            ? await readableMoment(deps, repository, { database, known }, run)
            : null;
        const base = runbook === null ? undefined : (moment?.base ?? basesOf(runbook, known.manifests)[0]);
        if (runbook === null || base === undefined)
          throw nothingToRestore(databaseOf(deps, database), runbook);
        const isDisaster = runbook === 'fullDisasterRecovery';
        const table = isDisaster ? null : await randomTable(deps, repository, { database, base }, run);
        const tables = table === null ? null : [table];
        if (tables === null && runbook === 'selectiveTableRestore') throw noTable(base);
        const earlier = drills
          .filter(
            (drill) => drill.runbook === runbook && (drill.outcome === 'met' || drill.outcome === 'missed'),
          )
          .flatMap(({ recoverySeconds }) => recoverySeconds ?? []);
        return {
          choice: isDisaster
            ? { runbook, target: { latest: true }, tables, site: siteOf(database, takeovers, input.site) }
            : { runbook, target: moment?.target ?? null, tables },
          earlier: earlier.slice(0, EARLIER),
          lookEveryMs: LOOK_EVERY_MS,
        };
      }),
    );
  },

  /** A recovery of this database that runs now and is no drill's; null: there is none. */
  async findRecovery(input: { database: string; drill: string }): Promise<string | null> {
    return asActivity(async () => {
      const query = [
        `${SEARCH_ATTRIBUTES.database} = '${input.database}'`,
        `${SEARCH_ATTRIBUTES.runbook} IN (${RECOVERIES.map((type) => `'${type}'`).join(', ')})`,
        "ExecutionStatus = 'Running'",
      ].join(' AND ');
      for await (const { workflowId } of deps.client.workflow.list({ query })) {
        if (!workflowId.startsWith(`${input.drill}/`)) return workflowId;
      }
      return null;
    });
  },

  async recordDrill(input: DrillRecord): Promise<string> {
    return asActivity(() => withRepository(deps, 'backup', (repository) => writeDrill(repository, input)));
  },
});

/** A random moment whose base can be read as it is, since a drill thaws nothing; after a few that cannot, such a one. */
async function readableMoment(
  deps: Dependencies,
  repository: Repository,
  { database, known }: { database: string; known: Recoverability },
  run: Run,
) {
  for (let drawn = 1; ; drawn += 1) {
    const now = new Date();
    const moment = randomMoment(known, Math.random, now);
    if (moment === null || drawn === MOST_MOMENTS_DRAWN) return moment;
    const choice = chooseBackup({ ...known, target: moment.target, now });
    if ((await archivedIn(deps, repository, { database, ...choice }, run)) === null) return moment;
  }
}

/** A table that this backup holds and that production still has; null: none was found. */
async function randomTable(
  deps: Dependencies,
  repository: Repository,
  { database, base }: { database: string; base: Manifest },
  run: Run,
): Promise<string | null> {
  const { engine, config } = databaseOf(deps, database);
  const held = await tablesIn(repository, base, config.connection.database, run);
  const access = await productionAccess(deps, database);
  for (const table of shuffled(held, Math.random).slice(0, MOST_TABLES_ASKED)) {
    try {
      await engine.resolveTables(access, [table], run);
      return table;
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.type !== 'UnknownTable') throw error;
    }
  }
  return null;
}

/** The tables of the connected db as this backup knew them. */
async function tablesIn(repository: Repository, base: Manifest, db: string, run: Run): Promise<string[]> {
  if (base.tier === 'logical') {
    const dumped = base.databases.find(({ name }) => name === db);
    return dumped?.fingerprints?.tables.map(({ table }) => table) ?? [];
  }
  const relations = await readRelations(repository, [base], run.signal);
  return [...new Set(relations.filter((relation) => relation.db === db).map(({ table }) => table))];
}

/** Throws InvalidInput where nothing takes the database over there. */
function siteOf(database: string, takeovers: readonly string[], wanted: string | null): string {
  const site = wanted ?? takeovers[0];
  if (site !== undefined && takeovers.includes(site)) return site;
  throw new HoldfastError(
    'InvalidInput',
    `no takeover of ${database} is configured at site ${site ?? 'any'}`,
    {
      hint:
        takeovers.length === 0 ? `databases.${database}.takeover` : `there is one at ${takeovers.join(', ')}`,
    },
  );
}

function nothingToRestore(
  { name: database, bases }: Pick<DatabaseView, 'name' | 'bases'>,
  runbook: Drilled | null,
): HoldfastError {
  const tier = runbook === 'selectiveTableRestore' ? 'logical' : bases;
  return new HoldfastError(
    'UnknownBackup',
    runbook === null
      ? `there is no backup of ${database} to recover from`
      : `there is no ${tier} backup of ${database}, from which ${runbook} recovers`,
    { hint: `take one: holdfast backup ${database} --tier ${tier}` },
  );
}

function noTable({ id }: Manifest): HoldfastError {
  return new HoldfastError('UnknownTable', `backup ${id} names no table that production has`, {
    hint: 'fingerprints name the tables of a backup: tiers.logical.fingerprints',
  });
}
