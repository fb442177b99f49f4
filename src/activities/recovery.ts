import type { ImportInput, ImportResult } from '../engines/contract/change.ts';
import type { ExportedTable, ExportInput } from '../engines/contract/read.ts';
import type { ReplayResult, RestoredTables } from '../engines/contract/restore.ts';
import type { Engine } from '../engines/engine.ts';
import { planDigest } from '../engines/plan-digest.ts';
import type { InstanceRecord } from '../instances/instance.ts';
import type { ServerAccess } from '../model/access.ts';
import type { Check } from '../model/evidence.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { parseNameParts } from '../model/table.ts';
import type { Target } from '../model/target.ts';
import { firstStanza } from '../repository/history.ts';
import { openJournal } from '../repository/journal.ts';
import { snapshotToolFolder } from '../repository/layout.ts';
import type { Repository } from '../repository/repository.ts';
import { openUndoStore } from '../repository/undo.ts';
import { databaseOf, instancesOf, productionAccess, toolRepositoryOf, withRepository } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { checkDumped, type DumpedInput, restoreDumped } from './dumped.ts';
import { dumpsOfBase, logsOfBase } from './dumped-base.ts';
import { exportToPath, exportToRepository } from './exporting.ts';
import { findInstance, keepInstance } from './instances.ts';
import { planOf } from './plan.ts';
import type {
  Base,
  CompareStepInput,
  Comparison,
  ExportStepInput,
  ImportStepInput,
  InstanceReference,
} from './recovery-types.ts';
import { asActivity } from './run.ts';

/** Of the data on disk after a restore: logs, sort files and the server's own. */
const SPACE_FACTOR = 1.1;
const LOG_BYTES = 16 * 1024 * 1024;
/** Each attempt stages all rows again, and nothing is held between two tries: so one attempt tries for long. */
const LOCK_TIMEOUT_MS = 2 * 60_000;

/** Everything that happens at one instance, on the host that has its disk. */
export const createRecoveryActivities = (deps: Dependencies) => {
  const find = (instance: InstanceReference, hint?: string) => findInstance(deps, instance, hint);
  const keep = (instance: InstanceReference, expiresAt: string) => keepInstance(deps, instance, expiresAt);
  const importInput = async (
    input: ImportStepInput,
    repository: Repository,
    run: Run,
  ): Promise<ImportInput> => ({
    production: await productionAccess(deps, input.database),
    restored: input.replayed.access,
    tables: input.tables,
    conflict: input.conflict,
    serverMajor: input.base.serverMajor,
    copyId: copyIdOf(input.instance),
    drift: input.drift,
    place: await find(
      input.instance,
      'an attempt at the import may have changed production: start the runbook again, its comparison shows what is still missing',
    ),
    comparisons: input.comparisons,
    planDigest: input.planDigest,
    journal: openJournal(repository, input.database, input.workflowId),
    database: input.database,
    lockTimeoutMs: LOCK_TIMEOUT_MS,
    undo: openUndoStore(
      repository,
      {
        database: input.database,
        workflowId: input.workflowId,
        retentionMs: databaseOf(deps, input.database).retention.undoMs,
      },
      run,
    ),
  });

  return {
    /** Refuses where the disk is too small, before anything is made. */
    async provisionInstance(input: {
      id: string;
      site: string;
      database: string;
      base: Base;
      lifetimeMs: number;
      owner: { workflowId: string; runId: string };
    }): Promise<InstanceReference> {
      return asActivity(async () => {
        const instances = instancesOf(deps, input.site);
        const { base } = input;
        await instances.requireSpace(base.databaseBytes * SPACE_FACTOR + Math.min(base.logs, 64) * LOG_BYTES);
        const record = await instances.provision({
          id: input.id,
          database: input.database,
          engine: databaseOf(deps, input.database).config.engine,
          owner: input.owner,
          expiresAt: new Date(Date.now() + input.lifetimeMs).toISOString(),
        });
        return { id: record.id, site: input.site, host: deps.host, expiresAt: record.expiresAt };
      });
    },

    async restoreInstance(input: {
      instance: InstanceReference;
      database: string;
      base: Base;
    }): Promise<void> {
      return asActivity(async (run) => {
        const { engine } = databaseOf(deps, input.database);
        const { base } = input;
        const what = { place: await find(input.instance), serverMajor: base.serverMajor };
        if (base.dumped !== undefined) {
          return withRepository(deps, 'restore', async (repository) =>
            engine.restore({ ...what, ...(await dumpsOfBase(repository, input.database, base, run)) }, run),
          );
        }
        const backup = base.snapshotOf ?? base.backup;
        await engine.restore({ ...what, ...(await whereOf(deps, input)), backup, databases: null }, run);
      });
    },

    /** Makes the copy of a selective restore: only these tables have rows in it. */
    async restoreTables(input: DumpedInput & { expiresAt: string }): Promise<RestoredTables> {
      return asActivity(async (run) => {
        await keep(input.instance, input.expiresAt);
        const restored = await restoreDumped(deps, input, run);
        await instancesOf(deps, input.instance.site).update(input.instance.id, { url: restored.url });
        return restored;
      });
    },

    async checkRestoredTables(
      input: DumpedInput & { restored: RestoredTables; besideProduction: boolean; verifying?: true },
    ): Promise<Check[]> {
      return asActivity((run) => checkDumped(deps, input, run));
    },

    async replayInstance(input: {
      instance: InstanceReference;
      database: string;
      base: Base;
      target: Target;
      /** it will become production */
      durable?: true;
      /** until when the instance stays from now on, ISO 8601 */
      expiresAt: string;
    }): Promise<ReplayResult> {
      return asActivity(async (run) => {
        const database = databaseOf(deps, input.database);
        const { user, database: db } = database.config.connection;
        const { base, expiresAt, target } = input;
        const what = { place: await keep(input.instance, expiresAt), serverMajor: base.serverMajor };
        const replayed =
          base.dumped === undefined
            ? await database.engine.replay(
                {
                  ...{ ...what, ...(await whereOf(deps, input)), target, user, database: db },
                  ...{ timeline: base.timeline, consistentAt: base.consistentAt, lastLog: base.lastLog },
                  durable: input.durable === true,
                },
                run,
              )
            : await withRepository(deps, 'restore', async (repository) => {
                const { notices, ...logs } = await logsOfBase(repository, input.database, base, run);
                const result = await database.engine.replay({ ...what, ...logs, target, database: db }, run);
                return notices.length === 0 ? result : { ...result, logNotices: notices };
              });
        await instancesOf(deps, input.instance.site).update(input.instance.id, { url: replayed.url });
        return replayed;
      });
    },

    async checkInstance(input: {
      instance: InstanceReference;
      database: string;
      base: Base;
      replayed: ReplayResult;
      /** of a verification: beside all of production's schema, and what failed is a finding */
      verifying?: true;
      /** null: what the base names. Else only these, as people name them, and production is not asked */
      tables: string[] | null;
    }): Promise<Check[]> {
      return asActivity(async (run) => {
        const { engine } = databaseOf(deps, input.database);
        const place = await find(input.instance);
        const restored = input.replayed.access;
        const { tables } = input.base;
        const checks = await engine.check(
          {
            place,
            serverMajor: input.base.serverMajor,
            restored,
            production:
              tables === null && input.verifying !== true
                ? null
                : await productionAccess(deps, input.database),
            tables: input.tables === null ? tables : await ownTables(engine, restored, input.tables, run),
            ...(input.base.dumped === undefined ? {} : { madeHere: true }),
          },
          run,
        );
        const failed = checks.filter((check) => check.verdict === 'fail');
        if (failed.length === 0 || input.verifying === true) return checks;
        throw new HoldfastError(
          'CheckFailed',
          `the restored copy is damaged: ${failed.map((check) => check.detail).join('; ')}`,
          {
            hint: 'restore from an older backup: --backup <id> of holdfast catalog',
          },
        );
      });
    },

    /** Works out exactly what an import would do. Reads only. */
    async compareTables(input: CompareStepInput): Promise<Comparison> {
      return asActivity(async (run) => {
        const { engine } = databaseOf(deps, input.database);
        const place = await keep(input.instance, input.expiresAt);
        await engine.ensureRunning(place, run);
        const comparisons = await engine.compare(
          {
            production: await productionAccess(deps, input.database),
            restored: input.replayed.access,
            tables: input.tables,
            place,
            serverMajor: input.base.serverMajor,
            copyId: copyIdOf(input.instance),
          },
          run,
        );
        const plan = planOf(input, comparisons);
        return { plan: { ...plan, digest: planDigest(plan, comparisons) }, comparisons };
      });
    },

    /** Changes production, once, by the approved plan. */
    async importTables(input: ImportStepInput): Promise<ImportResult> {
      return asActivity((run) =>
        withRepository(deps, 'backup', async (repository) => {
          const { engine } = databaseOf(deps, input.database);
          const prepared = await importInput(input, repository, run);
          await engine.ensureRunning(prepared.place, run);
          return engine.import(prepared, run);
        }),
      );
    },

    /** Writes rows, or whole tables, of the restored copy to files. Nothing in production is changed. */
    async exportTables(input: ExportStepInput): Promise<ExportedTable[]> {
      return asActivity(async (run) => {
        const { engine } = databaseOf(deps, input.database);
        const { order, rows, workflowId, database } = input;
        const place = await keep(input.instance, input.expiresAt);
        await engine.ensureRunning(place, run);
        const what = {
          place,
          restored: input.replayed.access,
          serverMajor: input.base.serverMajor,
          tables: input.tables,
          format: order.format,
          rows: rows === null ? null : { ...rows, production: await productionAccess(deps, database) },
        };
        const work = (put: ExportInput['put']) => engine.exportTables({ ...what, put }, run);
        if (order.place !== 'repository') return exportToPath(order.place.path, workflowId, work);
        return withRepository(deps, 'backup', (repository) =>
          exportToRepository(repository, { database, workflowId }, run, work),
        );
      });
    },

    async verifyImport(input: ImportStepInput): Promise<Check[]> {
      return asActivity((run) =>
        withRepository(deps, 'backup', async (repository) => {
          const { engine } = databaseOf(deps, input.database);
          const prepared = await importInput(input, repository, run);
          await engine.ensureRunning(prepared.place, run);
          return engine.verifyImport(prepared, run);
        }),
      );
    },

    async removeInstance(input: { instance: Pick<InstanceReference, 'id' | 'site'> }): Promise<void> {
      return asActivity(async (run) => {
        const instances = instancesOf(deps, input.instance.site);
        await instances.remove(input.instance.id, { stop: (record) => stopOf(deps, record, run) });
      });
    },
  };
};

/** The tables of the restored copy's own db; null, everything, where one lies in another db. */
async function ownTables(
  engine: Engine,
  restored: ServerAccess,
  tables: readonly string[],
  run: Run,
): Promise<string[] | null> {
  const elsewhere = tables.some((table) => {
    const parts = parseNameParts(table);
    return parts.length > 2 && parts[0] !== restored.database;
  });
  return elsewhere ? null : engine.resolveTables(restored, tables, run);
}

/** Where the tool finds a base and its logs: a snapshot is a repository of its own. */
async function whereOf(deps: Dependencies, { database, base }: { database: string; base: Base }) {
  const folder = base.snapshotOf === undefined ? {} : { folder: snapshotToolFolder(database, base.backup) };
  return {
    repository: await toolRepositoryOf(deps, 'restore', folder),
    stanza: base.stanza ?? firstStanza(databaseOf(deps, database)),
  };
}

/** What tells the copies of one recovery from those of another: the end of its instance's id. */
const copyIdOf = ({ id }: InstanceReference): string => id.split('-').at(-1) as string;

/** Ends the processes of an instance by its own engine. */
export async function stopOf(
  deps: Dependencies,
  record: InstanceRecord,
  run: Parameters<ImportStop>[1],
): Promise<void> {
  const engine = deps.engines[record.engine];
  if (engine === undefined) return;
  await engine.stop(record, run);
}
type ImportStop = NonNullable<Dependencies['engines']['postgres']>['stop'];
