import type { HealthCheck } from '../config/schema/database.ts';
import type { Counts } from '../engines/contract/read.ts';
import type { ReplayResult } from '../engines/contract/restore.ts';
import { DEFAULT_BOUNDS } from '../model/bounds.ts';
import { parseDuration } from '../model/duration.ts';
import type { Check } from '../model/evidence.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Verdict } from '../model/verification.ts';
import { listHeartbeats } from '../repository/heartbeats.ts';
import { manifestsOf } from '../repository/history.ts';
import { readManifest, readManifests } from '../repository/manifests.ts';
import { checkObjects } from '../repository/objects.ts';
import { listShippedLogs } from '../repository/shipped/logs.ts';
import { type VerificationRecord, verdictBefore, writeVerification } from '../repository/verifications.ts';
import { databaseOf, productionAccess, withRepository } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { findInstance } from './instances.ts';
import { askApplication } from './questions.ts';
import type { Base, InstanceReference } from './recovery-types.ts';
import { asActivity } from './run.ts';
import { compareCounts, compareRecent, heartbeatCheck, shippedCheck } from './verification-checks.ts';
import { chooseForVerification, type VerificationChoice } from './verification-choice.ts';

/** How long one count may hold up production, and the verification. */
const COUNT_PATIENCE_MS = 30_000;

/** What production has, twice: around a replay, so that rows may come and go meanwhile. */
export interface ProductionCounts {
  counts: Counts | null;
  /** why there are none */
  problem: string | null;
}

export interface CopyInput {
  database: string;
  instance: InstanceReference;
  base: Base;
  replayed: ReplayResult;
}

/** What a verification looks at, beside what every recovery does. */
export const createVerifyingActivities = (deps: Dependencies) => {
  const verifyOf = (database: string) => {
    const { verify } = databaseOf(deps, database);
    return verify ?? { highValue: [], bounds: DEFAULT_BOUNDS, health: [] as HealthCheck[] };
  };
  const recentOf = (database: string, asOf: string) =>
    verifyOf(database).highValue.map(({ table, recent, within }) => ({
      ...{ table, column: recent, to: asOf },
      from: new Date(Date.parse(asOf) - parseDuration(within)).toISOString(),
    }));

  return {
    async chooseForVerification(input: {
      database: string;
      backup: string | null;
    }): Promise<VerificationChoice> {
      return asActivity(() =>
        withRepository(deps, 'restore', async (repository) => {
          const database = databaseOf(deps, input.database);
          const found = await readManifests(repository, input.database);
          const manifests = manifestsOf(database, found.manifests);
          return chooseForVerification(
            database,
            { ...found, manifests },
            { backup: input.backup, now: new Date() },
          );
        }),
      );
    },

    /** Reads every object of a backup of ours to its end. */
    async checkObjects(input: { database: string; backup: string }): Promise<Check[]> {
      return asActivity((run) =>
        withRepository(deps, 'restore', async (repository) => {
          const manifest = await readManifest(repository, input.database, input.backup);
          if (manifest === null) {
            throw new HoldfastError('UnknownBackup', `the manifest of backup ${input.backup} cannot be read`);
          }
          return [await checkObjects(repository, manifest, run)];
        }),
      );
    },

    /** Counts of production's largest tables and newest rows. A production that is away is no fault of a backup. */
    async countProduction(input: { database: string; asOf: string | null }): Promise<ProductionCounts> {
      return asActivity(async (run) => {
        try {
          const { engine } = databaseOf(deps, input.database);
          const recent = input.asOf === null ? [] : recentOf(input.database, input.asOf);
          const counts = await engine.countRows(
            await productionAccess(deps, input.database),
            { tables: null, recent, patienceMs: COUNT_PATIENCE_MS },
            run,
          );
          return { counts, problem: null };
        } catch (error) {
          if (!(error instanceof HoldfastError) || error.type === 'InvalidConfiguration') throw error;
          return { counts: null, problem: error.message };
        }
      });
    },

    /** The copy's counts between production's of before and after, and its newest rows beside production's. */
    async checkCounts(
      input: CopyInput & {
        before: ProductionCounts;
        after: ProductionCounts;
        asOf: string;
        /** whether the copy is of before production was counted: younger tables are not in it */
        older: boolean;
      },
    ): Promise<Check[]> {
      return asActivity(async (run) => {
        const { engine } = databaseOf(deps, input.database);
        const place = await findInstance(deps, input.instance);
        await engine.ensureRunning(place, run);
        const problem = input.before.problem ?? input.after.problem;
        const { before, after } = { before: input.before.counts, after: input.after.counts };
        if (before === null || after === null) {
          return [
            { name: 'counts', verdict: 'inconclusive', detail: `production was not counted: ${problem}` },
          ];
        }
        const { bounds } = verifyOf(input.database);
        const copy = await engine.countRows(
          input.replayed.access,
          {
            tables: before.tables.map(({ table }) => table),
            recent: recentOf(input.database, input.asOf),
            patienceMs: 0,
          },
          run,
        );
        return [
          compareCounts(copy, [before, after], { bounds, older: input.older }),
          ...compareRecent(copy, after, bounds),
        ];
      });
    },

    /** Whether what production committed last, as far as it was archived, is in the copy. `asOf`: when the logs were listed. */
    async checkHeartbeat(input: CopyInput & { asOf: string }): Promise<Check[]> {
      return asActivity(() =>
        withRepository(deps, 'restore', async (repository) => {
          const { objectives } = databaseOf(deps, input.database);
          const asOf = new Date(input.asOf);
          if (input.base.dumped !== undefined) {
            const shipped = await listShippedLogs(repository, input.database);
            return [shippedCheck(shipped, { ...input.replayed, rpoMs: objectives.rpoMs, now: asOf })];
          }
          const heartbeats = await listHeartbeats(repository, input.database);
          return [
            heartbeatCheck(heartbeats, {
              ...{ lastLog: input.base.lastLog, timeline: input.base.timeline, lsn: input.replayed.lsn },
              ...{ rpoMs: objectives.rpoMs, now: asOf },
            }),
          ];
        }),
      );
    },

    /** An application's own questions to the copy. What changes the copy is noticed. */
    async checkHealth(input: CopyInput): Promise<Check[]> {
      return asActivity(async (run) => {
        const { engine } = databaseOf(deps, input.database);
        const place = await findInstance(deps, input.instance);
        await engine.ensureRunning(place, run);
        const { access } = input.replayed;
        const { health } = verifyOf(input.database);
        const found = await askApplication(health, { engine, access, user: place.user }, run);
        return [...found, ...(await changed(() => engine.ensureRunning(place, run)))];
      });
    },

    /** Keeps what was found beside the backup. Gives the verdict before, of the newest backup of that tier. */
    async recordVerification(
      input: Omit<VerificationRecord, 'formatVersion'>,
    ): Promise<{ before: Verdict | null }> {
      return asActivity(() =>
        withRepository(deps, 'backup', async (repository) => {
          const before = await verdictBefore(repository, input);
          await writeVerification(repository, { formatVersion: 1, ...input });
          return { before };
        }),
      );
    },
  };
};

/** Whether the copy is still what it was; nothing is said where it is. */
async function changed(look: () => Promise<void>): Promise<Check[]> {
  try {
    await look();
    return [];
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type !== 'InstanceLost') throw error;
    const detail = `after these questions the copy is not what it was: ${error.message}`;
    return [{ name: 'health', verdict: 'inconclusive', detail }];
  }
}
