import { setTimeout as sleep } from 'node:timers/promises';
import { describeDatabase, patienceOf } from '../config/describe.ts';
import { parseDuration } from '../model/duration.ts';
import type { Evidence } from '../model/evidence.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { serverMajorOf } from '../model/server-major.ts';
import type { Target } from '../model/target.ts';
import { CHANGE_HOLDER_MEMO, changeWorkflowId } from '../model/workflow-id.ts';
import { readRecoverability } from '../repository/catalog.ts';
import type { Recoverability } from '../repository/chain.ts';
import { type BeyondGap, type Choice, chooseBackup } from '../repository/choice.ts';
import { bytesOfTables, type LogicalChoice } from '../repository/choice-logical.ts';
import { continuityOf } from '../repository/continuity.ts';
import { writeEvidence } from '../repository/evidence.ts';
import { writeHeartbeat } from '../repository/heartbeats.ts';
import { listManifests } from '../repository/manifests.ts';
import { orDropped, readRelations } from '../repository/relations.ts';
import { toItsTransaction, unknownTransaction } from '../repository/shipped/transaction.ts';
import { databaseOf, productionAccess, withRepository } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { readLogical } from './dumped.ts';
import { estimateSeconds } from './estimate.ts';
import { measureRecovery } from './measuring.ts';
import type { Base, ChangeSettings, RecoverySettings } from './recovery-types.ts';
import { asActivity } from './run.ts';
import { thawSettings, withArchived } from './thawing.ts';
import { findUndo, type UndoFound, type UndoStepInput } from './undoing.ts';
import { wakeWatcher } from './wake-watcher.ts';

/** How long a closed log may take to reach the repository before the target counts as out of reach. */
const ARCHIVE_WAIT_MS = 120_000;

/** Light work of the control queue: configuration, the repository, evidence. */
export const createPlanningActivities = (deps: Dependencies) => ({
  async describeRecovery(input: { database: string; site: string | null }): Promise<RecoverySettings> {
    return asActivity(async () => recoverySettings(deps, input));
  },

  /** What a change of production without an instance has to know: an undo. */
  async describeChange(input: { database: string }): Promise<ChangeSettings & { host: string }> {
    return asActivity(async () => ({
      ...changeSettings(deps, input.database),
      host: databaseOf(deps, input.database).config.host,
    }));
  },

  /** What is known of an import that is to be taken back. Throws InvalidInput where it cannot be. */
  async readUndo(input: UndoStepInput): Promise<UndoFound> {
    return asActivity(() => withRepository(deps, 'backup', (repository) => findUndo(repository, input)));
  },

  async describeProtection(input: { database: string }) {
    return asActivity(async () => {
      const database = databaseOf(deps, input.database);
      return {
        engine: database.config.engine,
        host: database.config.host,
        tells: deps.config.config.notify.channels.length > 0,
        ...patienceOf(deps.config.config),
      };
    });
  },

  /** How many databases of this host are watched, and how often. */
  async describeWatch(input: { host: string }) {
    return asActivity(async () => {
      const { config } = deps.config;
      const every = Object.entries(config.databases)
        .filter(([, { host }]) => host === input.host)
        .flatMap(([name]) => describeDatabase(config, name).tiers.log?.watchEveryMs ?? []);
      return {
        databases: every.length,
        intervalMs: Math.min(...every),
        tells: config.notify.channels.length > 0,
        ...patienceOf(config),
      };
    });
  },

  /** Names the runbook that holds the right to change a production database. */
  async findChangeHolder(input: { database: string }): Promise<string> {
    return asActivity(async () => {
      const id = changeWorkflowId(input.database);
      const description = await deps.client.workflow.getHandle(id).describe();
      return String(description.memo?.[CHANGE_HOLDER_MEMO] ?? id);
    });
  },

  /**
   * Chooses the base and proves every log up to the target; closes the log first where that makes it reachable.
   * `preferred` is the base that is restored already: taken where it reaches the same place.
   */
  async chooseBase(input: {
    database: string;
    target: Target;
    tables: string[] | null;
    preferred: string | null;
    /** `leave` is for a disaster: what can be had is taken, and the notices say what cannot. Default: refuse */
    beyondGap?: BeyondGap;
  }): Promise<Base> {
    return asActivity(async (run) => {
      let tables: string[] | null = null;
      if (input.tables !== null) {
        run.progress({ phase: 'looking up the tables in production' });
        tables = await tablesOf(deps, input.database, input.tables, run);
      }
      run.progress({ phase: 'reading the catalog' });
      const choice = await choose(deps, input, run);
      const chosen = baseOf(choice, tables);
      const base = { ...chosen, notices: [...chosen.notices, ...credentialNotices(deps)] };
      return withArchived(deps, { database: input.database, manifest: choice.manifest, base }, run);
    });
  },

  /** Chooses the logical backup of a selective restore, and names its tables as production, or the backups, have them. */
  async chooseLogicalBackup(input: {
    database: string;
    backup: string | null;
    /** null: production is not asked */
    tables: string[] | null;
  }): Promise<Base> {
    return asActivity(async (run) => {
      run.progress({ phase: 'reading the catalog' });
      const choice = await withRepository(deps, 'restore', (repository) =>
        readLogical(deps, repository, input.database, input.backup),
      );
      const { tables } = input;
      const base = logicalBase(choice, tables && (await tablesOf(deps, input.database, tables, run)));
      const { manifest } = choice;
      // Logical backups themselves never lie in an archive class.
      return manifest.tier === 'logical'
        ? base
        : withArchived(deps, { database: input.database, manifest, base }, run);
    });
  },

  async writeEvidence(input: Omit<Evidence, 'formatVersion' | 'workflowId' | 'writtenAt'>): Promise<string> {
    return asActivity(() => {
      measureRecovery(deps.metrics, input);
      return withRepository(deps, 'backup', (repository) =>
        writeEvidence(repository, {
          formatVersion: 1,
          ...input,
          workflowId: input.status.workflowId,
          writtenAt: new Date().toISOString(),
        }),
      );
    });
  },
});

/** The names as production has them, or, for a table that was dropped since, as the backups do. */
async function tablesOf(
  deps: Dependencies,
  database: string,
  tables: readonly string[],
  run: Run,
): Promise<string[]> {
  const { engine } = databaseOf(deps, database);
  const access = await productionAccess(deps, database);
  return orDropped(
    (known) => engine.resolveTables(access, tables, run, known),
    () =>
      withRepository(deps, 'backup', async (repository) =>
        readRelations(repository, await listManifests(repository, database), run.signal),
      ),
  );
}

type Wanted = { database: string; target: Target; preferred: string | null; beyondGap?: BeyondGap };

/** The first site where none is named. Throws InvalidInput. */
export function recoverySettings(
  deps: Dependencies,
  input: { database: string; site: string | null },
): RecoverySettings {
  const { config } = deps.config;
  const site = input.site ?? Object.keys(config.sites)[0];
  if (site === undefined || config.sites[site] === undefined) {
    throw new HoldfastError('InvalidInput', `there is no site "${input.site}"`, {
      hint: `the sites of the configuration are ${Object.keys(config.sites).join(', ')}`,
    });
  }
  return {
    ...changeSettings(deps, input.database),
    site,
    siteHosts: config.sites[site].hosts,
    instanceLifetimeMs: parseDuration(config.sites[site].instanceLifetime),
    thaw: thawSettings(config),
  };
}

function changeSettings(deps: Dependencies, name: string): ChangeSettings {
  const { config } = deps.config;
  const database = databaseOf(deps, name);
  return {
    engine: database.config.engine,
    approval: database.approval,
    objectives: {
      rpoSeconds: database.objectives.rpoMs / 1_000,
      rtoSeconds: database.objectives.rtoMs / 1_000,
    },
    ...patienceOf(config),
    parkLimitMs: parseDuration(config.parkLimit),
    remindMs: config.notify.channels.length === 0 ? null : parseDuration(config.notify.expiresBefore),
  };
}

async function choose(deps: Dependencies, wanted: Wanted, run: Run): Promise<Choice> {
  const { database: name, target } = wanted;
  const history = databaseOf(deps, name);
  return withRepository(deps, 'backup', async (repository) => {
    const read = () => readRecoverability(repository, name, history);
    const known = await read();
    const decide = (known: Recoverability) =>
      toItsTransaction(
        repository,
        chooseBackup({ ...wanted, now: new Date(), ...known }),
        { known, target },
        run,
      );
    const choice = await decide(known);
    // What only the replay can find may be in the log that is still open.
    const wantsNewest = 'latest' in target || 'xid' in target || 'name' in target;
    if (choice.reachable === 'yes' && !wantsNewest) return choice;

    run.progress({ phase: 'closing the log in production, so that the target becomes reachable' });
    const closed = await closeLog(deps, name, run).catch((error: unknown) => {
      if (!(error instanceof HoldfastError)) throw error;
      // A production that is gone, or half gone, is what a recovery is for.
      if (wantsNewest && (error.type === 'ConnectionFailed' || isDisaster(wanted))) return null;
      throw error.type === 'ConnectionFailed' ? outOfReach(known, error) : error;
    });
    if (closed === null) return choice;
    // Marks which moments the closed log makes recoverable; of logs that we ship their own end does.
    if (history.bases === 'physical') await writeHeartbeat(repository, name, closed);
    else await wakeWatcher(deps, history.config.host);
    return untilArchived(closed, wanted, { read, decide }, run);
  });
}

/** What can be had is taken: there is no later attempt from which more could be hoped for. */
const isDisaster = ({ beyondGap, target }: Wanted): boolean => beyondGap === 'leave' && 'latest' in target;

/** Commits a heartbeat and closes its log. */
async function closeLog(deps: Dependencies, name: string, run: Run) {
  return databaseOf(deps, name).engine.closeLog(await productionAccess(deps, name), run);
}

async function untilArchived(
  closed: { log: string },
  wanted: Wanted,
  {
    read,
    decide,
  }: { read: () => Promise<Recoverability>; decide: (known: Recoverability) => Promise<Choice> },
  run: Run,
): Promise<Choice> {
  const deadline = Date.now() + ARCHIVE_WAIT_MS;
  for (;;) {
    const known = await read();
    const isThere = (known.shipped ?? known.segments).some(({ name }) => name === closed.log);
    if (isThere) {
      const choice = await decide(known);
      if (choice.reachable === 'yes') return choice;
      // No log is open any more that could hold it.
      if (known.shipped !== undefined && 'gtid' in wanted.target) throw unknownTransaction(wanted.target);
    }
    if (Date.now() > deadline && isDisaster(wanted)) {
      const choice = await decide(known);
      const notice = `production answers, and its log ${closed.log} did not reach the repository: what it has not archived is lost`;
      return { ...choice, notices: [...choice.notices, notice] };
    }
    if (Date.now() > deadline) {
      throw new HoldfastError(
        'TargetNotRecoverable',
        `log ${closed.log} did not reach the repository in time`,
        {
          hint:
            known.shipped === undefined
              ? 'see the archiver of the production server (pg_stat_archiver), or choose an earlier target'
              : "see the log watch of the database's host (holdfast status --all), which ships its logs, or choose an earlier target",
        },
      );
    }
    run.progress({ phase: `waiting for log ${closed.log} in the repository` });
    await sleep(1_000, undefined, { signal: run.signal });
  }
}

function outOfReach(known: Recoverability, cause: HoldfastError): HoldfastError {
  const last = continuityOf(known, new Date()).lastRecoverableAt;
  return new HoldfastError(
    'TargetNotRecoverable',
    'the target is later than what the archive proves, and production, which could close its log, does not answer',
    { hint: last === null ? 'use latest' : `use latest, or a time up to ${last}`, cause },
  );
}

/** What leaves the promise that nothing restored can write to the repository to the restored server's own manners. */
function credentialNotices({ config }: Dependencies): string[] {
  const { credentials, restoreCredentials } = config.config.repository;
  if (restoreCredentials !== undefined) return [];
  const whose = credentials === undefined ? "the worker's own credentials" : 'credentials that can write';
  return [
    `the restored server reads the repository with ${whose}: repository.restoreCredentials are not set`,
  ];
}

/** The same of a logical backup: it has no logs, and stands where its snapshot was. */
function logicalBase({ manifest, dumped }: LogicalChoice, tables: string[] | null): Base {
  const sizeBytes = dumped.objects.reduce((sum, object) => sum + object.sizeBytes, 0);
  return {
    backup: manifest.id,
    serverMajor: serverMajorOf(manifest),
    databaseBytes: bytesOfTables(manifest, dumped, tables),
    timeline: manifest.positions.timeline ?? 1,
    consistentAt: manifest.positions.stop ?? '0/0',
    lastLog: null,
    logs: 0,
    estimateSeconds: estimateSeconds({ databaseBytes: sizeBytes, logs: 0 }),
    tables,
    notices: [
      `rows are as of the backup, ${manifest.startedAt}: what was written since is not in it`,
      ...manifest.notices,
    ],
  };
}

/** Of a base that is a dump: whose logs follow it. */
function shippedOf({ manifest, lineage, firstLog }: Choice): Pick<Base, 'dumped'> {
  if ((manifest.copyOf ?? manifest).tier !== 'logical') return {};
  return { dumped: { logs: lineage === undefined || firstLog === null ? null : { lineage, firstLog } } };
}

function baseOf(choice: Choice, tables: string[] | null): Base {
  const { manifest } = choice;
  return {
    backup: manifest.id,
    serverMajor: serverMajorOf(manifest),
    databaseBytes: manifest.databaseBytes,
    timeline: choice.timeline,
    consistentAt: manifest.positions.stop ?? '0/0',
    lastLog: choice.lastLog,
    ...(manifest.stanza === undefined ? {} : { stanza: manifest.stanza }),
    ...shippedOf(choice),
    ...(manifest.copyOf === undefined ? {} : { snapshotOf: manifest.copyOf.id }),
    logs: choice.segments,
    estimateSeconds: estimateSeconds({ databaseBytes: manifest.databaseBytes, logs: choice.segments }),
    tables,
    notices: [...manifest.notices, ...choice.notices],
    ...(choice.beforeReplay === undefined ? {} : { beforeReplay: choice.beforeReplay }),
  };
}
